"""A sweep that is followed without a terminal: a line for each trial that starts or ends, in order, and none is left out."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.console.sweeps.follow import follow, news
from taorunner.events import RunState
from taorunner.project.sweeps.definition import Axis, Sweep
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import StoredSweep, SweepFolder

SWEEP = Sweep(
    name="lr_search", base="dino_01", trials=24, sampler="random",
    space=(Axis(key="train.optim.lr", kind="log", low=1e-5, high=1e-3),),
)  # fmt: skip
STORED = StoredSweep(body={}, metric="val_mAP50", maximize=True, started_at="", results="")
BEGIN = datetime(2026, 11, 30, 10, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    (tmp_path / ".taorunner").mkdir()
    return RunStore(tmp_path / ".taorunner")


@pytest.fixture
def folder(store: RunStore) -> SweepFolder:
    found = SweepFolder(store, "p", "lr_search")
    found.directory.mkdir(parents=True)
    return found


def run_of(
    store: RunStore, folder: SweepFolder, number: int, began_s: int | None, ended_s: int | None = None
) -> None:
    """Records a trial and its run, which began and ended so many seconds after the sweep."""
    run = f"20261130-100000-x-train-00000{number}"
    state = (
        RunState.QUEUED if began_s is None else RunState.RUNNING if ended_s is None else RunState.SUCCEEDED
    )
    times = [None if at is None else BEGIN + timedelta(seconds=at) for at in (began_s, ended_s)]
    store.paths(run).directory.mkdir(parents=True, exist_ok=True)
    store.save(
        RunRecord(
            id=run, batch="b", project="p", experiment="x", action="train", backend="process", state=state,
            queued_at=BEGIN, started_at=times[0], finished_at=times[1], image=None, epochs=2, results_dir="r",
        )
    )  # fmt: skip
    folder.add(number, values={"train.optim.lr": 0.0001 * (number + 1)}, base=False)
    folder.add(number, run=run)
    if ended_s is not None:
        folder.add(number, ended="succeeded", value=0.5, epoch=2, curve=[[2, 0.5]])


def test_a_trial_that_was_over_before_the_first_look_has_started_too(
    store: RunStore, folder: SweepFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of(store, folder, 0, 1, 3)
    run_of(store, folder, 1, 2, 4)
    folder.add(2, values={"train.optim.lr": 0.0001}, base=False)
    folder.add(2, ended="same", value=0.5, epoch=2, reason="the values of t000")
    assert follow(store, folder, SWEEP, STORED, earlier=set(), is_silent=False) is False
    assert capsys.readouterr().out.splitlines() == [
        "t000 started: lr 0.0001",
        "t001 started: lr 0.0002",
        "t000 succeeded: val_mAP50 0.5000 at 2",
        "t001 succeeded: val_mAP50 0.5000 at 2",
        "t002 same: val_mAP50 0.5000 at 2 (the values of t000)",
        "",
    ]


def test_of_earlier_trials_only_the_end_is_said(
    store: RunStore, folder: SweepFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of(store, folder, 0, 1, 3)
    run_of(store, folder, 1, 4, 6)
    assert follow(store, folder, SWEEP, STORED, earlier={0}, is_silent=False) is False
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "t000 succeeded",
        "t001 started",
        "t001 succeeded",
        "",
    ]


def test_each_look_says_what_is_new(store: RunStore, folder: SweepFolder) -> None:
    seen: dict[int, object] = {}

    def look() -> list[tuple[int, str | None]]:
        return [(one.number, one.ending) for one in news(store, folder.seen_trials(), seen)]  # type: ignore[arg-type]

    run_of(store, folder, 0, None)
    assert look() == []
    run_of(store, folder, 0, 1)
    assert look() == [(0, None)]
    assert look() == []
    run_of(store, folder, 0, 1, 2)
    run_of(store, folder, 1, 3)
    assert look() == [(0, "succeeded"), (1, None)]
    assert look() == []
