"""Going on with what another supervisor began: from every point at which it may have died."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import plain_runs
import pytest
from plain_runs import PlainBackend, plain_plan

from taorunner.backends.contract import (
    EngineRequest,
    EngineState,
    EngineStatus,
    Handle,
    LogChunk,
    LogPosition,
    Started,
)  # fmt: skip
from taorunner.backends.docker.log_resume import KeptLog
from taorunner.errors import MachineError, RunStateError
from taorunner.events import (
    CheckpointSaved,
    EpochProgress,
    Event,
    MetricReported,
    Notice,
    RunFinished,
    RunStarted,
    RunState,
    now,
)
from taorunner.gpu.inventory import Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import SecretSource
from taorunner.runs.control.recovery import adopt, mark_lost
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.batch_lock import is_supervised, orphans, owning
from taorunner.runs.state.log.console_log import ConsoleLog
from taorunner.runs.state.log.log_position import RecordedLog
from taorunner.runs.state.store import Batch, RunStore
from taorunner.runs.supervisor import worker
from taorunner.runs.supervisor.batch_runner import BatchRunner
from taorunner.runs.supervisor.replay_filter import ReplayFilter
from taorunner.scheduling.gpu_allocator import FreeGpus

RUN = "20261120-000000-e1-x"
OUTPUT = b"one\ntwo\nthree\nExecution status: PASS\n"


@dataclass
class Engine(PlainBackend):
    """A backend whose one run has printed ``OUTPUT``; ``has`` says what there is of it, None for nothing."""

    has: EngineState | None = EngineState.EXITED
    is_gone: bool = False
    submitted: list[str] = field(default_factory=list)
    positions: list[LogPosition] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def submit(self, request: EngineRequest) -> Started:
        self.submitted.append(request.run_id)
        self.has = self.has or EngineState.EXITED
        return Started(Handle(self.name, request.run_id, "c1", request.run_dir))

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        if self.is_gone:
            raise MachineError("no engine answers")
        state = self.has or EngineState.MISSING
        return {h.run_id: EngineStatus(state, 0 if state is EngineState.EXITED else None) for h in handles}

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        if self.is_gone:
            raise MachineError("no engine answers")
        return Handle(self.name, run_id, "c1", run_dir) if self.has else None

    def logs(self, handle: Handle, position: LogPosition) -> Stream:
        if self.is_gone:
            raise MachineError("no engine answers")
        self.positions.append(position)
        return Stream(OUTPUT[position.stdout :] if self.has else b"")

    def stop(self, handle: Handle, grace_s: float) -> None:
        self.stopped.append(handle.run_id)
        self.has = EngineState.EXITED

    def remove(self, handle: Handle) -> None:
        self.removed.append(handle.run_id)
        self.has = None


@dataclass
class Stream:
    data: bytes

    def __iter__(self) -> Iterator[LogChunk]:
        if self.data:
            yield LogChunk("stdout", self.data)

    def close(self) -> None:
        return


@dataclass
class Begun:
    """A batch of one run whose supervisor has died."""

    store: RunStore
    batch: Batch

    def die_as(self, **changes: Any) -> None:
        self.store.save(replace(self.store.load(RUN), **changes))

    def go_on(self, engine: Engine) -> bool:
        return BatchRunner(
            self.store,
            self.batch,
            make_backend=lambda _name: engine,
            gpus=FreeGpus(Leases(self.store.runs_dir / ".leases"), Inventory),
            environ={},
        ).run()

    @property
    def log(self) -> bytes:
        return self.store.paths(RUN).console.read_bytes()

    def events(self) -> list[Event]:
        return self.store.read_events(RUN)[0]

    def ends(self) -> list[tuple[RunState, str]]:
        return [(e.state, e.reason) for e in self.events() if isinstance(e, RunFinished)]


@pytest.fixture
def begun(tmp_path: Path) -> Begun:
    store = RunStore(tmp_path / ".taorunner")
    batch = create_batch(store, [(RUN, plain_plan(tmp_path, "e1"))], now(), environ={})
    store.open_batches.handed_over(batch.id)
    return Begun(store, batch)


def test_a_running_run_is_followed_from_the_position_of_its_log(begun: Begun) -> None:
    begun.die_as(state=RunState.RUNNING, handle="c1", launched_at=now(), started_at=now())
    paths = begun.store.paths(RUN)
    paths.console.write_bytes(b"one\ntwo\nthr")  # the position was written before the last write
    RecordedLog(size=4, stdout=4).save(paths.position)
    engine = Engine()
    assert begun.go_on(engine)
    assert begun.log == OUTPUT
    assert engine.positions[0] == LogPosition(stdout=4)
    assert begun.ends() == [(RunState.SUCCEEDED, "finished")]
    assert [event.handle for event in begun.events() if isinstance(event, RunStarted)] == ["c1"]
    assert (engine.submitted, engine.removed) == ([], [RUN])
    assert not paths.position.exists()


def test_a_run_that_the_engine_has_lost_keeps_the_log_it_had(begun: Begun) -> None:
    begun.die_as(state=RunState.RUNNING, handle="c1", started_at=now())
    begun.store.paths(RUN).console.write_bytes(b"one\ntwo\n")
    RecordedLog(size=4, stdout=4).save(begun.store.paths(RUN).position)
    assert begun.go_on(Engine(has=None))
    assert begun.log == b"one\ntwo\n"
    assert begun.ends() == [(RunState.LOST, "the engine no longer knows this run")]


@pytest.mark.parametrize("has", [None, EngineState.CREATED, EngineState.EXITED])
def test_a_run_that_was_being_started_is_adopted_or_started_once(
    begun: Begun, has: EngineState | None
) -> None:
    begun.die_as(state=RunState.STARTING, launched_at=now())
    engine = Engine(has=has)
    assert begun.go_on(engine)
    assert begun.log == OUTPUT
    assert begun.ends() == [(RunState.SUCCEEDED, "finished")]
    assert len([event for event in begun.events() if isinstance(event, RunStarted)]) == 1
    assert engine.removed == [RUN] * (2 if has is EngineState.CREATED else 1)


def test_a_stop_that_was_asked_for_reaches_a_run_that_was_being_started(begun: Begun) -> None:
    begun.die_as(state=RunState.STARTING, launched_at=now())
    begun.store.request_stop(RUN, now())
    engine = Engine(has=EngineState.EXITED)
    assert begun.go_on(engine)
    assert begun.ends() == [(RunState.STOPPED, "stopped on request")]
    assert engine.removed == [RUN]


def test_a_run_that_was_over_is_removed_and_reported(begun: Begun) -> None:
    begun.die_as(state=RunState.SUCCEEDED, reason="finished", handle="c1", finished_at=now())
    engine = Engine()
    assert begun.go_on(engine)
    assert (engine.removed, engine.submitted) == ([RUN], [])
    assert begun.ends() == [(RunState.SUCCEEDED, "finished")]


def test_an_engine_that_stays_away_leaves_the_run_undecided(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "ENGINE_PATIENCE_S", 0.1)
    begun.die_as(state=RunState.RUNNING, handle="c1", started_at=now())
    engine = Engine(is_gone=True)
    assert not begun.go_on(engine)
    assert begun.store.load(RUN).state is RunState.RUNNING
    assert [e.code for e in begun.events() if isinstance(e, Notice)] == ["engine", "undecided"]
    engine.is_gone = False
    assert begun.go_on(engine)
    assert begun.ends() == [(RunState.SUCCEEDED, "finished")]
    assert begun.log == OUTPUT


def test_secrets_stay_masked_after_a_recovery(tmp_path: Path) -> None:
    store = RunStore(tmp_path / ".taorunner")
    plan = plain_plan(tmp_path, "e1", secrets=(SecretSource("key", "env:KEY"),))
    batch = create_batch(store, [(RUN, plan)], now(), environ={"KEY": "three"})
    begun = Begun(store, batch)
    begun.die_as(state=RunState.RUNNING, handle="c1", started_at=now())
    assert begun.go_on(Engine())
    assert begun.log == OUTPUT.replace(b"three", b"***")


def test_a_queued_run_needs_nothing_of_the_terminal_it_came_from(tmp_path: Path) -> None:
    store = RunStore(tmp_path / ".taorunner")
    plan = plain_plan(tmp_path, "e1", secrets=(SecretSource("key", "env:KEY"),))
    kept = {"KEY": "three", "DOCKER_HOST": "unix:///x", "NGC_API_KEY": "no", "DOCKER_AUTH_CONFIG": "no"}
    batch = create_batch(store, [(RUN, plan)], now(), environ=kept)
    assert store.load_batch(batch.id).environ == {"DOCKER_HOST": "unix:///x"}
    assert Begun(store, batch).go_on(Engine(has=None))
    assert store.load(RUN).state is RunState.SUCCEEDED


def test_a_batch_is_no_orphan_while_it_is_made_or_supervised(tmp_path: Path) -> None:
    store = RunStore(tmp_path / ".taorunner")
    batch = create_batch(store, [(RUN, plain_plan(tmp_path, "e1"))], now(), environ={})
    assert (store.open_batches.ids(), orphans(store)) == ([batch.id], [])
    store.open_batches.handed_over(batch.id)
    assert orphans(store) == [batch.id]
    with owning(store.batch_paths(batch.id)) as is_owner:
        assert is_owner and is_supervised(store.batch_paths(batch.id))
        assert orphans(store) == []
        with owning(store.batch_paths(batch.id)) as second:
            assert not second
    assert [record.id for record in store.unfinished()] == [RUN]
    store.open_batches.end(batch.id)
    assert (orphans(store), store.unfinished()) == ([], [])


def test_a_batch_is_taken_over_beside_one_who_looks_at_it(tmp_path: Path) -> None:
    """A process that is halted by the machine while it looks whether the batch is supervised shares its lock."""
    store = RunStore(tmp_path / ".taorunner")
    batch = create_batch(store, [(RUN, plain_plan(tmp_path, "e1"))], now(), environ={})
    paths = store.batch_paths(batch.id)
    with paths.lock.open("ab") as looker:
        fcntl.flock(looker, fcntl.LOCK_SH)
        going_on = threading.Timer(0.4, lambda: fcntl.flock(looker, fcntl.LOCK_UN))
        going_on.start()
        with owning(paths) as is_owner:
            assert is_owner and is_supervised(paths)
        going_on.join()


def test_a_batch_whose_making_was_killed_is_reported_as_never_started(tmp_path: Path) -> None:
    """kill -9 after one of two records, with the other one's secret on disk."""
    code = f"""
import os, signal, sys
from pathlib import Path
from taorunner.runs.state import store as module
from taorunner.runs.state.batch_creation import create_batch
from taorunner.events import now
sys.path.insert(0, {str(Path(plain_runs.__file__).parent)!r})
from plain_runs import plain_plan
RUN = {RUN!r}
from taorunner.planning.model.plan import SecretSource
root = Path({str(tmp_path)!r})
saves = []
class Dying(module.RunStore):
    def save(self, record):
        if saves:
            os.kill(os.getpid(), signal.SIGKILL)
        saves.append(record)
        super().save(record)
plan = plain_plan(root, "e1", secrets=(SecretSource("key", "env:KEY"),))
create_batch(Dying(root / ".taorunner"), [(RUN, plan), (RUN + "2", plan)], now(), environ={{"KEY": "hidden"}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    store = RunStore(tmp_path / ".taorunner")
    (batch,) = orphans(store)
    assert not adopt(store, batch)
    record = store.load(RUN)
    assert (record.state, record.reason) == (
        RunState.STOPPED, "taorunner was ended while it recorded this run; it was never started",
    )  # fmt: skip
    assert store.run_ids() == [RUN]
    assert store.open_batches.ids() == []
    left = [path for path in tmp_path.rglob("*") if path.is_file() and b"hidden" in path.read_bytes()]
    assert left == []


def test_marking_as_lost_is_for_undecidable_runs(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = begun.store
    with pytest.raises(RunStateError, match="is queued"):
        mark_lost(store, store.load(RUN))
    begun.die_as(state=RunState.RUNNING, handle="c1", backend="docker", started_at=now())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    with (
        owning(store.batch_paths(begun.batch.id)),
        pytest.raises(RunStateError, match="has a live supervisor"),
    ):
        mark_lost(store, store.load(RUN))
    marked = mark_lost(store, store.load(RUN))
    assert (marked.state, marked.reason) == (RunState.LOST, "marked as lost by hand")
    assert begun.ends() == [(RunState.LOST, "marked as lost by hand")]
    with pytest.raises(RunStateError, match="already ended: lost"):
        mark_lost(store, marked)


def test_a_run_that_is_lost_before_it_started_names_its_earlier_results(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = begun.store
    begun.die_as(state=RunState.STARTING, handle="c1", backend="docker")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    models = store.state_dir.parent / "models"
    move = {"path": str(models / "e"), "aside": str(models / "e.20260101-000000")}
    (store.paths(RUN).directory / "set_aside.json").write_text(json.dumps({"moves": [move]}))
    marked = mark_lost(store, store.load(RUN))
    assert marked.reason == f"marked as lost by hand; the earlier results are in {move['aside']}"


def test_the_engine_of_the_batch_is_asked_and_our_environment_stays(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(asked))
        engine.listen()
        engine.settimeout(10)
        begun.store.save_batch(replace(begun.batch, environ={"DOCKER_HOST": f"unix://{asked}"}))
        begun.die_as(state=RunState.RUNNING, handle="c1", backend="docker", started_at=now())
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/other.sock")
        before = dict(os.environ)
        marking = threading.Thread(target=mark_lost, args=(begun.store, begun.store.load(RUN)))
        marking.start()
        for _ in range(2):  # looked at, then asked
            engine.accept()[0].close()
        marking.join(100)
    assert begun.ends() == [(RunState.LOST, "marked as lost by hand")]
    assert dict(os.environ) == before


def test_a_run_that_still_lives_is_not_marked_as_lost(begun: Begun) -> None:
    process = begun.store.paths(RUN).directory / "process"
    process.mkdir()
    (process / "exit.json").write_text(json.dumps({"exit_code": 0, "at": 1.0}))
    begun.die_as(state=RunState.RUNNING, handle="1:1", started_at=now())
    with pytest.raises(RunStateError, match="the engine still knows") as caught:
        mark_lost(begun.store, begun.store.load(RUN))
    assert "taorunner attach" in (caught.value.hint or "")


def test_a_reported_value_is_not_reported_again() -> None:
    at = now()

    def epoch(number: int, *, completed: bool = True, step: int | None = None) -> EpochProgress:
        return EpochProgress(run=RUN, at=at, epoch=number, completed=completed, step=step)

    def metric(name: str, value: float, number: int) -> MetricReported:
        return MetricReported(run=RUN, at=at, name=name, value=value, epoch=number)

    before = [
        epoch(9),
        RunStarted(run=RUN, at=at),
        epoch(1),
        metric("loss", 0.5, 1),
        metric("mAP", float("nan"), 1),
    ]
    replayed = ReplayFilter([*before, CheckpointSaved(run=RUN, at=at, path="/a/m1.pth")])
    again = [
        epoch(1),
        metric("loss", 0.5, 1),
        metric("mAP", float("nan"), 1),
        epoch(2),
        metric("mAP", 0.1, 2),
    ]
    assert replayed.new_ones(again) == [epoch(2), metric("mAP", 0.1, 2)]
    assert replayed.new_ones([epoch(9)]) == [epoch(9)]  # of the attempt before
    assert replayed.missed([epoch(2, completed=False, step=3), metric("loss", 0.4, 2), epoch(2)]) == [
        epoch(2)
    ]
    assert replayed.checkpoints == {"m1.pth"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"size": 9, "stdout": 9, "stderr": 0, "start": 2}'])
def test_a_position_that_cannot_be_true_means_the_beginning(tmp_path: Path, text: str) -> None:
    (tmp_path / "console.log").write_bytes(b"one\n")
    (tmp_path / "position.json").write_text(text)
    found = RecordedLog.load(tmp_path / "position.json", tmp_path / "console.log")
    assert found == (RecordedLog(2, 0, 0, 2) if "size" in text else RecordedLog())


def test_a_position_does_not_count_lines_that_are_not_whole(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log", ["secret"])
    log.write("stdout", b"a secret\nhalf a sec")
    log.write("stderr", b"error\n")
    assert log.recorded == RecordedLog(size=12, stdout=9, stderr=6)
    log.close()
    with (tmp_path / "console.log").open("ab") as file:
        file.write(b"written behind the position")
    again = ConsoleLog(tmp_path / "console.log", ["secret"], RecordedLog(size=12, stdout=9, stderr=6))
    again.write("stdout", b"half a secret\n")
    again.close()
    assert (tmp_path / "console.log").read_bytes() == b"a ***\nerror\nhalf a ***\n"
    assert os.stat(tmp_path / "console.log").st_size == again.recorded.size  # noqa: PTH116


def test_a_supervisor_after_a_restart_of_the_engine_misses_nothing_that_was_shown_and_not_kept(
    tmp_path: Path,
) -> None:
    """An engine keeps a line when its LF comes: progress that ends with CR was shown, and its restart forgot it."""
    log = ConsoleLog(tmp_path / "console.log", ["secret"])
    log.write("stdout", b"kept\n1 of 3\r2 of 3\rhalf")
    log.recorded.save(tmp_path / "position.json")
    log.close()
    found = RecordedLog.load(tmp_path / "position.json", tmp_path / "console.log")
    again = ConsoleLog(tmp_path / "console.log", ["secret"], found)
    kept = KeptLog(found.position.stdout, found.position.tails["stdout"])
    unkept, new = kept.feed(b"kept\n3 of 3\nthe end\n")
    again.write("stdout", new, unkept)
    assert (tmp_path / "console.log").read_bytes() == b"kept\n1 of 3\r2 of 3\rhalf3 of 3\nthe end\n"
    assert again.recorded == RecordedLog(size=38, stdout=20, stderr=0)
    again.close()


def test_a_secret_is_not_written_beside_the_log(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log", ["secret"])
    log.write("stdout", b"a secret\r")
    assert log.recorded.tails == {"stdout": b"", "stderr": b""}
    log.close()
