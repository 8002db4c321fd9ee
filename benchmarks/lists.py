"""How long do the tables take, with ten thousand runs on record?"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from timing import BARE_PYTHON, bare_python, print_ratio, process, taking_turns
from workspaces import PROJECT, TAORUNNER, small

RUNS = 10_000


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        workspace = small(Path(folder) / "w", image="taorunner-test/none:1")
        _record_runs(workspace)
        bounds = {"ps": 4.5, "runs list": 10, "runs list --json": 10}
        others = (f"runs list -n {RUNS} --json", "runs list -p nothing", "networks")
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


def _record_runs(workspace: Path) -> None:
    """One real run that failed for want of an engine, copied ten thousand times under other names."""
    subprocess.run(
        [*TAORUNNER, "-p", PROJECT, "train", "noop"], cwd=workspace, check=False, capture_output=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(workspace), "DOCKER_HOST": "unix:///nowhere.sock"},
    )  # fmt: skip
    runs = workspace / ".taorunner" / "runs"
    (first,) = runs.iterdir()
    for number in range(1, RUNS):
        copied = runs / f"{first.name[:-6]}{number:06x}"
        shutil.copytree(first, copied)
        for name in ("record.json", "events.jsonl"):
            text = (copied / name).read_text(encoding="utf-8")
            (copied / name).write_text(text.replace(first.name, copied.name), encoding="utf-8")
        json.loads((copied / "record.json").read_text(encoding="utf-8"))
