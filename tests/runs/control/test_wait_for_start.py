"""``--detach`` returns when what can start has started."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from plain_runs import plain_plan

from taorunner.events import RunState, now
from taorunner.runs.control.wait_for_start import wait_for_start
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.batch_lock import owning, say_ready
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

RUN = "20260101-000000-e1-evaluate-abc123"
SHORT_S, LONG_S = 0.3, 10


class Waiting:
    """A wait in a thread of its own, for a batch with one run that this process owns."""

    def __init__(self, root: Path, *, joins: bool = False) -> None:
        self.store = RunStore(root / ".taorunner")
        self.batch = create_batch(self.store, [(RUN, plain_plan(root, "e1"))], now(), environ={})
        self.found: list[RunRecord] | None = None
        self._thread = threading.Thread(target=self._wait, args=(joins,), daemon=True)

    def _wait(self, joins: bool) -> None:
        self.found = wait_for_start(self.store, self.batch.id, [RUN], joins=joins)

    def is_over(self, within_s: float) -> bool:
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def set(self, state: RunState, error_code: int | None = None) -> None:
        self.store.save(replace(self.store.load(RUN), state=state, error_code=error_code))

    def say_ready(self) -> None:
        say_ready(self.store.batch_paths(self.batch.id))


def test_a_queued_run_is_waited_for_until_its_supervisor_has_looked(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    with owning(waiting.store.batch_paths(waiting.batch.id)):
        assert not waiting.is_over(SHORT_S)
        waiting.say_ready()
        assert waiting.is_over(LONG_S)  # it is still queued: it waits for a GPU
    assert waiting.found == []


def test_a_run_that_starts_is_waited_for_and_a_refused_one_is_given_back(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    with owning(waiting.store.batch_paths(waiting.batch.id)):
        waiting.set(RunState.STARTING)
        waiting.say_ready()
        assert not waiting.is_over(SHORT_S)
        waiting.set(RunState.FAILED, error_code=5)
        assert waiting.is_over(LONG_S)
    assert [record.error_code for record in waiting.found or []] == [5]


def test_a_run_that_joins_is_given_time_to_be_seen(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path, joins=True)
    with owning(waiting.store.batch_paths(waiting.batch.id)):
        waiting.say_ready()
        assert not waiting.is_over(SHORT_S)
        waiting.set(RunState.RUNNING)
        assert waiting.is_over(SHORT_S)
    assert waiting.found == []
