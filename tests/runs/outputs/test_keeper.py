"""``--keep-checkpoints`` of a run: what is removed, what is said, and values of the runs that it resumes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.events import CheckpointSaved, EpochProgress, Event, MetricReported
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.outputs.keeper import CheckpointKeeper, removed_by_rule
from taorunner.runs.outputs.measured import measured_epochs
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.record import RunPolicy, RunRecord
from taorunner.runs.state.store import RunStore

RUN, EARLIER = "20260102-000000-e-train-bbbbb2", "20260101-000000-e-train-aaaaa1"
AT = datetime(2026, 1, 2, tzinfo=timezone.utc)
CONTRACT = load_network("tinydet").contract("train")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "models/e"


def run(
    store: RunStore,
    results: Path,
    rule: str | None,
    network: str = "tinydet",
    run_id: str = RUN,
    at: datetime = AT,
) -> RunRecord:
    plan = RunPlan(
        project="p", experiment="e", action="train", backend="local", contract=load_network(network).contract("train"),
        argv=(), workspace=results.parents[1], results_dir=results, results_inside=str(results), run_inside="/nowhere",
    )  # fmt: skip
    create_batch(store, [(run_id, plan)], at, environ={}, policy=RunPolicy(keep_checkpoints=rule))
    record = replace(store.load(run_id), started_at=at, launched_at=at)
    store.save(record)
    return record


def saved(
    store: RunStore,
    results: Path,
    values: Sequence[float],
    run_id: str = RUN,
    at: datetime = AT,
    first: int = 1,
) -> list[Event]:
    """Checkpoints of the epochs from ``first`` on, with their values."""
    events: list[Event] = []
    for epoch, value in enumerate(values, first):
        path = results / f"train/model_epoch_{epoch - 1:03}_step_00010.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"w" * 1024)
        moment = (at + timedelta(minutes=epoch)).timestamp()
        os.utime(path, (moment, moment))
        events += [
            MetricReported(
                run=run_id, at=at, name="val_mAP50", value=value, epoch=epoch, direction="up", rank=0
            ),
            CheckpointSaved(run=run_id, at=at, path=str(path), epoch=epoch),
        ]
    store.append_events(run_id, events)
    return events


def known(store: RunStore) -> Callable[[str], tuple[RunRecord, RunPlan]]:
    return lambda run_id: (store.load(run_id), store.load_plan(run_id))


def left(results: Path) -> list[int]:
    return sorted(int(path.name[12:15]) + 1 for path in (results / "train").glob("*.npz"))


LATER = AT + timedelta(hours=1)


def test_after_each_new_checkpoint_old_ones_are_removed_and_reported(store: RunStore, results: Path) -> None:
    run(store, results, "last:2")
    events = saved(store, results, [0.9, 0.2, 0.3, 0.4])
    said: list[tuple[str, str, str, str]] = []
    keeper = CheckpointKeeper(store, known(store), lambda *notice: said.append(notice))
    keeper.write(RUN, [EpochProgress(run=RUN, at=AT, epoch=1)])
    assert said == [] and left(results) == [1, 2, 3, 4]
    keeper.write(RUN, events)
    text = "removed model_epoch_001_step_00010.npz (1.0 KiB): --keep-checkpoints last:2"
    assert said == [(RUN, "info", "checkpoint-removed", text)]
    assert left(results) == [1, 3, 4]


def test_without_a_rule_nothing_is_removed(store: RunStore, results: Path) -> None:
    run(store, results, None)
    CheckpointKeeper(store, known(store), lambda *_: pytest.fail("reported")).write(
        RUN, saved(store, results, [0.1, 0.2, 0.3])
    )
    assert left(results) == [1, 2, 3]


def test_at_the_end_the_rule_is_exact(store: RunStore, results: Path) -> None:
    record = run(store, results, "best:1")
    saved(store, results, [0.1, 0.9, 0.3, 0.4])
    notices = removed_by_rule(store, record, store.load_plan(RUN), LATER, is_running=False)
    assert [code for _, code, _ in notices] == ["checkpoint-removed"] * 2
    assert left(results) == [2, 4]


def test_without_a_metric_best_removes_nothing_and_says_so(store: RunStore, results: Path) -> None:
    record = run(store, results, "best:1")
    saved(store, results, [float("nan")] * 3)
    store.paths(RUN).events.write_text("")
    notices = removed_by_rule(store, record, store.load_plan(RUN), LATER, is_running=False)
    text = "--keep-checkpoints best:1 removed nothing: no metric says which is best"
    assert notices == [("warning", "checkpoints-kept", text)]
    assert left(results) == [1, 2, 3]


def test_checkpoints_that_are_folders_stay(store: RunStore, results: Path) -> None:
    record = run(store, results, "last:1")
    plan = store.load_plan(RUN)
    contract = replace(plan.contract, checkpoints=replace(plan.contract.checkpoints, is_directory=True))
    for epoch in range(3):
        (results / f"train/model_epoch_00{epoch}_step_00010.npz").mkdir(parents=True)
    notices = removed_by_rule(store, record, replace(plan, contract=contract), LATER, is_running=False)
    assert notices == [
        (
            "warning",
            "checkpoints-kept",
            "--keep-checkpoints last:1 removed nothing: this network's checkpoints are folders",
        )
    ]
    assert left(results) == [1, 2, 3]


def test_a_resumed_training_knows_the_values_of_the_one_before(store: RunStore, results: Path) -> None:
    earlier = AT - timedelta(days=1)
    before = run(store, results, None, run_id=EARLIER, at=earlier)
    store.save(replace(before, finished_at=earlier + timedelta(minutes=30)))
    saved(store, results, [0.1, 0.9], EARLIER, earlier)
    record = replace(run(store, results, "best:1"), resumed_from=EARLIER)
    saved(store, results, [0.2, 0.3], first=3)
    found = sorted((results / "train").glob("*.npz"))
    measured = measured_epochs(store, [record, store.load(EARLIER)], found, CONTRACT.checkpoints, LATER)
    assert measured is not None and measured.values == {1: 0.1, 2: 0.9, 3: 0.2, 4: 0.3}
    removed_by_rule(store, record, store.load_plan(RUN), LATER, is_running=False)
    assert left(results) == [2, 4]


def test_checkpoints_of_unknown_runs_have_no_values(store: RunStore, results: Path) -> None:
    record = run(store, results, "best:1")
    saved(store, results, [0.1, 0.2], at=AT - timedelta(days=9))
    found = sorted((results / "train").glob("*.npz"))
    assert measured_epochs(store, [record], found, CONTRACT.checkpoints, LATER) is None
