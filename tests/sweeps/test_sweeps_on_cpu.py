"""Sweeps that train: the values are in the specs, the results are apart, and no kill loses or doubles a trial."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.runs.inputs.spec_values import raw_values
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.control import begin, start_process
from taorunner.sweeps.folder import SweepFolder
from taorunner.sweeps.loop import best_of
from taorunner.sweeps.preflight import prepare

CELLS = [(0.004, 4), (0.004, 8), (0.008, 4), (0.008, 8)]


def place(root: Path, name: str = "cells") -> tuple[Workspace, RunStore, SweepFolder]:
    workspace = Workspace(root)
    store = RunStore(workspace.state_dir)
    return workspace, store, SweepFolder(store, "shapes", name)


def started(workspace: Workspace, folder: SweepFolder) -> None:
    sweep = load_project(workspace, "shapes", {}).sweeps[folder.name]
    prepared, findings = prepare(workspace, "shapes", sweep, os.environ)
    assert prepared is not None, findings
    begin(folder, prepared)
    start_process(folder, workspace, os.environ)


def ended(folder: SweepFolder, within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while folder.is_owned:
        assert time.monotonic() < deadline, folder.log.read_text()
        time.sleep(0.1)


def pid_of(folder: SweepFolder) -> int:
    """Of the process that holds the lock, by /proc/locks."""
    inode = folder.lock.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    raise AssertionError("nobody has the lock")


def test_a_grid_is_trained_cell_by_cell(shapes: Path) -> None:
    workspace, store, folder = place(shapes)
    started(workspace, folder)
    ended(folder)
    trials = folder.trials()
    assert [tuple(trial.values.values()) for trial in trials] == CELLS, folder.log.read_text()
    assert [trial.ending for trial in trials] == ["succeeded"] * 4
    assert folder.end() == "all 4 trials"
    models = shapes / "projects/shapes/models"
    assert sorted(one.name for one in (models / "tiny.sweeps/cells").iterdir()) == [
        "t000",
        "t001",
        "t002",
        "t003",
    ]
    assert not (models / "tiny/train").exists()
    for trial in trials:
        record = store.load(str(trial.run))
        assert (record.experiment, record.epochs) == (f"cells-{trial.name}", 1)
        found = raw_values(store.load_plan(record.id))
        assert {key: found[key] for key in trial.values} == trial.values
    best = best_of(trials, maximize=True)
    assert best is not None
    kept = {
        path.relative_to(models / "tiny.sweeps/cells").parts[0] for path in models.rglob("model_epoch_*.npz")
    }
    assert kept == {best.name}
    assert not [one.message for one in load_project(workspace, "shapes", {}).findings]


@pytest.mark.slow
def test_kills_at_random_moments_lose_and_double_no_trial(shapes: Path) -> None:
    workspace, store, folder = place(shapes)
    seed = int(os.environ.get("TAORUNNER_FAULT_SEED", random.SystemRandom().randrange(10**6)))
    print(f"TAORUNNER_FAULT_SEED={seed}")
    chance, kills = random.Random(seed), 0
    started(workspace, folder)
    for _ in range(8):
        time.sleep(chance.uniform(0.0, 2.0))
        if not folder.is_owned:
            break
        os.kill(pid_of(folder), signal.SIGKILL)
        kills += 1
        while folder.is_owned:
            time.sleep(0.01)
        if chance.random() < 0.3:
            with folder.journal.open("ab") as file:
                file.write(b'{"trial": 3, "ru')
        started(workspace, folder)
    ended(folder)
    trials = folder.trials()
    assert kills > 0
    assert [tuple(trial.values.values()) for trial in trials] == CELLS
    assert [trial.ending for trial in trials] == ["succeeded"] * 4, folder.log.read_text()
    trained = [record for record in store.records() if record.action == "train"]
    assert sorted(record.id for record in trained) == sorted(str(trial.run) for trial in trials)


def test_a_sweep_survives_the_end_of_its_terminal(shapes: Path) -> None:
    _, _, folder = place(shapes)
    viewer = subprocess.Popen(
        [sys.executable, "-m", "taorunner", "-p", "shapes", "sweep", "run", "cells"], cwd=shapes,
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert viewer.stdout is not None
    with viewer.stdout as lines:
        assert lines.readline().startswith(b"t000 started: learning_rate 0.004, batch_size 4")
        os.killpg(viewer.pid, signal.SIGHUP)
        viewer.wait()
    ended(folder)
    assert [trial.ending for trial in folder.trials()] == ["succeeded"] * 4
