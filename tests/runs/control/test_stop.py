"""A stop whose engine does not answer: said after a while, remembered, and said again when it is asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.events import STOP_WAITS, Notice, RunFinished, RunState, now
from taorunner.runs.control.stop import NotStoppedError, stop_runs
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.batch_lock import owning
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

ONE, TWO = (f"20261120-00000{number}-e{number}-evaluate-aaaaa{number}" for number in (1, 2))
WHY = "will be stopped when the engine answers: the scheduler does not answer (since 22:08)"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    """Two runs under way; this process has the lock of their supervisor."""
    made = RunStore(tmp_path / ".taorunner")
    batch = create_batch(made, [(run, plain_plan(tmp_path, run)) for run in (ONE, TWO)], now(), environ={})
    for run in (ONE, TWO):
        made.save(replace(made.load(run), state=RunState.RUNNING, handle="c1"))
    with owning(made.batch_paths(batch.id)):
        yield made


def notice(store: RunStore, run: str) -> None:
    store.append_events(run, [Notice(run=run, at=now(), level="warning", code=STOP_WAITS, text=WHY)])


def test_a_stop_that_waits_for_its_engine_is_said_each_time(store: RunStore) -> None:
    end = RunFinished(run=TWO, at=now(), state=RunState.STOPPED, reason="stopped on request", exit_code=0)
    store.save(store.load(TWO).finished(end))
    store.request_stop(ONE, now())
    notice(store, ONE)  # it comes once
    for _ in range(2):
        with pytest.raises(NotStoppedError) as raised:
            stop_runs(store, [ONE, TWO], answers_within_s=0.0)
        assert raised.value.message == f'run "{store.short_id(ONE)}" {WHY}'
        assert [one.state for one in raised.value.records] == [RunState.RUNNING, RunState.STOPPED]
        assert store.stop_request(ONE, is_queued=False) == "stop"


def test_several_that_wait_are_one_error(store: RunStore) -> None:
    for run in (ONE, TWO):
        store.request_stop(run, now())
        notice(store, run)
    with pytest.raises(NotStoppedError, match=r"\(since 22:08\); 1 more run, too"):
        stop_runs(store, [ONE, TWO], answers_within_s=0.0)
