"""How long do the tables take, with ten thousand runs on record?"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from timing import BARE_PYTHON, bare_python, print_ratio, process, taking_turns
from workspaces import PROJECT, TAORUNNER, record_failed_run, small

RUNS = 10_000
UNDER_WAY = 3


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        workspace = small(Path(folder) / "w", image="taorunner-test/none:1")
        _record_runs(workspace)
        filters = (
            "--state failed", "--state succeeded", "--experiment noop", "--experiment no*e", "--action train",
            "--since 1h", f"-p {PROJECT} --action evaluate", "--state stopped -q",
            "--state failed --experiment noop --action train --since 1h",
        )  # fmt: skip
        bounds = {"ps": 4.5, "runs list": 10, "runs list --json": 10}
        bounds |= {f"runs list {words}": 10 for words in filters}
        others = ("ps -a", "logs 000007", f"runs list -n {RUNS} --json", "networks")
        commands = [line.split() for line in (*bounds, *others)]
        bare, *shown = taking_turns(
            {
                BARE_PYTHON: bare_python(),
                **{" ".join(words): process([*TAORUNNER, *words], cwd=str(workspace)) for words in commands},
            },
            times,
        )
        print(f"tables, with {RUNS:,} runs on record")
        for one in shown:
            print_ratio(f"taorunner {one.name} ÷ bare Python", one, bare, bounds.get(one.name))
        with _under_way(workspace):
            lists = {"ps": ("ps",), "ps --json": ("ps", "--json")}
            bare, *shown = taking_turns(
                {
                    BARE_PYTHON: bare_python(),
                    **{name: process([*TAORUNNER, *lists[name]], cwd=str(workspace)) for name in lists},
                },
                3 * times,
            )
    print(f"tables, with {RUNS:,} runs on record, {UNDER_WAY} of them under way")
    for one in shown:
        print_ratio(f"taorunner {one.name} ÷ bare Python", one, bare, 4.5)


def _record_runs(workspace: Path) -> None:
    """One real run that failed, copied ten thousand times under other names."""
    record_failed_run(workspace)
    runs = workspace / ".taorunner" / "runs"
    (first,) = runs.iterdir()
    for number in range(1, RUNS):
        copied = runs / f"{first.name[:-6]}{number:06x}"
        shutil.copytree(first, copied)
        for name in ("record.json", "events.jsonl"):
            text = (copied / name).read_text(encoding="utf-8")
            (copied / name).write_text(text.replace(first.name, copied.name), encoding="utf-8")
        json.loads((copied / "record.json").read_text(encoding="utf-8"))


@contextlib.contextmanager
def _under_way(workspace: Path) -> Iterator[None]:
    """The newest runs are in their tenth epoch, and this process holds the lock of their supervisor."""
    state = workspace / ".taorunner"
    folders = sorted((state / "runs").iterdir())[-UNDER_WAY:]
    ids = [folder.name for folder in folders]
    at = datetime.now(timezone.utc).isoformat()
    for folder in folders:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        record |= {"state": "RUNNING", "reason": None, "hint": None, "started_at": at, "finished_at": None}
        (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
        shared = {"run": folder.name, "at": at}
        events = [{"event": "RunStarted", **shared, "image": "none:1", "gpus": ["0"], "handle": "none"}]
        for epoch in range(1, 11):
            events.append(
                {"event": "EpochProgress", **shared, "epoch": epoch, "epochs": 80, "completed": True}
            )
            events.append(
                {"event": "MetricReported", **shared, "name": "loss", "value": 1 / epoch, "epoch": epoch}
            )
        queued = (folder / "events.jsonl").read_text(encoding="utf-8").partition("\n")[0]
        lines = [queued, *map(json.dumps, events)]
        (folder / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (batch,) = (state / "batches").iterdir()
    body = json.loads((batch / "batch.json").read_text(encoding="utf-8"))
    (batch / "batch.json").write_text(json.dumps({**body, "runs": ids}), encoding="utf-8")
    (state / "open" / batch.name).write_text(json.dumps(ids), encoding="utf-8")
    with (batch / "supervisor.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
