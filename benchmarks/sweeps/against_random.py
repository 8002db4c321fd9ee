"""Whether TPE with ASHA finds better values than random values do, for the same number of epochs trained.

Each seed is a sweep of 24 trials on the embedded network, two at once, then a random one with as many whole trials as
its epochs are worth, rounded up. Every trial is a run of its own; both begin with the base. The learning rate is drawn
from nearly all of what NVIDIA's schemas allow, 0 to 1. No trial ends before epoch 4: in 160 random trials the order
after epoch 3 hardly told that of the end (rank correlation 0.30, after epoch 4 0.54). The loss is compared: the
validation set has few images, on which an AP is mostly chance.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import taorunner
from taorunner.runs.state.history import read_history
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import SweepFolder
from taorunner.sweeps.trial import Trial

TRIALS, EPOCHS = 24, 9
METRIC = "val_loss"
SPACE = """\
    space:
      train.learning_rate: {log: [0.000001, 1.0]}
      train.batch_size: {choice: [2, 4, 8, 16]}
      model.backbone: {choice: [tiny, small]}
"""
ADAPTIVE = "    sampler: tpe\n    pruner: {kind: asha, first: 4, factor: 3}\n"


def measure(seeds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = _workspace(Path(folder) / "w")
        print(f"{METRIC}, lower is better\nseed  TPE + ASHA  epochs  pruned  random  epochs  trials")
        wins = 0
        for seed in range(seeds):
            trials = _swept(root, f"adaptive_{seed}", f"    trials: {TRIALS}\n    seed: {seed}\n{ADAPTIVE}")
            spent = _epochs(root, trials)
            count = math.ceil(spent / EPOCHS)
            plain = _swept(
                root, f"random_{seed}", f"    trials: {count}\n    seed: {seed}\n    sampler: random\n"
            )
            pruned = sum(trial.ending == "pruned" for trial in trials)
            wins += _best(trials) <= _best(plain)
            print(
                f"{seed:4d}  {_best(trials):10.4f}  {spent:6d}  {pruned:6d}  {_best(plain):6.4f}"
                f"  {_epochs(root, plain):6d}  {len(plain):6d}",
                flush=True,
            )
        print(f"at least as good as random: {wins} of {seeds} seeds")


def _workspace(root: Path) -> Path:
    """With a base that learns too slowly, and sees a checkpoint each epoch."""
    workspace = taorunner.Workspace.create_example(root, images=32, held_out=2)
    taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait()
    spec = next((root / "projects/shapes/specs").rglob("train.yaml"))
    text = spec.read_text().replace("checkpoint_interval: 4", "checkpoint_interval: 1")
    spec.write_text(text.replace("learning_rate: 0.008", "learning_rate: 0.0005"))
    file = root / "projects/shapes/experiments.yml"
    file.write_text(file.read_text() + "\nsweeps:\n")
    return root


def _swept(root: Path, name: str, keys: str) -> list[Trial]:
    file = root / "projects/shapes/experiments.yml"
    head = f"  {name}:\n    base: tiny\n    epochs: {EPOCHS}\n    parallel: 2\n    keep: best\n"
    entry = f"{head}    metric: {METRIC}\n{keys}{SPACE}"
    file.write_text(file.read_text() + entry)
    words = [sys.executable, "-m", "taorunner", "sweep", "run", name, "--json"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr}")
    trials = SweepFolder(RunStore(root / ".taorunner"), "shapes", name).trials()
    if len(json.loads(done.stdout)["trials"]) != len(trials):
        raise SystemExit(f"{name}: not all trials are in the JSON")
    return trials


def _epochs(root: Path, trials: list[Trial]) -> int:
    """All that were trained, also those of a pruned trial after it was told to end."""
    store = RunStore(root / ".taorunner")
    known = [read_history(store, trial.run).get(METRIC, {}) for trial in trials if trial.run is not None]
    return sum(max((epoch for epoch in one if epoch is not None), default=0) for one in known)


def _best(trials: list[Trial]) -> float:
    return min(
        (trial.value for trial in trials if trial.counts and trial.value is not None), default=math.inf
    )
