"""How long do ``runs diff`` and ``runs compare`` take, against bare Python and against reading the runs' events?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from timing import BARE_PYTHON, bare_python, print_ratio, process, taking_turns
from workspaces import PROJECT, TAORUNNER, small

from taorunner.events import from_json_line
from taorunner.runs.state.history import HistoryWriter
from taorunner.runs.state.store import RunStore

RUNS, EPOCHS = 1_000, 300
METRICS = ("train_loss", "val_loss", "val_mAP", "val_mAP50")
"""Those of the DETR family."""

READ_EVENTS = """\
import json, pathlib, sys
for path in pathlib.Path(sys.argv[1]).glob("*/events.jsonl"):
    for line in path.open("rb"):
        json.loads(line)
"""


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        workspace = small(Path(folder) / "w", image="taorunner-test/none:1")
        runs = _record_trainings(workspace)
        ids = sorted(one.name for one in runs.iterdir())
        bare, diff = taking_turns(
            {
                BARE_PYTHON: bare_python(),
                "runs diff": process([*TAORUNNER, "runs", "diff", ids[0], ids[1]], cwd=str(workspace)),
            },
            3 * times,
        )
        read, compare = taking_turns(
            {
                "json.loads of every event": process([sys.executable, "-c", READ_EVENTS, str(runs)]),
                "runs compare": process([*TAORUNNER, "runs", "compare", *ids], cwd=str(workspace)),
            },
            times,
        )
    print(f"two trainings of {EPOCHS} epochs compared, with {RUNS:,} on record")
    print_ratio("taorunner runs diff ÷ bare Python", diff, bare, 8)
    print(f"{RUNS:,} trainings of {EPOCHS} epochs and {len(METRICS)} metrics compared")
    print_ratio("taorunner runs compare ÷ json.loads of every event", compare, read, 1.5)


def _record_trainings(workspace: Path) -> Path:
    """A start that failed for want of an engine, rewritten to trainings that ended well; returns their folder."""
    subprocess.run(
        [*TAORUNNER, "-p", PROJECT, "train", "noop"], cwd=workspace, check=False, capture_output=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(workspace), "DOCKER_HOST": "unix:///nowhere.sock"},
    )  # fmt: skip
    runs = workspace / ".taorunner" / "runs"
    (first,) = runs.iterdir()
    at = datetime.now(timezone.utc).isoformat()
    for number in range(1, RUNS):
        copied = runs / f"{first.name[:-6]}{number:06x}"
        shutil.copytree(first, copied)
        _end_well(copied, first.name, at, number)
    _end_well(first, first.name, at, 0)
    return runs


def _end_well(folder: Path, original: str, at: str, number: int) -> None:
    text = (folder / "record.json").read_text(encoding="utf-8").replace(original, folder.name)
    record = json.loads(text)
    record |= {"state": "SUCCEEDED", "reason": None, "hint": None, "exit_code": 0, "finished_at": at}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    queued = (folder / "events.jsonl").read_text(encoding="utf-8").partition("\n")[0]
    lines = [queued.replace(original, folder.name), *map(json.dumps, _events(folder.name, at, number))]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    writer = HistoryWriter(
        RunStore(folder.parents[1])
    )  # it takes the values before the end from events.jsonl
    writer.write(folder.name, [from_json_line(lines[-1])])


def _events(run: str, at: str, number: int) -> list[dict[str, Any]]:
    shared = {"run": run, "at": at}
    events: list[dict[str, Any]] = [
        {"event": "RunStarted", **shared, "image": "none:1", "gpus": ["0"], "handle": "none"}
    ]
    for epoch in range(1, EPOCHS + 1):
        events.append(
            {"event": "EpochProgress", **shared, "epoch": epoch, "epochs": EPOCHS, "completed": True}
        )
        for place, name in enumerate(METRICS):
            value = (1 + number / RUNS) / (epoch + place)
            events.append({"event": "MetricReported", **shared, "name": name, "value": value, "epoch": epoch})
    events.append({"event": "RunFinished", **shared, "state": "SUCCEEDED", "reason": "", "exit_code": 0})
    return events
