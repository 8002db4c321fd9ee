"""Sweeps that train: the values are in the specs, the results are apart, and no kill loses or doubles a trial."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_daemon import pid_of

from taorunner.console.sweeps.sweep_view import state_word
from taorunner.errors import TaorunnerError
from taorunner.events import RunStarted, RunState
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.runs.inputs.spec_values import raw_values
from taorunner.runs.state.run_repair import NEVER_STARTED
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.checks.preflight import prepare
from taorunner.sweeps.control import begin, start_process, stop
from taorunner.sweeps.folder import SweepFolder
from taorunner.sweeps.loop import best_of
from taorunner.sweeps.trial import Trial

CELLS = [(0.004, 4), (0.004, 8), (0.008, 4), (0.008, 8)]


def place(root: Path, name: str = "cells") -> tuple[Workspace, RunStore, SweepFolder]:
    workspace = Workspace(root)
    store = RunStore(workspace.state_dir)
    return workspace, store, SweepFolder(store, "shapes", name)


def started(workspace: Workspace, folder: SweepFolder) -> None:
    sweep = load_project(workspace, "shapes", {}).sweeps[folder.name]
    prepared, findings = prepare(workspace, "shapes", sweep, os.environ)
    assert prepared is not None, findings
    begin(folder, workspace.project("shapes").models_dir, prepared)
    start_process(folder, workspace, os.environ)


def ended(folder: SweepFolder, within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while folder.is_owned:
        assert time.monotonic() < deadline, folder.log.read_text()
        time.sleep(0.1)


def test_a_grid_is_trained_cell_by_cell(shapes: Path) -> None:
    workspace, store, folder = place(shapes)
    started(workspace, folder)
    ended(folder)
    trials = folder.trials()
    assert [tuple(trial.values.values()) for trial in trials] == CELLS, folder.log.read_text()
    assert [trial.ending for trial in trials] == ["succeeded"] * 4
    assert folder.end() == "all 4 trials"
    assert len({store.load(str(trial.run)).batch for trial in trials}) == 1  # one supervisor for all
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
def test_twenty_kills_at_random_moments_lose_and_double_no_trial(shapes: Path, seed: int) -> None:
    """Of the loop and of the supervisor of its runs, some with a torn line in the journal."""
    workspace, store, folder = place(shapes, "twelve")
    chance, kills = random.Random(seed), {"loop": 0, "supervisor": 0}
    started(workspace, folder)
    while sum(kills.values()) < 20:
        time.sleep(chance.uniform(0.0, 0.3))  # twenty come before the sweep can end
        assert folder.is_owned, f"it ended after {kills}"
        kind = chance.choice(list(kills))
        victim = awaited_supervisor(store, folder) if kind == "supervisor" else pid_of(folder.lock)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            kills[kind] += 1
        if kind == "loop":
            while folder.is_owned:
                time.sleep(0.01)
            if chance.random() < 0.4:
                with folder.journal.open("ab") as file:
                    file.write(b'{"trial": 3, "ru')
            started(workspace, folder)
    ended(folder, within_s=300)
    trials = folder.trials()
    print(kills)
    assert all(kills.values())
    cells = itertools.product([0.004, 0.008, 0.016], [4, 8], ["tiny", "small"])
    assert [tuple(trial.values.values()) for trial in trials] == list(cells)
    assert [trial.ending for trial in trials] == ["succeeded"] * 12, folder.log.read_text()
    assert_each_ran_once(store, folder)


def awaited_supervisor(store: RunStore, folder: SweepFolder) -> int:
    """On a loaded machine a loop may be killed many times before it gets as far as to start one."""
    deadline = time.monotonic() + 60
    while (found := supervisor_of(store, folder)) is None:
        assert folder.is_owned and time.monotonic() < deadline, folder.log.read_text()
        time.sleep(0.01)
    return found


def supervisor_of(store: RunStore, folder: SweepFolder) -> int | None:
    """The process that has the batch of the sweep, if it has one now."""
    runs = [trial.run for trial in folder.trials() if trial.run is not None and not trial.is_over]
    for run in runs:
        with contextlib.suppress(TaorunnerError, OSError, AssertionError):
            return pid_of(store.batch_paths(store.load(run).batch).lock)
    return None


def assert_each_ran_once(store: RunStore, folder: SweepFolder) -> None:
    """No run but those of the trials, each started once; a kill may leave one that never started."""
    runs = sorted(str(trial.run) for trial in folder.trials())
    trained = [
        record for record in store.records() if record.action == "train" and record.reason != NEVER_STARTED
    ]
    assert sorted(record.id for record in trained) == runs
    for record in trained:
        starts = [one for one in store.read_events(record.id)[0] if isinstance(one, RunStarted)]
        assert (len(starts), record.retries_made) == (1, 0), record.id


def test_a_trial_that_waited_when_the_sweep_was_stopped_comes_when_it_goes_on(shapes: Path) -> None:
    """The run of the next trial of a grid waits already, so that no time is lost between two."""
    workspace, store, folder = place(shapes, "long")
    started(workspace, folder)
    states: list[RunState] = []
    deadline = time.monotonic() + 60
    while states != [RunState.RUNNING, RunState.QUEUED]:
        assert time.monotonic() < deadline, states
        with contextlib.suppress(TaorunnerError):
            states = [store.load(str(trial.run)).state for trial in folder.trials() if trial.run]
        time.sleep(0.02)
    assert [state_word(trial) for trial in folder.seen_trials()] == ["running", "queued"]
    waiting = str(folder.trials()[1].run)
    stop(store, folder, at_once=False)
    ended(folder)
    trials = folder.trials()
    assert [trial.ending for trial in trials] == ["succeeded", None]
    assert (trials[1].run, trials[1].attempt, folder.end()) == (None, 1, "stopped")
    assert (store.load(waiting).state, store.load(waiting).started_at) == (RunState.STOPPED, None)
    started(workspace, folder)
    ended(folder)
    assert [trial.ending for trial in folder.trials()] == ["succeeded"] * 2
    runs = {str(trial.run) for trial in folder.trials()}
    assert {one.id for one in store.records() if one.action == "train"} == {*runs, waiting}


def test_a_stop_with_now_leaves_the_trial_that_waited_to_the_next_time(shapes: Path) -> None:
    """Also where its run was ended before the loop has seen that the sweep is to stop."""
    workspace, store, folder = place(shapes, "long")
    started(workspace, folder)
    deadline = time.monotonic() + 60
    while (
        len(states := [store.load(str(one.run)).state for one in folder.trials() if recorded(store, one)]) < 2
    ):
        assert time.monotonic() < deadline, states
        time.sleep(0.02)
    loop = pid_of(folder.lock)
    os.kill(loop, signal.SIGSTOP)
    try:
        stop(store, folder, at_once=True)
    finally:
        os.kill(loop, signal.SIGCONT)
    ended(folder)
    first, second = folder.trials()
    assert (first.ending in ("stopped", None), second.ending, second.run) == (True, None, None)
    started(workspace, folder)
    ended(folder)
    assert folder.trials()[1].ending == "succeeded", folder.log.read_text()


def recorded(store: RunStore, trial: Trial) -> bool:
    return trial.run is not None and store.paths(trial.run).record.exists()


def test_values_that_are_being_trained_are_not_trained_twice(shapes: Path) -> None:
    file = shapes / "projects/shapes/experiments.yml"
    space = "    space:\n      train.batch_size: {choice: [4]}\n"
    head = "  alike:\n    base: tiny\n    sampler: random\n    trials: 4\n    parallel: 3\n    epochs: 1\n"
    file.write_text(file.read_text() + head + space)
    workspace, store, folder = place(shapes, "alike")
    started(workspace, folder)
    ended(folder)
    trials = folder.trials()
    first = next(trial for trial in trials if trial.values["train.batch_size"] == 4)
    ending = ["succeeded" if trial.number in (0, first.number) else "same" for trial in trials]
    assert [trial.ending for trial in trials] == ending, folder.log.read_text()
    assert len([one for one in store.records() if one.action == "train"]) == ending.count("succeeded")
    assert {trial.value for trial in trials if trial.ending == "same"} == {first.value}


def test_a_supervisor_that_was_killed_is_replaced_without_anybody_looking(shapes: Path) -> None:
    workspace, store, folder = place(shapes)
    started(workspace, folder)
    os.kill(awaited_supervisor(store, folder), signal.SIGKILL)
    ended(folder)
    assert [trial.ending for trial in folder.trials()] == ["succeeded"] * 4
    assert_each_ran_once(store, folder)


def test_a_trial_that_a_power_cut_ended_is_trained_once_more(shapes: Path) -> None:
    """All processes are killed at once, and what is on record is of another boot."""
    workspace, store, folder = place(shapes, "long")
    started(workspace, folder)
    deadline = time.monotonic() + 60
    running: list[str] = []  # on record: what was only begun goes back into the queue
    while not running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        running = [
            one.id for one in store.records() if one.state is RunState.RUNNING and one.handle is not None
        ]
    begun = [store.paths(run).directory / "process/started.json" for run in running]
    supervisor = supervisor_of(store, folder)
    for pid in (pid_of(folder.lock), supervisor):
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
    for record in begun:
        with contextlib.suppress(OSError, ValueError):
            body = json.loads(record.read_text())
            record.write_text(json.dumps({**body, "boot": "another boot"}))
            reaper = int(Path(f"/proc/{body['pid']}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(reaper, signal.SIGKILL)  # it would say how the process ended
            os.kill(body["pid"], signal.SIGKILL)
    while folder.is_owned:
        time.sleep(0.01)
    started(workspace, folder)
    ended(folder)
    trials = folder.trials()
    assert [trial.ending for trial in trials] == ["succeeded"] * 2, folder.log.read_text()
    lost = [record for record in store.records() if record.state is RunState.LOST]
    assert len(lost) == sum(trial.attempt == 2 for trial in trials) >= 1
    again = next(trial for trial in trials if trial.attempt == 2)
    assert store.load_plan(str(again.run)).results_dir.name == f"{again.name}.2"


def test_a_sweep_that_begins_again_keeps_the_results_of_the_first(shapes: Path) -> None:
    workspace, store, folder = place(shapes)
    started(workspace, folder)
    ended(folder)
    first = [trial.run for trial in folder.trials()]
    sweep = load_project(workspace, "shapes", {}).sweeps["cells"]
    prepared, findings = prepare(workspace, "shapes", sweep, os.environ)
    assert prepared is not None, findings
    begin(folder, workspace.project("shapes").models_dir, prepared, new=True)
    start_process(folder, workspace, os.environ)
    ended(folder)
    assert [trial.ending for trial in folder.trials()] == ["succeeded"] * 4, folder.end()
    second = [trial.run for trial in folder.trials()]
    places = [store.load_plan(str(run)).results_dir for run in (*first, *second)]
    assert len(set(places)) == 8
    assert all((place / "train").is_dir() for place in places)
    (aside,) = [one for one in folder.directory.parent.iterdir() if one != folder.directory]
    assert [trial.run for trial in SweepFolder(store, "shapes", aside.name).trials()] == first


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path], None]]:
    """``small_disk(folder)`` makes the folder a file system of its own, of 160 KiB."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        folder.mkdir(parents=True)
        words = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_loop_with_a_sentence_and_it_goes_on_later(
    shapes: Path, small_disk: Callable[[Path], None]
) -> None:
    workspace, store, folder = place(shapes)
    small_disk(folder.directory)
    started(workspace, folder)
    filler = folder.directory / "filler"
    while not folder.trials():
        time.sleep(0.05)
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)
    ended(folder)
    said = folder.log.read_text(errors="replace")
    assert "Traceback" not in said
    filler.unlink()
    started(workspace, folder)
    ended(folder)
    assert [trial.ending for trial in folder.trials()] == ["succeeded"] * 4, folder.log.read_text()
    assert_each_ran_once(store, folder)


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
