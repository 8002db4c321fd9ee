"""Adding to a batch while it runs: real supervisors, real processes, and the moment at which the batch ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.errors import RunStateError
from taorunner.events import RunState, now
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.control.join_batch import alone, join, joinable
from taorunner.runs.control.spawn import Supervisor
from taorunner.runs.state.batch_creation import create_batch, record_runs
from taorunner.runs.state.batch_index import OpenBatches
from taorunner.runs.state.batch_lock import supervisor_pid
from taorunner.runs.state.record import DEFAULT_POLICY
from taorunner.runs.state.store import Batch, RunStore

UNTIL_GO = 'until [ -e "$0/go" ]; do sleep 0.05; done'
"""A run that lasts until the test says ``go``."""


class Workspace:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = RunStore(root / ".taorunner")

    def plan(self, name: str, script: str) -> RunPlan:
        return plain_plan(self.root, name, argv=("sh", "-c", script, str(self.root)), run_inside="/r")

    def go(self) -> None:
        (self.root / "go").touch()

    def begin(self, *scripts: str, parallel: int | None = None) -> Batch:
        plans = [(f"r{number}", self.plan(f"r{number}", script)) for number, script in enumerate(scripts)]
        batch = create_batch(self.store, plans, now(), environ=os.environ, parallel=parallel)
        supervisor = Supervisor()
        supervisor.give(batch.id, str(self.store.state_dir))
        self.store.open_batches.handed_over(batch.id)
        return batch

    def add(self, batch_id: str, name: str, script: str) -> Batch:
        return join(self.store, batch_id, [(name, self.plan(name, script))], now(), environ=os.environ)

    def state(self, name: str) -> RunState:
        return self.store.load(name).state

    def wait(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 100
        while not what():
            assert time.monotonic() < deadline, {name: self.state(name) for name in self.store.run_ids()}
            time.sleep(0.01)

    def times(self, name: str) -> tuple[datetime, datetime]:
        record = self.store.load(name)
        assert record.started_at is not None and record.finished_at is not None
        return record.started_at, record.finished_at


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_a_run_that_joins_is_started_by_the_same_supervisor_within_the_batchs_parallel(
    workspace: Workspace,
) -> None:
    batch = workspace.begin(UNTIL_GO, parallel=1)
    workspace.wait(lambda: workspace.state("r0") is RunState.RUNNING)
    owner = supervisor_pid(workspace.store.batch_paths(batch.id))
    assert joinable(workspace.store, "r0") == batch.id
    assert workspace.add(batch.id, "r1", "echo hello").runs == ("r0", "r1")
    assert [record.id for record in workspace.store.unfinished()] == ["r1", "r0"]
    workspace.go()
    workspace.wait(lambda: workspace.store.open_batches.ids() == [])
    assert (workspace.state("r0"), workspace.state("r1")) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert workspace.store.paths("r1").console.read_text() == "hello\n"
    assert workspace.times("r0")[1] <= workspace.times("r1")[0]
    assert supervisor_pid(workspace.store.batch_paths(batch.id)) == owner


@pytest.mark.parametrize("round_", range(8))
def test_what_joins_at_the_last_moment_runs_or_is_refused(workspace: Workspace, round_: int) -> None:
    """Adding while the batch is about to end never leaves a run without a supervisor."""
    batch = workspace.begin("true")
    workspace.wait(lambda: workspace.state("r0").is_final)
    time.sleep(0.002 * round_)
    try:
        workspace.add(batch.id, "r1", "true")
    except RunStateError as error:
        assert "has just ended" in str(error)
        assert workspace.store.run_ids() == ["r0"]
    else:
        workspace.wait(lambda: workspace.store.open_batches.ids() == [])
        assert workspace.state("r1") is RunState.SUCCEEDED


def test_a_batch_that_is_over_cannot_be_joined(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = workspace.begin("true")
    monkeypatch.setattr(OpenBatches, "is_ours", lambda *_: False)
    with pytest.raises(RunStateError, match="belongs to another user"):
        joinable(workspace.store, "r0")
    monkeypatch.undo()
    workspace.wait(lambda: workspace.store.open_batches.ids() == [])
    with pytest.raises(RunStateError, match="has ended: it cannot be joined"):
        joinable(workspace.store, "r0")
    with pytest.raises(RunStateError, match="has just ended"):
        workspace.add(batch.id, "r1", "true")
    assert workspace.store.run_ids() == ["r0"]


def test_what_was_half_added_is_reported_as_never_started(workspace: Workspace) -> None:
    """As after kill -9 between the record and the batch's own list, and between folder and record."""
    batch = workspace.begin(UNTIL_GO)
    with alone(workspace.store, batch.id):
        workspace.store.open_batches.rename_runs(batch.id, [*batch.runs, "r1", "r2"])
        record_runs(
            workspace.store, [("r1", workspace.plan("r1", "true"))], batch.id, now(), {}, DEFAULT_POLICY
        )
        workspace.store.paths("r2").input_dir.mkdir(parents=True)
    workspace.go()
    workspace.wait(lambda: workspace.store.open_batches.ids() == [])
    record = workspace.store.load("r1")
    assert (record.state, record.started_at) == (RunState.STOPPED, None)
    assert record.reason is not None and record.reason.endswith("it was never started")
    assert workspace.store.run_ids() == ["r1", "r0"]
