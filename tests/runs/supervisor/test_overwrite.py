"""``--overwrite``: results go aside at the last moment, and come back when the run never starts."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from plain_runs import PlainBackend, plain_plan

from taorunner.backends.contract import (
    EngineRequest,
    EngineState,
    EngineStatus,
    Handle,
    LogChunk,
    LogPosition,
    PullProgress,
    Report,
    Started,
)  # fmt: skip
from taorunner.errors import EngineRefusedError, MachineError, TaorunnerError
from taorunner.events import MetricReported, Notice, RunState, now
from taorunner.gpu.inventory import Gpu, Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.runs.control.recovery import mark_lost
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.record import RunPolicy, RunRecord
from taorunner.runs.state.store import Batch, RunStore
from taorunner.runs.supervisor.batch_runner import BatchRunner
from taorunner.runs.supervisor.run_files import make_room, put_back, recorded_moves
from taorunner.scheduling.gpu_allocator import FreeGpus

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)
Hook = Callable[[], None]


@dataclass
class Engine(PlainBackend):
    """Runs end well at once, unless a step has a hook that runs first."""

    preparing: list[Hook] = field(default_factory=list)
    submitting: list[Hook] = field(default_factory=list)
    has: EngineState | None = None
    answers: bool = True
    submitted: list[str] = field(default_factory=list)

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        if self.preparing:
            self.preparing.pop(0)()
        return None

    def submit(self, request: EngineRequest) -> Started:
        if self.submitting:
            self.submitting.pop(0)()
        self.submitted.append(request.run_id)
        self.has = EngineState.EXITED
        return Started(Handle(self.name, request.run_id, "c1", request.run_dir))

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        return {h.run_id: EngineStatus(self.has or EngineState.MISSING, 0) for h in handles}

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        return Handle(self.name, run_id, "c1", run_dir) if self.has else None

    def logs(self, handle: Handle, position: LogPosition) -> Stream:
        return Stream()

    def stop(self, handle: Handle, grace_s: float) -> None:
        return

    def remove(self, handle: Handle) -> None:
        self.has = None


class Stream:
    def __iter__(self) -> Iterator[LogChunk]:
        yield LogChunk("stdout", b"Execution status: PASS\n")

    def close(self) -> None:
        return


def refusing(error: TaorunnerError) -> Hook:
    def refuse() -> None:
        raise error

    return refuse


@dataclass
class World:
    root: Path
    store: RunStore

    @property
    def models(self) -> Path:
        return self.root / "models"

    def plan(self, name: str = "e1", **changes: Any) -> RunPlan:
        results = self.models / name
        results.mkdir(parents=True, exist_ok=True)
        (results / "old.hdf5").write_text(f"weights of {name}")
        settings = {"action": "train", "run_inside": "/run", "set_aside": (results,), "overwrite": True}
        return plain_plan(self.root, name, **{**settings, **changes})

    def batch(self, *plans: RunPlan, **policy: Any) -> Batch:
        named = [(f"20261120-00000{at}-{plan.experiment}-x", plan) for at, plan in enumerate(plans)]
        return create_batch(self.store, named, now(), environ={}, policy=RunPolicy(**policy), parallel=1)

    def go_on(self, batch: Batch, engine: Engine) -> list[RunRecord]:
        one_gpu = Inventory((Gpu(0, "GPU-0", "H100"),))
        gpus = FreeGpus(Leases(self.root / "leases"), lambda: one_gpu)
        BatchRunner(
            self.store, batch, make_backend=lambda _name: engine, gpus=gpus, environ={}, retry_waits_s=(0.0,)
        ).run()
        return [self.store.load(run_id) for run_id in batch.runs]

    def run(self, engine: Engine, *plans: RunPlan, **policy: Any) -> list[RunRecord]:
        return self.go_on(self.batch(*plans, **policy), engine)

    def notices(self, record: RunRecord) -> list[tuple[str, str]]:
        found = [event for event in self.store.read_events(record.id)[0] if isinstance(event, Notice)]
        return [(event.code, event.text) for event in found if event.code in ("set-aside", "put-back")]

    def tree(self) -> list[str]:
        return sorted(str(path.relative_to(self.models)) for path in self.models.rglob("*"))

    def stop(self, name: str, *, kill: bool = False) -> None:
        (run_id,) = [run for run in self.store.run_ids() if f"-{name}-" in run]
        self.store.request_stop(run_id, now(), kill=kill)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, RunStore(tmp_path / ".taorunner"))


def test_nothing_is_moved_when_the_engine_or_the_image_is_not_there(world: World) -> None:
    for error, code in ((MachineError("no engine"), 4), (EngineRefusedError("no such image"), 5)):
        shutil.rmtree(world.store.state_dir, ignore_errors=True)
        (record,) = world.run(Engine([refusing(error)]), world.plan())
        assert (record.state, record.error_code) == (RunState.FAILED, code)
        assert (world.tree(), world.notices(record)) == (["e1", "e1/old.hdf5"], [])


def test_nothing_is_moved_when_the_gpu_does_not_exist(world: World) -> None:
    (record,) = world.run(Engine(), world.plan(resources=Resources(gpus=GpuRequest(1, ("7",)))))
    assert (record.state, record.error_code) == (RunState.FAILED, 4)
    assert record.reason == "GPU 7 requested, this machine has only GPU 0"
    assert (world.tree(), world.notices(record)) == (["e1", "e1/old.hdf5"], [])


def test_nothing_is_moved_while_the_image_is_pulled(world: World) -> None:
    seen: list[list[str]] = []
    (record,) = world.run(Engine([lambda: seen.append(world.tree())]), world.plan())
    assert record.state is RunState.SUCCEEDED
    assert seen == [["e1", "e1/old.hdf5"]]
    (aside,) = world.models.glob("e1.*")
    assert (aside / "old.hdf5").read_text() == "weights of e1"
    assert world.notices(record) == [("set-aside", f"earlier results set aside as {aside.name}")]


@pytest.mark.parametrize("error", [MachineError("gone"), EngineRefusedError("no such device")])
def test_results_come_back_when_the_container_could_not_be_started(
    world: World, error: TaorunnerError
) -> None:
    seen: list[list[str]] = []

    def refuse() -> None:
        seen.append(world.tree())
        raise error

    (record,) = world.run(Engine(submitting=[refuse]), world.plan())
    assert (record.state, record.error_code) == (RunState.FAILED, int(error.exit_code))
    assert "e1/old.hdf5" not in seen[0] and any(name.endswith("/old.hdf5") for name in seen[0])
    assert world.tree() == ["e1", "e1/old.hdf5"]
    assert (world.models / "e1" / "old.hdf5").read_text() == "weights of e1"
    assert world.notices(record)[1:] == [
        ("put-back", f"put {world.models / 'e1'} back: the run never started")
    ]
    assert recorded_moves(world.store.paths(record.id).directory) == []


@dataclass
class Pulling(Engine):
    """Reports its pull until the start is cancelled, for five seconds at most."""

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        super().prepare(plan, report)
        deadline = now().timestamp() + 5
        while now().timestamp() < deadline:
            report(PullProgress("tao", 1, 2, 10, 20, None))
        return None


@pytest.mark.parametrize("kill", [False, True])
def test_a_run_that_is_stopped_while_its_image_is_pulled_does_not_start(world: World, kill: bool) -> None:
    engine = Pulling([lambda: world.stop("e1", kill=kill)])
    (record,) = world.run(engine, world.plan())
    assert (record.state, record.reason) == (RunState.STOPPED, "stopped before it started")
    assert (engine.submitted, world.tree()) == ([], ["e1", "e1/old.hdf5"])


def test_a_stop_right_before_the_start_leaves_the_results_in_their_place(world: World) -> None:
    def stop() -> None:
        world.stop("e1")
        deadline = now().timestamp() + 5
        while world.store.load(world.store.run_ids()[0]).stop_requested_at is None:
            assert now().timestamp() < deadline
        time.sleep(0.5)  # the request is on record first, then the worker is told

    (record,) = world.run(Engine([stop]), world.plan())
    assert (record.state, record.reason) == (RunState.STOPPED, "stopped before it started")
    assert world.tree() == ["e1", "e1/old.hdf5"]


def test_results_of_a_queued_run_are_moved_when_it_is_its_turn(world: World) -> None:
    seen: list[list[str]] = []
    first, second = world.run(
        Engine(submitting=[lambda: seen.append(world.tree())]), world.plan("e1"), world.plan("e2")
    )
    assert (first.state, second.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert "e2/old.hdf5" in seen[0] and "e1/old.hdf5" not in seen[0]
    assert not (world.models / "e2" / "old.hdf5").exists()


def test_a_run_that_is_stopped_while_it_is_queued_moves_nothing(world: World) -> None:
    def stop() -> None:
        world.stop("e2")
        deadline = now().timestamp() + 5
        while not world.store.load(world.store.run_ids()[0]).state.is_final:
            assert now().timestamp() < deadline

    _, second = world.run(Engine([stop]), world.plan("e1"), world.plan("e2"))
    assert (second.state, second.reason) == (RunState.STOPPED, "stopped while it was queued")
    assert (world.models / "e2" / "old.hdf5").exists() and world.notices(second) == []


def test_an_attempt_that_never_started_is_repeated_as_it_was(world: World) -> None:
    """Its next attempt would else go on from the old training, or train into its results."""
    engine = Engine(submitting=[refusing(MachineError("gone"))])
    (record,) = world.run(engine, world.plan(), retries=1)
    assert (record.state, record.attempt, len(engine.submitted)) == (RunState.SUCCEEDED, 2, 1)
    assert [code for code, _ in world.notices(record)] == ["set-aside", "put-back", "set-aside"]
    (aside,) = world.models.glob("e1.*")
    assert (aside / "old.hdf5").exists() and not any((world.models / "e1").iterdir())


def test_what_a_started_run_wrote_is_not_taken_away_by_an_attempt_that_never_starts(world: World) -> None:
    batch = world.batch(world.plan())
    run_id = batch.runs[0]
    make_room(world.store.load_plan(run_id), world.store.paths(run_id).directory, AT)
    (world.models / "e1" / "new.hdf5").write_text("new")
    world.store.save(replace(world.store.load(run_id), started_at=now(), attempt=2))
    world.store.save_plan(run_id, replace(world.store.load_plan(run_id), set_aside=()))
    (record,) = world.go_on(batch, Engine(submitting=[refusing(EngineRefusedError("no"))]))
    assert record.state is RunState.FAILED
    assert world.tree() == ["e1", "e1.20261120-090507", "e1.20261120-090507/old.hdf5", "e1/new.hdf5"]


def killed(world: World, *, moved: bool = True, **changes: Any) -> Batch:
    """A batch whose supervisor was killed at the start of its run: the move is recorded, and ``moved`` or not."""
    batch = world.batch(world.plan())
    directory = world.store.paths(batch.runs[0]).directory
    make_room(world.store.load_plan(batch.runs[0]), directory, AT)
    if not moved:
        (world.models / "e1").rmdir()
        (world.models / "e1.20261120-090507").rename(world.models / "e1")
    record = replace(world.store.load(batch.runs[0]), state=RunState.STARTING, launched_at=now(), **changes)
    world.store.save(record)
    world.store.open_batches.handed_over(batch.id)
    return batch


@pytest.mark.parametrize("moved", [True, False])
def test_after_a_kill_before_the_start_the_results_are_back_before_the_run_waits_again(
    world: World, moved: bool
) -> None:
    batch = killed(world, moved=moved)
    seen: list[list[str]] = []
    (record,) = world.go_on(batch, Engine([lambda: seen.append(world.tree())]))
    assert record.state is RunState.SUCCEEDED
    assert seen == [["e1", "e1/old.hdf5"]]
    assert len(list(world.models.glob("e1.*"))) == 1


def test_after_a_kill_before_the_start_a_stop_leaves_the_results_in_their_place(world: World) -> None:
    batch = killed(world)
    world.stop("e1")
    (record,) = world.go_on(batch, Engine())
    assert record.state is RunState.STOPPED
    assert world.tree() == ["e1", "e1/old.hdf5"]


def test_after_a_kill_right_behind_the_start_the_results_stay_aside(world: World) -> None:
    engine = Engine(has=EngineState.EXITED)
    (record,) = world.go_on(killed(world), engine)
    assert record.state is RunState.SUCCEEDED
    assert world.tree() == ["e1", "e1.20261120-090507", "e1.20261120-090507/old.hdf5"]


def test_a_lost_run_that_never_started_gives_the_results_back(world: World) -> None:
    record = mark_lost(world.store, world.store.load(killed(world).runs[0]))
    assert (record.state, record.reason) == (
        RunState.LOST,
        f"marked as lost by hand; put {world.models / 'e1'} back: the run never started",
    )
    assert world.tree() == ["e1", "e1/old.hdf5"]


def test_without_a_terminal_the_results_stay_and_their_place_is_printed(world: World) -> None:
    """The engine is gone: the run may have started, and may still write."""
    batch = killed(world, backend="no-such-backend")
    record = mark_lost(world.store, world.store.load(batch.runs[0]))
    aside = world.models / "e1.20261120-090507"
    assert record.reason == f"marked as lost by hand; the earlier results are in {aside}"
    assert (aside / "old.hdf5").exists()


def test_parts_of_results_go_together_and_come_back_together(world: World) -> None:
    results = world.models / "e1"
    plan = world.plan(set_aside=(results / "train", results / "old.hdf5"))
    for name in ("train/w.pth", "dataset_convert/r.tfrecord"):
        (results / name).parent.mkdir()
        (results / name).write_text(name)
    run_dir = world.store.runs_dir / "r"
    run_dir.mkdir(parents=True)
    before = world.tree()
    assert make_room(plan, run_dir, AT) == [
        "earlier results set aside as e1.20261120-090507 (only train, old.hdf5; what other actions wrote stays)"
    ]
    assert world.tree() == [
        "e1", "e1.20261120-090507", "e1.20261120-090507/old.hdf5", "e1.20261120-090507/train",
        "e1.20261120-090507/train/w.pth", "e1/dataset_convert", "e1/dataset_convert/r.tfrecord",
    ]  # fmt: skip
    assert put_back(plan, run_dir) == [f"put {results / 'train'}, old.hdf5 back: the run never started"]
    assert world.tree() == before
    assert put_back(plan, run_dir) == []


def test_nothing_new_is_written_over_when_results_come_back(world: World) -> None:
    plan = world.plan()
    run_dir = world.store.runs_dir / "r"
    run_dir.mkdir(parents=True)
    make_room(plan, run_dir, AT)
    (world.models / "e1" / "new").write_text("new")
    aside = world.models / "e1.20261120-090507"
    why = "the path exists again"
    assert put_back(plan, run_dir) == [f"{world.models / 'e1'} could not be put back from {aside}: {why}"]
    assert world.tree() == ["e1", "e1.20261120-090507", "e1.20261120-090507/old.hdf5", "e1/new"]
    (world.models / "e1" / "new").unlink()
    put_back(plan, run_dir)
    assert world.tree() == ["e1", "e1/old.hdf5"]


def test_a_name_that_is_taken_is_not_moved_into(world: World) -> None:
    run_dir = world.store.runs_dir / "r"
    run_dir.mkdir(parents=True)
    (world.models / "e1.20261120-090507").mkdir(parents=True)
    assert make_room(world.plan(), run_dir, AT) == ["earlier results set aside as e1.20261120-090508"]


@pytest.mark.parametrize(
    "move",
    [
        {"path": "/tmp/x", "aside": "WORLD/precious"},
        {"path": "WORLD/x", "aside": "OUTSIDE"},
        {"path": "WORLD/../x", "aside": "WORLD/precious"},
        {"path": "WORLD", "aside": "WORLD/precious"},
        {"path": 1, "aside": 2}, {}, [], None,
    ],
)  # fmt: skip
def test_a_damaged_record_of_moves_moves_nothing(world: World, move: object, tmp_path: Path) -> None:
    plan = world.plan()
    (world.root / "precious").mkdir()
    text = json.dumps({"moves": [move]}).replace("OUTSIDE", os.fspath(tmp_path.parent / "outside"))
    run_dir = world.store.runs_dir / "r"
    run_dir.mkdir(parents=True)
    (run_dir / "set_aside.json").write_text(text.replace("WORLD", str(world.root)))
    assert recorded_moves(run_dir) == [] and put_back(plan, run_dir) == []
    assert (world.root / "precious").is_dir()


def test_status_records_that_were_moved_aside_do_not_hide_new_ones(world: World) -> None:
    """The size that status.json had before the move is no position in the new file."""
    results = world.models / "e1"
    plan = world.plan()
    line = '{"date": "1/1/2026", "time": "1:1:1", "status": "RUNNING", "message": "Test metrics generated.", '
    status = results / "evaluate" / "status.json"
    status.parent.mkdir()
    status.write_text((line + '"kpi": {"test_mAP50": "0.1"}}\n') * 50)

    def write() -> None:
        status.parent.mkdir(parents=True)
        status.write_text(line + '"kpi": {"test_mAP50": "0.9"}}\n')

    (record,) = world.run(Engine(submitting=[write]), plan)
    events = world.store.read_events(record.id)[0]
    assert [event.value for event in events if isinstance(event, MetricReported)] == [0.9]
