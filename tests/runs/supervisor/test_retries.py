"""Retries, lineage, ``--stop-on-nan``, stopping what is queued, ``--on-finish``: the runner with real processes."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.process.backend import LocalBackend
from taorunner.catalog.load import load_network
from taorunner.errors import MachineError, UserFilesError
from taorunner.events import Notice, RunStarted, RunState, now
from taorunner.gpu.inventory import Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.inputs.argv import build_argv
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.plan import RenderedSpec, RunPlan
from taorunner.progress.verdict import Verdict
from taorunner.runs.control.stop import stop_runs
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.record import RunPolicy, RunRecord
from taorunner.runs.state.store import Batch, RunStore
from taorunner.runs.supervisor.batch_runner import BatchRunner
from taorunner.runs.supervisor.retries import next_attempt
from taorunner.scheduling.gpu_allocator import FreeGpus

HEAD = """#!/bin/sh
for word; do case $word in results_dir=*) results=${word#*=} ;; esac; done
mkdir -p "$results/train"
attempt=$(($(cat "$results/attempts" 2>/dev/null || echo 0) + 1))
echo $attempt > "$results/attempts"
echo "attempt $attempt: $*"
status() { echo "{\\"date\\": \\"1/1/2026\\", \\"time\\": \\"1:1:1\\", \\"status\\": \\"RUNNING\\", $1}" >> "$results/train/status.json"; }
checkpoint() { echo weights > "$results/train/model_epoch_$1_step_00010.npz"; }
good() { checkpoint 004; status '"message": "Train finished successfully."'; exit 0; }
"""
"""What each stand-in of the program begins with; it counts how often it was started."""


@dataclass
class World:
    root: Path
    store: RunStore

    def plan(self, name: str, **changes: Any) -> RunPlan:
        contract = load_network("tinydet").contract("train")
        results = self.root / "models" / name
        arguments = ArgumentValues({"spec": "train.yaml", "results_dir": str(results)})
        plan = RunPlan(
            project="p", experiment=name, action="train", backend="local", contract=contract,
            argv=build_argv(contract, arguments).tokens, arguments=arguments, workspace=self.root,
            results_dir=results, results_inside=str(results), run_inside="/nowhere", epochs=5,
        )  # fmt: skip
        return replace(plan, **changes)

    def batch(self, program: str, *plans: RunPlan, **policy: Any) -> Batch:
        folder = self.root / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "tinydet").write_text(HEAD + program)
        (folder / "tinydet").chmod(0o755)
        named = [(f"20260101-00000{at}-{plan.experiment}-train-x", plan) for at, plan in enumerate(plans)]
        return create_batch(self.store, named, now(), environ={}, grace_s=1.0, policy=RunPolicy(**policy))

    def runner(self, batch: Batch) -> BatchRunner:
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return BatchRunner(
            self.store, batch, make_backend=lambda _name: LocalBackend({"PATH": path}), gpus=FreeGpus(Leases(self.store.runs_dir / ".leases"), Inventory),
            environ={"PATH": path}, retry_waits_s=(0.0,),
        )  # fmt: skip

    def run(self, program: str, *plans: RunPlan, **policy: Any) -> RunRecord:
        batch = self.batch(program, *plans, **policy)
        self.runner(batch).run()
        return self.store.load(batch.runs[0])

    def notices(self, run_id: str) -> list[tuple[str, str]]:
        events = self.store.read_events(run_id)[0]
        return [(event.code, event.text) for event in events if isinstance(event, Notice)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, RunStore(tmp_path / ".taorunner"))


def test_a_killed_training_goes_on_from_its_newest_checkpoint_in_the_same_run(world: World) -> None:
    record = world.run(
        "[ $attempt = 1 ] && { checkpoint 001; kill -9 $$; }; good", world.plan("e1"), retries=2
    )
    assert (record.state, record.attempt, record.retries_left, record.exit_code) == (
        RunState.SUCCEEDED,
        2,
        1,
        0,
    )
    log = world.store.paths(record.id).console.read_text().splitlines()
    results = world.root / "models" / "e1"
    resumed = f"train.resume_training_checkpoint_path={results}/train/model_epoch_001_step_00010.npz"
    assert [line.partition(":")[0] for line in log] == ["attempt 1", "attempt 2"]
    assert resumed not in log[0] and log[1].endswith(resumed)
    assert world.notices(record.id) == [
        ("retry",
         "attempt 1: killed (SIGKILL), but not by taorunner; "
         "attempt 2 resumes after epoch 2, from model_epoch_001_step_00010.npz, in 0s"),
        ("resuming", "this training resumes after epoch 2, from model_epoch_001_step_00010.npz"),
    ]  # fmt: skip
    starts = [event for event in world.store.read_events(record.id)[0] if isinstance(event, RunStarted)]
    assert len({event.handle for event in starts}) == 2
    assert not (world.store.paths(record.id).directory / "process" / "pid").exists()


def test_the_spec_of_the_next_attempt_is_not_written_through_a_link(world: World) -> None:
    """The process replaced its spec, and the folder of its secrets' spec, by links to files of the caller."""
    precious = world.root / "precious"
    precious.write_text("old")
    program = (
        "input=$(echo .taorunner/runs/*/input); "
        f"[ $attempt = 1 ] && {{ ln -sf {precious} $input/train.yaml; kill -9 $$; }}; good"
    )
    spec = RenderedSpec(world.root / "train.yaml", "train.yaml", "results_dir: /r\n", "/nowhere/train.yaml")
    record = world.run(program, world.plan("e1", spec=spec), retries=1)
    written = world.store.paths(record.id).input_dir / "train.yaml"
    assert (record.state, record.attempt) == (RunState.SUCCEEDED, 2)
    assert (precious.read_text(), written.is_symlink()) == ("old", False)
    assert written.read_text() == "results_dir: /r\n"


def test_without_a_checkpoint_it_starts_from_the_beginning_and_moves_nothing_aside(world: World) -> None:
    (world.root / "models" / "e1").mkdir(parents=True)
    plan = world.plan("e1", set_aside=(world.root / "models" / "e1",), overwrite=True)
    record = world.run("[ $attempt = 1 ] && kill -9 $$; good", plan, retries=1)
    assert record.state is RunState.SUCCEEDED
    assert world.notices(record.id)[-1][1].endswith("; attempt 2 starts from the beginning, in 0s")
    assert len(list((world.root / "models").iterdir())) == 2  # what was there before, and these results


def test_retries_are_counted_and_the_last_end_is_the_runs_own(world: World) -> None:
    record = world.run("kill -9 $$", world.plan("e1"), retries=2)
    assert (record.state, record.attempt, record.retries_left) == (RunState.FAILED, 3, 0)
    assert record.reason == "killed (SIGKILL), but not by taorunner"
    assert (world.root / "models" / "e1" / "attempts").read_text() == "3\n"


@pytest.mark.parametrize("program", ["exit 1", "echo 'CUDA out of memory'; exit 1", "exit 2"])
def test_what_would_fail_again_is_not_tried_again(program: str, world: World) -> None:
    record = world.run(program, world.plan("e1"), retries=3)
    assert (record.state, record.attempt) == (RunState.FAILED, 1)


def test_a_training_that_was_killed_when_all_was_done_is_not_started_again(world: World) -> None:
    record = world.run(
        'checkpoint 004; status \'"epoch": 4, "max_epoch": 4\'; kill -9 $$', world.plan("e1"), retries=3
    )
    assert (record.state, record.attempt) == (RunState.FAILED, 1)


def a_record(**changes: Any) -> RunRecord:
    body: dict[str, Any] = {
        "id": "r", "batch": "b", "project": "p", "experiment": "e", "action": "train", "backend": "local",
        "state": RunState.RUNNING, "queued_at": now(), "retries_left": 1,
    }  # fmt: skip
    return RunRecord(**{**body, **changes})


def test_results_of_the_first_attempt_are_not_set_aside_by_the_second(world: World) -> None:
    contract = load_network("tinydet").contract("export")
    file = world.root / "models" / "e1" / "model.onnx"
    plan = world.plan("e1", action="export", contract=contract, set_aside=(file,), overwrite=True)
    lost = Verdict(RunState.LOST, "gone", is_transient=True)
    again = next_attempt(a_record(), plan, lost)
    assert again is not None
    assert again.plan == replace(plan, set_aside=(), overwrite=False)
    never_ran = next_attempt(a_record(), plan, lost, has_started=False)
    assert never_ran is not None
    assert never_ran.plan == plan


def test_which_ends_are_worth_another_attempt(world: World) -> None:
    plan = world.plan("e1")
    lost = Verdict(RunState.LOST, "gone", is_transient=True)
    away = MachineError("no engine answers")
    assert next_attempt(a_record(), plan, lost) is not None
    assert next_attempt(a_record(), plan, away) is not None
    assert next_attempt(a_record(), plan, Verdict(RunState.FAILED, "CUDA out of memory")) is None
    assert next_attempt(a_record(), plan, UserFilesError("no such key")) is None
    assert next_attempt(a_record(retries_left=0), plan, lost) is None
    assert next_attempt(a_record(stop_requested_at=now()), plan, lost) is None
    waits = [next_attempt(a_record(retries_made=made), plan, lost) for made in (0, 1, 2, 9)]
    assert [coming.wait_s for coming in waits if coming] == [5, 30, 120, 120]


def test_a_loss_that_is_no_number_stops_the_run_and_says_so(world: World) -> None:
    program = """trap 'exit 143' TERM
status '"epoch": 0, "max_epoch": 4, "kpi": {"train_loss": NaN}'
while :; do sleep 0.05; done"""
    record = world.run(program, world.plan("e1"), stop_on_nan=True, retries=3)
    assert (record.state, record.attempt) == (RunState.STOPPED, 1)
    assert record.reason is not None
    assert record.reason.startswith("stopped by --stop-on-nan: train_loss became nan")


def test_only_what_is_queued_is_stopped(world: World) -> None:
    batch = world.batch(
        "trap 'exit 143' TERM; while :; do sleep 0.05; done", world.plan("e1"), world.plan("e2")
    )
    first, second = batch.runs
    with running(world, batch):
        until(lambda: world.store.load(first).state is RunState.RUNNING)
        for run_id in batch.runs:
            world.store.request_stop(run_id, now(), only_queued=True)
        until(lambda: world.store.load(second).state.is_final)
        assert world.store.load(second).reason == "stopped while it was queued"
        until(lambda: not world.store.paths(first).stop_request.exists())
        assert world.store.load(first).state is RunState.RUNNING
        world.store.request_stop(first, now())
    assert (world.store.load(first).state, world.store.load(first).reason) == (
        RunState.STOPPED,
        "stopped on request",
    )


def test_stopping_what_is_queued_gives_one_that_started_meanwhile_as_it_is(world: World) -> None:
    batch = world.batch("good", world.plan("e1"))
    world.store.save(replace(world.store.load(batch.runs[0]), state=RunState.RUNNING))
    (record,) = stop_runs(world.store, batch.runs, only_queued=True)
    assert record.state is RunState.RUNNING


def test_the_hook_receives_the_end_and_its_failure_is_a_notice(world: World) -> None:
    received = world.root / "received.json"
    hook = world.root / "hook"
    hook.write_text(f'#!/bin/sh\ncat >> "{received}"\necho cannot send >&2\nexit 4\n')
    hook.chmod(0o755)
    record = world.run(
        "[ $attempt = 1 ] && kill -9 $$; good", world.plan("e1"), retries=1, on_finish=(str(hook),)
    )
    assert record.state is RunState.SUCCEEDED
    (line,) = received.read_text().splitlines()  # once for the run, not for each attempt
    body = json.loads(line)
    assert (body["id"], body["state"], body["directory"]) == (
        record.id, "SUCCEEDED", str(world.store.paths(record.id).directory),
    )  # fmt: skip
    assert ("on-finish", "--on-finish hook ended with code 4: cannot send") in world.notices(record.id)


def test_a_resumed_training_knows_where_it_comes_from(world: World) -> None:
    record = world.run("good", world.plan("e1"))
    from taorunner.planning.model.plan import ResumePoint

    going_on = world.plan("e1", resume=ResumePoint(world.root / "x", 3))
    (again,) = create_batch(world.store, [("20260102-000000-e1-train-y", going_on)], now(), environ={}).runs
    (third,) = create_batch(world.store, [("20260103-000000-e1-train-z", going_on)], now(), environ={}).runs
    (other,) = create_batch(
        world.store,
        [("20260104-000000-e2-train-z", world.plan("e2", resume=going_on.resume))],
        now(),
        environ={},
    ).runs
    lineage = [(r.resumed_from, r.attempt) for r in map(world.store.load, (again, third, other))]
    assert lineage == [(record.id, 2), (again, 3), (None, 1)]


class running:  # noqa: N801
    """The batch's runner in a thread; at the end it has to be over."""

    def __init__(self, world: World, batch: Batch) -> None:
        self._thread = threading.Thread(target=world.runner(batch).run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
