"""What a sweep adds to the time of its trials: a grid of six, one after the other, against the same six runs as one
batch of experiments."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import taorunner

RATES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)


def measure(times: int) -> None:
    took: dict[str, list[float]] = {"sweep": [], "queue": []}
    spent: dict[str, list[float]] = {"sweep": [], "queue": []}
    names = [f"e{place}" for place in range(len(RATES))]
    runs = {
        "sweep": ["sweep", "run", "grid", "--json"],
        "queue": ["train", *names, "--parallel", "1", "--json"],
    }
    with tempfile.TemporaryDirectory() as folder:
        for number in range(times):
            root = _workspace(Path(folder) / f"w{number}")
            for name in sorted(runs, reverse=number % 2 == 1):
                wall_s, cpu_s = _timed(root, runs[name])
                took[name].append(wall_s)
                spent[name].append(cpu_s)
            last = {name: (took[name][-1], spent[name][-1]) for name in runs}
            print(
                "  "
                + ", ".join(
                    f"{name} {wall_s:.1f} s (CPU {cpu_s:.2f} s)" for name, (wall_s, cpu_s) in last.items()
                ),
                flush=True,
            )
    trials = len(RATES)
    wall = {name: statistics.median(values) for name, values in took.items()}
    cpu = {name: statistics.median(values) for name, values in spent.items()}
    print(f"{trials} trials, one at a time: {wall['queue'] / trials:.1f} s each")
    print(f"CPU of commands, loop and supervisor: {(cpu['sweep'] - cpu['queue']) / trials:+.3f} s a trial")
    more = (wall["sweep"] - wall["queue"]) / trials
    share = statistics.median(one / other for one, other in zip(took["sweep"], took["queue"], strict=True))
    print(f"sweep ÷ batch: {share:.3f}, {more:+.2f} s a trial (goal: 1.02)")


def _workspace(root: Path) -> Path:
    workspace = taorunner.Workspace.create_example(root, images=480, held_out=2)
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


def _timed(root: Path, words: list[str]) -> tuple[float, float]:
    """Seconds until the command has returned, and seconds of CPU of all that is not a training."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "taorunner", *words],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    spent: dict[int, float] = {}
    while True:
        spent.update(_cpu_s(root, process.pid))
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
        break
    took = time.monotonic() - began
    assert process.stderr is not None
    with process.stderr as errors:
        if process.returncode:
            raise SystemExit(f"{' '.join(words)}: {errors.read().decode(errors='replace')}")
    return took, sum(spent.values())


def _cpu_s(root: Path, command: int) -> dict[int, float]:
    """Of the command, and of the loops and supervisors of the workspace."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (folder / "cmdline").read_bytes()
            is_ours = b".process import main" in said and (folder / "cwd").resolve().is_relative_to(root)
            if int(folder.name) == command or is_ours:
                times = (folder / "stat").read_text().rpartition(")")[2].split()
                found[int(folder.name)] = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    return found
