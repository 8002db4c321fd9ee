"""The loop that owns a batch, against a scripted backend: every way a run can go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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
from taorunner.errors import EngineRefusedError, MachineError
from taorunner.events import (
    Event,
    ImagePulling,
    MetricReported,
    Notice,
    RunFinished,
    RunStarted,
    RunState,
    RunWaiting,
    now,
)
from taorunner.gpu.inventory import Gpu, Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.plan import GpuRequest, RenderedSpec, Resources, RunPlan, SecretSource
from taorunner.runs.control.join_batch import join
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.history import read_history
from taorunner.runs.state.log.log_position import RecordedLog
from taorunner.runs.state.record import RunPolicy, RunRecord
from taorunner.runs.state.snapshot import fold
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.batch_runner import BatchRunner
from taorunner.scheduling.allocator import AllocatorPerBackend
from taorunner.scheduling.delegated import Delegated
from taorunner.scheduling.gpu_allocator import FreeGpus

EXITED = EngineStatus(EngineState.EXITED, exit_code=0)
RUNNING = EngineStatus(EngineState.RUNNING)
GOOD = b"Execution status: PASS\n"
TESTED = (
    '{"date": "1/1/2026", "time": "1:1:1", "status": "RUNNING", "message": "Test metrics generated.", '
    '"kpi": {"test_mAP50": "0.9"}}\n'
)


@dataclass
class Script:
    """What the engine will say of one run: pieces of log, then answers to ``inspect``, the last one repeated."""

    logs: list[list[bytes]] = field(default_factory=lambda: [[GOOD]])
    answers: list[EngineStatus | MachineError] = field(default_factory=lambda: [EXITED])
    refusal: EngineRefusedError | None = None
    gate: threading.Event | None = None
    status: str | None = None
    """What the run writes into its status.json."""
    waits_for: str | None = None
    """Why the engine does not start it at once."""
    after_stop: EngineStatus | None = None
    gap: str | None = None
    """What may be missing before the second piece of log."""


class ScriptedBackend(PlainBackend):
    name = "scripted"

    def __init__(self, scripts: dict[str, Script]) -> None:
        self.scripts = scripts
        self.submitted: list[tuple[str, tuple[str, ...]]] = []
        self.positions: list[LogPosition] = []
        self.stopped: list[str] = []
        self.removed: list[str] = []
        self.inspected: list[list[str]] = []
        self.running = 0
        self.most_running = 0
        self._lock = threading.Lock()

    def script(self, run_id: str) -> Script:
        return next(script for name, script in self.scripts.items() if f"-{name}-" in run_id)

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        report(PullProgress("image", 1, 2, 10, 20, 1.0))
        return None

    def submit(self, request: EngineRequest) -> Started:
        script = self.script(request.run_id)
        if script.refusal is not None:
            raise script.refusal
        if script.status is not None:
            path = (
                request.run_dir.parents[2]
                / "models"
                / request.run_id.split("-")[2]
                / "evaluate"
                / "status.json"
            )
            path.parent.mkdir(parents=True)
            path.write_text(script.status)
        with self._lock:
            self.submitted.append((request.run_id, request.gpus))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        handle = Handle(self.name, request.run_id, "c-" + request.run_id, request.run_dir)
        return Started(handle, "sha256:1", script.waits_for)

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        self.inspected.append([handle.run_id for handle in handles])
        found = {}
        for handle in handles:
            answers = self.script(handle.run_id).answers
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, MachineError):
                raise answer
            found[handle.run_id] = answer
        return found

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        return None

    def logs(self, handle: Handle, position: LogPosition) -> Stream:
        self.positions.append(position)
        script = self.script(handle.run_id)
        pieces = script.logs.pop(0) if script.logs else []
        if position == LogPosition():
            return Stream(pieces, script.gate)
        gap, script.gap = script.gap, None
        return Stream(pieces, script.gate, gap)

    def stop(self, handle: Handle, grace_s: float) -> None:
        self.stopped.append(handle.run_id)
        after = self.script(handle.run_id).after_stop
        if after is not None:
            self.script(handle.run_id).answers[:] = [after]
        gate = self.script(handle.run_id).gate
        if gate is not None:
            gate.set()

    def remove(self, handle: Handle) -> None:
        with self._lock:
            self.running -= 1
        self.removed.append(handle.run_id)


@dataclass
class Stream:
    pieces: list[bytes]
    gate: threading.Event | None
    gap: str | None = None

    def __iter__(self) -> Iterator[LogChunk]:
        if self.gap is not None:
            yield LogChunk("stdout", b"", gap=self.gap)
        for piece in self.pieces:
            yield LogChunk("stdout", piece)
        if self.gate is not None:
            self.gate.wait(60)

    def close(self) -> None:
        return


@dataclass
class World:
    store: RunStore
    root: Path

    def plan(self, name: str, **changes: Any) -> RunPlan:
        return plain_plan(self.root, name, **{"backend": "scripted", **changes})

    def run(
        self, scripts: dict[str, Script], plans: dict[str, RunPlan] | None = None, **options: Any
    ) -> Outcome:
        plans = plans or {name: self.plan(name) for name in scripts}
        named = [(f"20261120-000000-{name}-x", plan) for name, plan in plans.items()]
        batch = create_batch(self.store, named, now(), parallel=options.pop("parallel", None), environ={})
        backend = ScriptedBackend(scripts)
        settings = {
            "gpus": FreeGpus(Leases(self.root / "leases"), two_gpus),
            "environ": {},
            "parallel_without_gpu": 9,
            **options,
        }
        runner = BatchRunner(self.store, batch, make_backend=lambda _name: backend, **settings)
        runner.run()
        return Outcome(
            self.store, backend, {name: run_id for name, (run_id, _) in zip(plans, named, strict=True)}
        )


@dataclass
class Outcome:
    store: RunStore
    backend: ScriptedBackend
    ids: dict[str, str]

    def state(self, name: str) -> tuple[RunState, str | None]:
        record = self.store.load(self.ids[name])
        return record.state, record.reason

    def events(self, name: str) -> list[Event]:
        return self.store.read_events(self.ids[name])[0]

    def log(self, name: str) -> bytes:
        return self.store.paths(self.ids[name]).console.read_bytes()


def two_gpus() -> Inventory:
    return Inventory(tuple(Gpu(index, f"GPU-{index}", "H100") for index in range(2)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(RunStore(tmp_path / ".taorunner"), tmp_path)


def test_a_good_run_succeeds_and_leaves_everything_on_disk(world: World) -> None:
    spec = RenderedSpec(Path("t.yaml"), "train.yaml", "a: 1\n", "/taorunner/run/train.yaml")
    outcome = world.run({"e1": Script([[b"hello\n", GOOD]])}, {"e1": world.plan("e1", spec=spec)})
    assert outcome.state("e1") == (RunState.SUCCEEDED, "finished")
    paths = world.store.paths(outcome.ids["e1"])
    assert paths.console.read_bytes() == b"hello\n" + GOOD
    assert (paths.input_dir / "train.yaml").read_text() == "a: 1\n"
    assert paths.request.read_text() == "paste me\n"
    kinds = [type(event).__name__ for event in outcome.events("e1")]
    assert kinds == ["RunQueued", "ImagePulling", "RunStarted", "RunFinished"]
    record = world.store.load(outcome.ids["e1"])
    assert (record.exit_code, record.image_digest, record.handle) == (0, "sha256:1", "c-" + record.id)
    assert outcome.backend.removed == [record.id]


def test_a_failed_run_does_not_stop_the_others(world: World) -> None:
    bad = Script([[b"boom\n"]], [EngineStatus(EngineState.EXITED, exit_code=3)])
    outcome = world.run({"bad": bad, "good": Script()})
    assert outcome.state("bad")[0] is RunState.FAILED
    assert outcome.state("good")[0] is RunState.SUCCEEDED


def test_an_exit_code_of_zero_with_a_failing_footer_is_a_failure(world: World) -> None:
    outcome = world.run({"e1": Script([[b"Execution status: FAIL\n"]])})
    assert outcome.state("e1")[0] is RunState.FAILED


def test_what_the_engine_refuses_is_reported_with_its_exit_code(world: World) -> None:
    refusal = EngineRefusedError("there is no image", hint="pull it")
    outcome = world.run({"e1": Script(refusal=refusal)})
    record = world.store.load(outcome.ids["e1"])
    assert (record.state, record.reason, record.hint, record.error_code) == (
        RunState.FAILED, "there is no image", "pull it", 5,
    )  # fmt: skip
    assert outcome.backend.removed == []


def test_the_end_of_the_stream_is_not_the_end_of_the_run(world: World) -> None:
    running = EngineStatus(EngineState.RUNNING)
    script = Script([[b"first\n"], [b"second\n", GOOD]], [running] * 6 + [EXITED])
    outcome = world.run({"e1": script})
    assert outcome.state("e1")[0] is RunState.SUCCEEDED
    assert outcome.log("e1") == b"first\nsecond\n" + GOOD
    whole = LogPosition(stdout=6 + 7 + len(GOOD))  # what was followed again is read again once it is over
    assert outcome.backend.positions == [LogPosition(), LogPosition(stdout=6), whole]


def test_an_engine_that_is_away_for_a_while_is_noticed_and_waited_for(world: World) -> None:
    away = MachineError("no engine answers")
    outcome = world.run({"e1": Script([[b"a\n"], [b"b\n", GOOD]], [away, EXITED])})
    assert outcome.state("e1")[0] is RunState.SUCCEEDED
    notices = [event.text for event in outcome.events("e1") if isinstance(event, Notice)]
    assert notices == ["the engine does not answer: no engine answers", "the engine answers again"]


def test_a_gap_in_the_log_is_reported(world: World) -> None:
    running = EngineStatus(EngineState.RUNNING)
    outcome = world.run(
        {"e1": Script([[b"a\n"], [GOOD]], [*[running] * 6, EXITED], gap="16 KiB are missing")}
    )
    assert outcome.log("e1") == b"a\n" + GOOD
    notices = [(event.code, event.text) for event in outcome.events("e1") if isinstance(event, Notice)]
    assert notices == [("log-gap", "16 KiB are missing")]


def test_a_run_that_the_engine_no_longer_knows_is_lost_not_good(world: World) -> None:
    outcome = world.run({"e1": Script(answers=[EngineStatus(EngineState.MISSING)])})
    assert outcome.state("e1")[0] is RunState.LOST
    assert outcome.backend.removed == [outcome.ids["e1"]], "what is left of it on this machine"


def test_runs_on_the_same_gpu_wait_for_each_other(world: World) -> None:
    gpus = GpuRequest(1, ("1",))
    plans = {name: world.plan(name, resources=Resources(gpus=gpus)) for name in ("e1", "e2", "e3")}
    outcome = world.run({name: Script() for name in plans}, plans)
    assert [gpu for _, gpu in outcome.backend.submitted] == [("1",)] * 3
    assert outcome.backend.most_running == 1
    assert all(outcome.state(name)[0] is RunState.SUCCEEDED for name in plans)


def test_any_free_gpu_is_given_and_recorded(world: World) -> None:
    plans = {name: world.plan(name, resources=Resources(gpus=GpuRequest(1))) for name in ("e1", "e2")}
    outcome = world.run({name: Script() for name in plans}, plans)
    started = [event for name in plans for event in outcome.events(name) if isinstance(event, RunStarted)]
    assert {event.gpus for event in started} <= {("0",), ("1",)}


def test_more_gpus_than_there_are_is_a_failure_of_this_machine(world: World) -> None:
    outcome = world.run({"e1": Script()}, {"e1": world.plan("e1", resources=Resources(gpus=GpuRequest(3)))})
    record = world.store.load(outcome.ids["e1"])
    assert (record.state, record.reason, record.error_code) == (
        RunState.FAILED, "3 GPUs requested, this machine has 2", 4,
    )  # fmt: skip


def test_parallel_bounds_how_many_run(world: World) -> None:
    outcome = world.run({name: Script() for name in ("e1", "e2", "e3")}, parallel=1)
    assert outcome.backend.most_running == 1


@pytest.mark.parametrize("lingers_s", [0.0, 20.0])
def test_a_batch_that_lingers_takes_a_run_that_is_added_after_its_last_one(
    world: World, lingers_s: float
) -> None:
    named = [(f"20261120-000000-{name}-x", world.plan(name)) for name in ("e1", "e2")]
    batch = create_batch(world.store, named[:1], now(), environ={}, lingers_s=lingers_s)
    world.store.open_batches.handed_over(batch.id)
    backend = ScriptedBackend({"e1": Script(), "e2": Script()})
    gpus = FreeGpus(Leases(world.root / "leases"), two_gpus)
    runner = BatchRunner(world.store, batch, make_backend=lambda _name: backend, gpus=gpus, environ={})
    running = threading.Thread(target=runner.run)
    running.start()
    try:
        _wait_for(world.store, named[0][0], RunState.SUCCEEDED)
        running.join(timeout=0.6)
        assert running.is_alive() == (lingers_s > 0)
        if lingers_s:
            assert world.store.load_batch(batch.id).lingers_s == lingers_s
            join(world.store, batch.id, named[1:], now(), environ={})
            _wait_for(world.store, named[1][0], RunState.SUCCEEDED)
    finally:
        runner.stop_all()
        running.join(timeout=10)
    assert not running.is_alive()


def test_a_stop_request_ends_a_running_run_as_stopped(world: World) -> None:
    gate = threading.Event()
    script = Script([[b"going\n"]], [EngineStatus(EngineState.EXITED, exit_code=143)], gate=gate)
    asked = threading.Thread(target=_stop_when_started, args=(world.store,))
    asked.start()
    outcome = world.run({"e1": script})
    asked.join()
    assert outcome.state("e1") == (RunState.STOPPED, "stopped on request")
    assert outcome.backend.stopped == [outcome.ids["e1"]]


def test_a_queued_run_is_stopped_without_being_started(world: World) -> None:
    gate = threading.Event()
    gpus = GpuRequest(1, ("0",))
    plans = {name: world.plan(name, resources=Resources(gpus=gpus)) for name in ("e1", "e2")}
    scripts = {"e1": Script(gate=gate), "e2": Script()}
    runs = [(f"20261120-000000-{name}-x", plan) for name, plan in plans.items()]

    def stop_second() -> None:
        _wait_for(world.store, runs[0][0], RunState.RUNNING)
        world.store.request_stop(runs[1][0], now())
        _wait_for(world.store, runs[1][0], RunState.STOPPED)
        gate.set()

    asked = threading.Thread(target=stop_second)
    asked.start()
    outcome = world.run(scripts, plans)
    asked.join()
    assert outcome.state("e2") == (RunState.STOPPED, "stopped while it was queued")
    assert [run_id for run_id, _ in outcome.backend.submitted] == [outcome.ids["e1"]]


def test_secrets_are_masked_in_the_log_and_gone_afterwards(world: World) -> None:
    plan = world.plan("e1", secrets=(SecretSource("model_key", "literal:s3cret-key"),))
    outcome = world.run({"e1": Script([[b"the key is s3cret-key\n", GOOD]])}, {"e1": plan})
    assert outcome.log("e1") == b"the key is ***\n" + GOOD
    folder = world.store.paths(outcome.ids["e1"]).directory
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"s3cret-key" not in everything


def test_overwrite_moves_earlier_results_aside_and_says_so(world: World) -> None:
    results = world.root / "models" / "e1"
    results.mkdir(parents=True)
    (results / "old.hdf5").write_text("weights")
    plan = world.plan("e1", set_aside=(results,))
    outcome = world.run({"e1": Script()}, {"e1": plan})
    (aside,) = (world.root / "models").glob("e1.*")
    assert (aside / "old.hdf5").read_text() == "weights"
    assert results.is_dir() and not any(results.iterdir())
    assert any(isinstance(event, Notice) and event.code == "set-aside" for event in outcome.events("e1"))


def test_status_records_of_an_earlier_run_do_not_count(world: World) -> None:
    results = world.root / "models" / "e1"
    status = results / "evaluate" / "status.json"
    status.parent.mkdir(parents=True)
    status.write_text(TESTED)
    outcome = world.run({"e1": Script()})
    assert not [event for event in outcome.events("e1") if isinstance(event, MetricReported)]


def test_pull_progress_becomes_events(world: World) -> None:
    outcome = world.run({"e1": Script()})
    (pulling,) = [event for event in outcome.events("e1") if isinstance(event, ImagePulling)]
    assert (pulling.layers_done, pulling.layers, pulling.bytes_total) == (1, 2, 20)


def test_the_record_says_the_same_as_the_last_event(world: World) -> None:
    outcome = world.run(
        {"e1": Script(answers=[EngineStatus(EngineState.EXITED, exit_code=137, oom_killed=True)])}
    )
    last = outcome.events("e1")[-1]
    record = world.store.load(outcome.ids["e1"])
    assert isinstance(last, RunFinished)
    assert (last.state, last.reason, last.exit_code, last.hint) == (
        record.state,
        record.reason,
        137,
        record.hint,
    )
    assert record.state is RunState.FAILED and "memory" in (record.reason or "")


def test_a_hint_names_the_dataset_of_the_run(world: World) -> None:
    damaged = Script(
        [[b"OSError: image file is truncated (14 bytes not processed)\n"]],
        [EngineStatus(EngineState.EXITED, exit_code=1)],
    )
    folder = world.root / "projects" / "p" / "data" / "odd one" / "train"
    arguments = ArgumentValues({"dataset_raw": str(folder)})
    plan = world.plan("e1", project="p", workspace=world.root, arguments=arguments)
    record = world.store.load(world.run({"e1": damaged}, {"e1": plan}).ids["e1"])
    assert "`taorunner dataset check 'odd one' --deep`" in (record.hint or "")


def _stop_when_started(store: RunStore) -> None:
    run_id = "20261120-000000-e1-x"
    _wait_for(store, run_id, RunState.RUNNING)
    store.request_stop(run_id, now())


def _wait_for(store: RunStore, run_id: str, state: RunState) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if store.paths(run_id).record.exists() and store.load(run_id).state is state:
            return
        pause.wait(0.02)
    raise AssertionError(f"{run_id} never was {state}")


def test_metrics_go_into_the_history_and_a_history_that_cannot_be_written_is_one_notice(world: World) -> None:
    plans = {name: world.plan(name, action="evaluate") for name in ("e1", "e2")}
    scripts = {name: Script(status=TESTED) for name in plans}
    world.store.paths("20261120-000000-e2-x").history.mkdir(parents=True)
    outcome = world.run(scripts, plans)
    assert read_history(world.store, outcome.ids["e1"]) == {"test_mAP50": {None: 0.9}}
    assert world.store.paths(outcome.ids["e1"]).history.is_file()
    assert outcome.state("e1") == outcome.state("e2") == (RunState.SUCCEEDED, "finished")
    notices = [event for event in outcome.events("e2") if isinstance(event, Notice)]
    assert [notice.code for notice in notices] == ["sink-failed"]
    assert "history" in notices[0].text


PRIORITY = EngineStatus(EngineState.WAITING, waiting="Priority")


def test_a_run_that_waits_in_its_engine_says_why_and_then_runs(world: World) -> None:
    resources = EngineStatus(EngineState.WAITING, waiting="Resources: 4 GPUs of type h100")
    answers: list[EngineStatus | MachineError] = [
        PRIORITY, PRIORITY, resources, MachineError("login1 does not answer"), resources, RUNNING, EXITED,
    ]  # fmt: skip
    outcome = world.run({"e1": Script(answers=answers, waits_for="Priority")})
    assert outcome.state("e1") == (RunState.SUCCEEDED, "finished")
    events = outcome.events("e1")
    assert [event.reason for event in events if isinstance(event, RunWaiting)] == [
        "Priority", "Resources: 4 GPUs of type h100",
    ]  # fmt: skip
    kinds = [type(event).__name__ for event in events]
    assert kinds.index("RunWaiting") < kinds.index("RunStarted") < kinds.index("RunFinished")
    waiting = fold(events[: kinds.index("RunWaiting") + 1])
    assert (waiting.state, waiting.waiting, waiting.elapsed_s(now())) == (RunState.WAITING, "Priority", None)
    assert waiting.to_json(world.root)["waiting"] == "Priority"
    assert fold(events).waiting is None


def test_a_run_that_has_already_run_when_it_is_asked_about_is_judged_by_its_output(world: World) -> None:
    outcome = world.run({"e1": Script(answers=[EXITED], waits_for="Priority")})
    assert outcome.state("e1") == (RunState.SUCCEEDED, "finished")
    assert outcome.log("e1") == GOOD


@pytest.mark.parametrize(
    "after", [EngineStatus(EngineState.MISSING), EngineStatus(EngineState.EXITED, error="CANCELLED")]
)
def test_a_run_that_waits_in_its_engine_is_stopped(world: World, after: EngineStatus) -> None:
    script = Script(answers=[PRIORITY], waits_for="Priority", after_stop=after)
    run_id = "20261120-000000-e1-x"

    def stop_when_it_waits() -> None:
        while not (
            world.store.paths(run_id).record.exists() and world.store.load(run_id).state is RunState.WAITING
        ):
            time.sleep(0.01)
        world.store.request_stop(run_id, now())

    stopper = threading.Thread(target=stop_when_it_waits, daemon=True)
    stopper.start()
    outcome = world.run({"e1": script})
    stopper.join(100)
    assert outcome.state("e1") == (RunState.STOPPED, "stopped before it started")
    assert outcome.backend.stopped == [run_id]
    assert world.store.load(run_id).started_at is None


def test_a_run_that_its_engine_drops_while_it_waits_is_lost(world: World) -> None:
    outcome = world.run(
        {"e1": Script(answers=[PRIORITY, EngineStatus(EngineState.MISSING)], waits_for="Priority")}
    )
    assert outcome.state("e1") == (RunState.LOST, "the engine no longer knows this run")


def test_a_supervisor_goes_on_with_a_run_that_waits(world: World) -> None:
    run_id = "20261120-000000-e1-x"
    batch = create_batch(world.store, [(run_id, world.plan("e1"))], now(), parallel=None, environ={})
    queued = world.store.load(run_id)
    world.store.save(replace(queued, state=RunState.WAITING, handle="c-1", launched_at=now()))
    world.store.append_events(run_id, [RunWaiting(run=run_id, at=now(), reason="Priority")])
    backend = ScriptedBackend({"e1": Script(answers=[PRIORITY, RUNNING, EXITED])})
    BatchRunner(
        world.store, batch, make_backend=lambda _name: backend, environ={},
        gpus=AllocatorPerBackend(FreeGpus(Leases(world.root / "leases"), two_gpus), Delegated(), lambda _name: True),
    ).run()  # fmt: skip
    record = world.store.load(run_id)
    assert (record.state, record.handle) == (RunState.SUCCEEDED, "c-1")
    assert backend.submitted == []
    kinds = [type(event).__name__ for event in world.store.read_events(run_id)[0]]
    assert kinds.count("RunStarted") == 1 and kinds.index("RunWaiting") < kinds.index("RunStarted")


PREEMPTED = EngineStatus(EngineState.WAITING, waiting="Preempted by job 7")
RESOURCES = EngineStatus(EngineState.WAITING, waiting="Resources")
FAILING = b"Execution status: FAIL\n"


def test_a_run_that_its_engine_requeues_waits_and_is_judged_by_its_next_launch(world: World) -> None:
    """The interrupted process says that it failed, and leaves a line open; the next one succeeds."""
    answers: list[EngineStatus | MachineError] = [
        PREEMPTED, MachineError("login1 does not answer"), RESOURCES, RUNNING, EXITED,
    ]  # fmt: skip
    script = Script([[b"one\n", FAILING, b"half"], [b"two\n", GOOD]], answers)
    outcome = world.run({"e1": script})
    assert outcome.state("e1") == (RunState.SUCCEEDED, "finished")
    assert outcome.log("e1") == b"one\n" + FAILING + b"half\ntwo\n" + GOOD
    first = len(b"one\n" + FAILING + b"half")
    whole = LogPosition(stdout=first + len(b"two\n" + GOOD))
    assert outcome.backend.positions == [LogPosition(), LogPosition(stdout=first), whole]
    assert len(outcome.backend.submitted) == 1
    events = outcome.events("e1")
    kinds = [type(event).__name__ for event in events if not isinstance(event, Notice)]
    assert kinds == [
        "RunQueued", "ImagePulling", "RunStarted", "RunWaiting", "RunWaiting", "RunStarted", "RunFinished",
    ]  # fmt: skip
    assert [event.reason for event in events if isinstance(event, RunWaiting)] == [
        "Preempted by job 7", "Resources",
    ]  # fmt: skip
    starts = [event for event in events if isinstance(event, RunStarted)]
    assert starts[0].handle == starts[1].handle
    record = world.store.load(outcome.ids["e1"])
    assert (record.requeues, record.started_at, record.image_digest) == (1, starts[0].at, "sha256:1")


def _stopping_when_it_waits(store: RunStore, run_id: str) -> threading.Thread:
    def stop() -> None:
        _wait_for(store, run_id, RunState.WAITING)
        store.request_stop(run_id, now())

    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    return stopper


@pytest.mark.parametrize(
    "after", [EngineStatus(EngineState.MISSING), EngineStatus(EngineState.EXITED, error="CANCELLED")]
)
def test_a_requeued_run_that_is_stopped_has_run_and_keeps_its_results(
    world: World, after: EngineStatus
) -> None:
    results = world.root / "models" / "e1"
    results.mkdir(parents=True)
    (results / "old.hdf5").write_text("weights")
    run_id = "20261120-000000-e1-x"
    stopper = _stopping_when_it_waits(world.store, run_id)
    script = Script([[b"one\n"], [b"last words\n"]], [PREEMPTED], after_stop=after)
    outcome = world.run({"e1": script}, {"e1": world.plan("e1", set_aside=(results,))})
    stopper.join(100)
    assert outcome.state("e1") == (RunState.STOPPED, "stopped while it waited to be started again")
    assert outcome.backend.stopped == [run_id]
    assert outcome.log("e1") == b"one\nlast words\n"
    assert results.is_dir() and not any(results.iterdir())
    (aside,) = (world.root / "models").glob("e1.*")
    assert (aside / "old.hdf5").read_text() == "weights"
    assert not [
        event for event in outcome.events("e1") if isinstance(event, Notice) and event.code == "put-back"
    ]


def test_a_requeued_run_that_its_engine_drops_is_lost(world: World) -> None:
    outcome = world.run({"e1": Script(answers=[PREEMPTED, EngineStatus(EngineState.MISSING)])})
    assert outcome.state("e1") == (RunState.LOST, "the engine no longer knows this run")


def test_status_records_of_the_interrupted_process_are_read_once(world: World) -> None:
    script = Script(answers=[PREEMPTED, PREEMPTED, RUNNING, EXITED], status=TESTED)
    outcome = world.run({"e1": script}, {"e1": world.plan("e1", action="evaluate")})
    metrics = [event for event in outcome.events("e1") if isinstance(event, MetricReported)]
    assert [(event.name, event.value) for event in metrics] == [("test_mAP50", 0.9)]
    size = len(TESTED.encode())
    assert list(world.store.load(outcome.ids["e1"]).status_sizes.values()) == [size]


@pytest.mark.parametrize("crash", ["after the event", "before the event", "before the record"])
def test_a_supervisor_goes_on_with_a_run_that_waits_again(world: World, crash: str) -> None:
    """The earlier supervisor died at each moment of recording that the engine has requeued the run."""
    run_id = "20261120-000000-e1-x"
    batch = create_batch(world.store, [(run_id, world.plan("e1"))], now(), parallel=None, environ={})
    started = replace(
        world.store.load(run_id), state=RunState.RUNNING, handle="c-1", launched_at=now(), started_at=now(),
        image_digest="sha256:1",
    )  # fmt: skip
    waiting = replace(started, state=RunState.WAITING, requeues=1)
    world.store.save(started if crash == "before the record" else waiting)
    paths = world.store.paths(run_id)
    paths.console.write_bytes(b"one\n" + FAILING)
    printed = len(b"one\n" + FAILING)
    RecordedLog(size=printed, stdout=printed, start=printed).save(paths.position)
    events: list[Event] = [RunStarted(run=run_id, at=now(), handle="c-1")]
    if crash == "after the event":
        events.append(RunWaiting(run=run_id, at=now(), reason="Preempted by job 7"))
    world.store.append_events(run_id, events)
    backend = ScriptedBackend({"e1": Script([[b"two\n", GOOD]], [PREEMPTED, PREEMPTED, RUNNING, EXITED])})
    if crash == "before the record":
        backend.scripts["e1"].logs.insert(0, [])
    gpus = FreeGpus(Leases(world.root / "leases"), two_gpus)
    BatchRunner(world.store, batch, make_backend=lambda _name: backend, gpus=gpus, environ={}).run()
    record = world.store.load(run_id)
    assert (record.state, record.reason, record.handle) == (RunState.SUCCEEDED, "finished", "c-1")
    assert (record.started_at, record.requeues, record.image_digest) == (started.started_at, 1, "sha256:1")
    assert backend.submitted == []
    assert backend.positions[0] == LogPosition(stdout=printed)
    assert paths.console.read_bytes() == b"one\n" + FAILING + b"two\n" + GOOD
    found = world.store.read_events(run_id)[0]
    kinds = [type(event).__name__ for event in found]
    assert kinds.count("RunStarted") == 2 and kinds[-2:] == ["RunStarted", "RunFinished"]
    reasons = [event.reason for event in found if isinstance(event, RunWaiting)]
    assert list(dict.fromkeys(reasons))[-1] == "Preempted by job 7"
    assert reasons.count("Preempted by job 7") == 1


def test_the_second_start_that_a_crash_cut_off_is_emitted(world: World) -> None:
    run_id = "20261120-000000-e1-x"
    batch = create_batch(world.store, [(run_id, world.plan("e1"))], now(), parallel=None, environ={})
    running = replace(
        world.store.load(run_id), state=RunState.RUNNING, handle="c-1", launched_at=now(), started_at=now(),
        requeues=1,
    )  # fmt: skip
    world.store.save(running)
    started = RunStarted(run=run_id, at=now(), handle="c-1")
    world.store.append_events(run_id, [started, RunWaiting(run=run_id, at=now(), reason="Preempted")])
    backend = ScriptedBackend({"e1": Script()})
    gpus = FreeGpus(Leases(world.root / "leases"), two_gpus)
    BatchRunner(world.store, batch, make_backend=lambda _name: backend, gpus=gpus, environ={}).run()
    kinds = [type(event).__name__ for event in world.store.read_events(run_id)[0]]
    assert kinds == ["RunQueued", "RunStarted", "RunWaiting", "RunStarted", "RunFinished"]


def test_a_retried_run_that_waits_for_its_first_start_has_not_started(world: World) -> None:
    """Its record keeps the start of the attempt before."""
    run_id = "20261120-000000-e1-x"
    batch = create_batch(world.store, [(run_id, world.plan("e1"))], now(), parallel=None, environ={})
    queued = world.store.load(run_id)
    tried = replace(
        queued, state=RunState.RUNNING, handle="c-1", started_at=now(), requeues=2, retries_left=1
    )
    world.store.save(replace(tried.tried_again(), state=RunState.WAITING, handle="c-2", launched_at=now()))
    again = [RunStarted(run=run_id, at=now(), handle="c-1"), replace(queued.queued_event(), at=now())]
    world.store.append_events(run_id, [*again, RunWaiting(run=run_id, at=now(), reason="Priority")])
    stopper = _stopping_when_it_waits(world.store, run_id)
    backend = ScriptedBackend(
        {"e1": Script(answers=[PRIORITY], after_stop=EngineStatus(EngineState.MISSING))}
    )
    gpus = FreeGpus(Leases(world.root / "leases"), two_gpus)
    BatchRunner(world.store, batch, make_backend=lambda _name: backend, gpus=gpus, environ={}).run()
    stopper.join(100)
    record = world.store.load(run_id)
    assert (record.state, record.reason) == (RunState.STOPPED, "stopped while it waited to be started again")
    kinds = [type(event).__name__ for event in world.store.read_events(run_id)[0]]
    assert kinds == ["RunQueued", "RunStarted", "RunQueued", "RunWaiting", "RunFinished"]


def test_a_record_of_an_earlier_version_waits_for_its_first_start(world: World) -> None:
    run_id = "20261120-000000-e1-x"
    create_batch(world.store, [(run_id, world.plan("e1"))], now(), parallel=None, environ={})
    body = replace(world.store.load(run_id), state=RunState.WAITING, handle="c-1").to_json()
    del body["requeues"]
    record = RunRecord.from_json(body)
    assert (record.state, record.requeues, record.was_launched) == (RunState.WAITING, 0, False)


def test_the_hook_of_a_run_whose_end_a_crash_cut_off_is_started_once(world: World) -> None:
    """The earlier supervisor died after it had recorded the end, before it emitted it."""
    told = world.root / "told"
    hook = ("/bin/sh", "-c", f"echo ended >> {told}")
    run_id = "20261120-000000-e1-x"
    batch = create_batch(
        world.store, [(run_id, world.plan("e1"))], now(), environ={}, policy=RunPolicy(on_finish=hook)
    )
    end = RunFinished(run=run_id, at=now(), state=RunState.FAILED, reason="exit code 3", exit_code=3)
    world.store.save(world.store.load(run_id).finished(end))
    backend = ScriptedBackend({"e1": Script()})
    for _ in range(2):
        gpus = FreeGpus(Leases(world.root / "leases"), two_gpus)
        BatchRunner(world.store, batch, make_backend=lambda _name: backend, gpus=gpus, environ={}).run()
    assert told.read_text() == "ended\n"
    assert [type(event).__name__ for event in world.store.read_events(run_id)[0]] == [
        "RunQueued",
        "RunFinished",
    ]
