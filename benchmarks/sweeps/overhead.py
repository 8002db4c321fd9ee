"""What a sweep adds to the time of its trials: a grid of six, one after the other, against the same six runs as one
batch of experiments."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import taorunner

RATES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sweeps, queues = [], []
        for number in range(times):
            root = _workspace(Path(folder) / f"w{number}")
            runs = {
                "sweep": ["sweep", "run", "grid", "--json"],
                "queue": [
                    "train",
                    *(f"e{place}" for place in range(len(RATES))),
                    "--parallel",
                    "1",
                    "--json",
                ],
            }
            took = {name: _timed(root, words) for name, words in runs.items()}
            sweeps.append(took["sweep"])
            queues.append(took["queue"])
            print(f"  {took['sweep']:.1f} s as a sweep, {took['queue']:.1f} s as a batch", flush=True)
    trials = len(RATES)
    print(f"{trials} trials, one at a time: {statistics.median(queues) / trials:.1f} s each")
    more = (statistics.median(sweeps) - statistics.median(queues)) / trials
    share = statistics.median(sweeps) / statistics.median(queues)
    print(f"sweep ÷ batch: {share:.3f}, {more:+.2f} s a trial (goal: 1.02)")


def _workspace(root: Path) -> Path:
    workspace = taorunner.Workspace.create_example(root, images=160, held_out=2)
    taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait()
    file = root / "projects/shapes/experiments.yml"
    entries = "".join(
        f"  e{place}:\n    extends: tiny\n    overrides: {{train.learning_rate: {rate}}}\n"
        for place, rate in enumerate(RATES)
    )
    text = f"{file.read_text()}\n{entries}\nsweeps:\n  grid:\n    base: tiny\n    sampler: grid\n    parallel: 1\n"
    file.write_text(f"{text}    space:\n      train.learning_rate: {{choice: {list(RATES)}}}\n")
    names = [f"e{place}" for place in range(len(RATES))]
    taorunner.start(workspace, "shapes", "dataset_convert", names).wait()
    return root


def _timed(root: Path, words: list[str]) -> float:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "taorunner", *words], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return time.monotonic() - began
