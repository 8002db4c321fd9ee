"""Where the list of runs says that they are, of real runs on disk; what a viewer says of the same runs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest

from taorunner.console.live.queue_order import Turn, turns
from taorunner.console.live.queue_reasons import queue_reasons
from taorunner.console.live.run_facts import read_facts
from taorunner.console.runs.run_places import places
from taorunner.events import Notice, RunStarted, RunState, now
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.snapshot import Fold, RunSnapshot
from taorunner.runs.state.store import RunStore

ONE = GpuRequest(1)


@pytest.fixture
def store(make_plan: Callable[..., RunPlan], tmp_path: Path) -> RunStore:
    """One batch: a run that has begun, one that names a GPU, two that take any, and one after the first."""
    store = RunStore(tmp_path / ".taorunner")
    asked = {"first": ONE, "named": GpuRequest(1, ("3",)), "any": GpuRequest(2), "last": ONE, "then": ONE}
    plans = [
        (f"20260101-00000{at}-{name}-train-abc12{at}", replace(
            make_plan("sh", experiment=name), resources=Resources(gpus=gpus)
        ))
        for at, (name, gpus) in enumerate(asked.items())
    ]  # fmt: skip
    batch = create_batch(store, plans, now(), environ={})
    store.save(replace(store.load(batch.runs[0]), state=RunState.RUNNING))
    store.save(replace(store.load(batch.runs[4]), after=batch.runs[0]))
    return store


def records_of(store: RunStore) -> list[RunRecord]:
    return sorted(store.unfinished(), key=lambda record: record.id)


def snapshots_of(records: list[RunRecord]) -> list[RunSnapshot]:
    return [
        RunSnapshot(
            id=one.id, experiment=one.experiment, action=one.action, backend="docker", state=one.state
        )
        for one in records
    ]


EXPECTED = ["docker", "next; needs GPU 3", "next; needs 2 GPUs", "behind any", "after train"]


def test_a_list_and_a_viewer_agree_on_the_queue(store: RunStore) -> None:
    records = records_of(store)
    snapshots = snapshots_of(records)
    assert list(places(store, records, snapshots, with_backend=True).values()) == EXPECTED
    names = {one.id: one.experiment for one in snapshots}
    facts = read_facts(store, list(names))
    assert [*queue_reasons(snapshots, names, facts, {}, (), now()).values()] == EXPECTED[1:]


def test_records_that_are_known_are_not_read_again(store: RunStore) -> None:
    records = records_of(store)
    snapshots = snapshots_of(records)
    read: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is RunStore.load.__code__:
            read[frame.f_locals["run_id"]] += 1

    sys.setprofile(count)
    try:
        found = places(store, records, snapshots, with_backend=False)
        assert not read
        some = places(store, records[3:4], snapshots[3:4], with_backend=False)
    finally:
        sys.setprofile(None)
    assert some == {records[3].id: found[records[3].id]}
    assert set(read.values()) == {1} and len(read) == 4


def test_a_run_that_is_tried_again_has_no_turn() -> None:
    runs = [RunSnapshot(id=name, state=RunState.QUEUED) for name in ("a", "b", "c")]
    assert turns(runs, {}, lambda _: False, {"a"}) == {"b": Turn(), "c": Turn(behind="b")}
    # behind another, a run that names its GPUs is in the row
    assert turns(runs, {}, lambda run: run == "b") == {
        "a": Turn(),
        "b": Turn(behind="a"),
        "c": Turn(behind="b"),
    }


def test_a_run_without_gpu_waits_for_the_one_that_runs(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    store = RunStore(tmp_path / ".taorunner")
    none = Resources(gpus=GpuRequest(0))
    plans = [
        (
            f"20260101-00000{at}-e{at}-train-abc12{at}",
            replace(make_plan("sh", experiment=f"e{at}"), resources=none),
        )
        for at in (0, 1)
    ]
    batch = create_batch(store, plans, now(), environ={})
    shown = snapshots_of(records_of(store))
    assert list(places(store, records_of(store), shown, with_backend=False).values()) == ["next", "behind e0"]
    store.save(replace(store.load(batch.runs[0]), state=RunState.RUNNING))
    shown = snapshots_of(records_of(store))
    found = places(store, records_of(store), shown, with_backend=False)
    assert found[batch.runs[1]] == "next; runs without GPU start one at a time"
    for backend in ("slurm", "kubernetes"):  # their own queue has no such rule
        store.save(replace(store.load(batch.runs[1]), backend=backend))
        found = places(store, records_of(store), shown, with_backend=False)
        assert found[batch.runs[1]] == "next"


def test_a_run_on_a_cluster_names_it_and_its_nodes(store: RunStore) -> None:
    records = records_of(store)[:2]
    store.save(replace(records[0], cluster="dgx", nodes=2))
    store.save(replace(records[1], cluster="dgx", nodes=2, state=RunState.WAITING))
    records = records_of(store)[:2]
    running, waiting = snapshots_of(records)
    snapshots = [running, replace(waiting, waiting="Priority")]
    found = places(store, records, snapshots, with_backend=False)
    assert list(found.values()) == ["dgx, 2 nodes", "dgx: Priority"]
    assert [record.origin_json()["cluster"] for record in records] == ["dgx", "dgx"]
    assert read_facts(store, [records[0].id])[records[0].id].cluster == "dgx"


def test_a_run_that_its_cluster_may_not_have_yet_says_so(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    store = RunStore(tmp_path / ".taorunner")
    plans = [
        (
            f"20260101-00000{at}-e{at}-train-abc12{at}",
            replace(
                make_plan("sh", experiment=f"e{at}"),
                cluster=cluster,
                backend_options={"max_submitted": 1},
                resources=Resources(gpus=ONE),
            ),
        )
        for at, cluster in enumerate(("dgx", "dgx", "other"))
    ]
    batch = create_batch(store, plans, now(), environ={})
    store.save(replace(store.load(batch.runs[0]), state=RunState.WAITING))
    records = records_of(store)
    found = places(store, records[1:2], snapshots_of(records[1:2]), with_backend=False)
    assert [*found.values()] == ["max_submitted 1 is reached"]
    store.save(replace(store.load(batch.runs[1]), state=RunState.STOPPED))
    records = records_of(store)
    found = places(store, records[1:], snapshots_of(records[1:]), with_backend=False)
    assert [*found.values()] == ["next; needs 1 GPU"]


def test_an_engine_that_does_not_answer_is_shown_with_its_age(store: RunStore) -> None:
    (record,) = [one for one in records_of(store) if one.state is RunState.RUNNING]
    said: list[str] = []
    fold = Fold(record.id)
    fold.apply(RunStarted(run=record.id, at=now(), image=None, image_digest=None, gpus=(), handle="7"))
    silent = f"docker does not answer since {now().astimezone():%H:}"
    for text in ("the scheduler does not answer (since 10:00)", "the scheduler answers again") * 2:
        fold.apply(Notice(run=record.id, at=now(), level="warning", code="engine", text=text))
        (place,) = places(
            store, [record], [replace(fold.snapshot, backend="docker")], with_backend=True
        ).values()
        said.append(place[: len(silent)])
    assert said == [silent, "docker", silent, "docker"]


def test_the_nodes_that_a_scheduler_has_chosen_are_named(store: RunStore) -> None:
    (record,) = [one for one in records_of(store) if one.state is RunState.RUNNING]
    fold = Fold(record.id)
    fold.apply(RunStarted(run=record.id, at=now(), handle="7", where="h[1-2]"))
    shown = replace(fold.snapshot, backend="slurm")
    for cluster, count, text in (
        (None, 1, "slurm, h[1-2]"),
        ("dgx", 1, "dgx, h[1-2]"),
        ("dgx", 2, "dgx, 2 nodes: h[1-2]"),
    ):
        of_run = replace(record, cluster=cluster, nodes=count)
        assert [*places(store, [of_run], [shown], with_backend=False).values()] == [text]
