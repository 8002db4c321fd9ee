"""What a stop of the sweep does to runs that wait: only those that never began leave the queue, and their trials come later."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.events import RunState
from taorunner.project.sweeps.definition import Axis, Sweep
from taorunner.project.workspace import Workspace
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.run_repair import NEVER_STARTED
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import StoredSweep, SweepFolder
from taorunner.sweeps.loop import TAKEN_BACK, SweepLoop
from taorunner.sweeps.trial import Trial

AT = datetime(2026, 11, 30, 10, tzinfo=timezone.utc)
RUN = "20261130-100000-x-train-000000"
SWEEP = Sweep(
    name="lr", base="x", trials=4, sampler="random",
    space=(Axis(key="train.optim.lr", kind="log", low=1e-5, high=1e-3),),
)  # fmt: skip
STORED = StoredSweep(
    body={}, metric="val_mAP50", maximize=True, started_at=AT.isoformat(), results="x.sweeps/lr"
)


class Place:
    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.store = RunStore(self.workspace.state_dir)
        self.folder = SweepFolder(self.store, "p", "lr")
        self.folder.directory.mkdir(parents=True)
        self.folder.add(0, values={"train.optim.lr": 0.0001}, base=False)
        self.folder.add(0, run=RUN)

    def records(self, state: RunState, *, started: bool, reason: str | None = None) -> None:
        self.store.paths(RUN).directory.mkdir(parents=True)
        self.store.save(
            RunRecord(
                id=RUN, batch="b", project="p", experiment="x", action="train", backend="slurm", state=state,
                queued_at=AT, started_at=AT if started else None, reason=reason, results_dir="r",
            )
        )  # fmt: skip

    def loop(self) -> SweepLoop:
        return SweepLoop(self.workspace, self.store, self.folder, SWEEP, STORED, {}, gpus=1, parallel=1)

    def stops(self) -> Trial:
        """The trial after the loop has stopped."""
        assert self.loop().run(lambda: True) == "stopped"
        (trial,) = self.folder.trials()
        return trial


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_run_that_started_while_it_was_taken_back_is_made_again(place: Place) -> None:
    place.folder.add(0, pruning=TAKEN_BACK)
    place.records(RunState.STOPPED, started=True)
    trial = place.stops()
    assert (trial.run, trial.ending, trial.attempt) == (None, None, 2)


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_run_that_was_ended_before_it_began(place: Place, is_asked: bool) -> None:
    """It comes again when the whole sweep was stopped, and not where somebody stopped this one."""
    place.records(RunState.STOPPED, started=False, reason="stopped while it was queued")
    if is_asked:
        place.folder.ask_to_stop()
    loop = place.loop()
    loop.run(lambda: True)
    (trial,) = loop.trials
    assert (trial.run, trial.ending) == ((None, None) if is_asked else (RUN, "stopped"))


def test_a_run_whose_recording_was_interrupted_is_made_again(place: Place) -> None:
    place.records(RunState.STOPPED, started=False, reason=NEVER_STARTED)
    trial = place.stops()
    assert (trial.run, trial.ending, trial.attempt) == (None, None, 1)


@pytest.mark.parametrize("began", [True, False])
def test_only_runs_that_never_began_leave_the_queue(place: Place, began: bool) -> None:
    """A cluster puts a run back into its queue that another one pushed away."""
    place.records(RunState.WAITING, started=began)
    loop = place.loop()
    loop._take_back()
    (trial,) = place.folder.trials()
    assert trial.pruning == (None if began else TAKEN_BACK)
    assert place.store.paths(RUN).stop_request.exists() is not began
