"""One question for many runs, however they ask, and a pause that grows while nothing changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.contract import EngineState, EngineStatus, Handle
from taorunner.errors import MachineError
from taorunner.runs.supervisor.poller import Poller

WAITING = EngineStatus(EngineState.WAITING, waiting="Priority")
RUNNING = EngineStatus(EngineState.RUNNING)


class Engine:
    """Says what ``states`` holds, and counts who asked when."""

    name = "engine"

    def __init__(self) -> None:
        self.states: dict[str, EngineStatus] = {}
        self.questions: list[tuple[float, list[str]]] = []
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        self.questions.append((time.monotonic(), sorted(handle.run_id for handle in handles)))
        self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return {
            handle.run_id: self.states[handle.run_id] for handle in handles if handle.run_id in self.states
        }


def handle(run_id: str) -> Handle:
    return Handle("engine", run_id, "1", Path("/"))


def until(done: Any) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def asked_engine() -> Engine:
    return Engine()


@pytest.fixture
def poller(asked_engine: Engine) -> Poller:
    return Poller(asked_engine, first_pause_s=0.02, longest_pause_s=0.2)  # type: ignore[arg-type]


@contextmanager
def released(engine: Engine, run_ids: str) -> Iterator[None]:
    """At the end nobody waits for these runs any more, also where a check failed: threads that wait are joined."""
    try:
        yield
    finally:
        engine.states.update(dict.fromkeys(run_ids, RUNNING))


def test_eight_runs_that_end_together_cost_one_question(asked_engine: Engine, poller: Poller) -> None:
    ids = [f"r{number}" for number in range(8)]
    asked_engine.states = {
        run_id: EngineStatus(EngineState.EXITED, exit_code=int(run_id[1])) for run_id in ("r9", *ids)
    }
    asked_engine.gate.clear()
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(poller.ask, handle("r9"))
        until(lambda: asked_engine.questions)  # it is under way: what is asked now comes with the next one
        others = {run_id: threads.submit(poller.ask, handle(run_id)) for run_id in ids}
        until(lambda: len(poller._open) == 9)
        asked_engine.gate.set()
        assert first.result().exit_code == 9
        assert [others[run_id].result().exit_code for run_id in ids] == list(range(8))
    assert [asked for _, asked in asked_engine.questions] == [["r9"], ids]


def test_a_watched_run_answers_when_it_changes_and_pauses_grow_until_then(
    asked_engine: Engine, poller: Poller
) -> None:
    asked_engine.states = {"a": WAITING, "b": WAITING}
    with ThreadPoolExecutor(2) as threads, released(asked_engine, "ab"):
        watched = [threads.submit(poller.next_change, handle(run_id), WAITING) for run_id in "ab"]
        until(lambda: len(asked_engine.questions) >= 12)
        assert not any(future.done() for future in watched)
        times = [at for at, _ in asked_engine.questions]
        pauses = [later - earlier for earlier, later in pairwise(times[1:])]
        # A busy machine makes a pause longer, never shorter.
        assert pauses[-1] >= 0.19 and all(pause >= 0.02 for pause in pauses)
        assert asked_engine.questions[-1][1] == ["a", "b"]
        asked_engine.states["a"] = RUNNING
        assert watched[0].result(60) == RUNNING
        assert not watched[1].done()
        asked_engine.states["b"] = RUNNING
        assert watched[1].result(60) == RUNNING
    until(lambda: poller._thread is None)  # nothing is asked: nothing runs
    count = len(asked_engine.questions)
    time.sleep(0.1)
    assert len(asked_engine.questions) == count


def test_hurry_ends_a_long_pause(asked_engine: Engine) -> None:
    poller = Poller(asked_engine, first_pause_s=60, longest_pause_s=60)  # type: ignore[arg-type]
    asked_engine.states = {"a": WAITING}
    with ThreadPoolExecutor(1) as threads:
        watched = threads.submit(poller.next_change, handle("a"), WAITING)
        until(lambda: poller._open)
        asked_engine.states["a"] = EngineStatus(EngineState.MISSING)
        poller.hurry()
        assert watched.result(50).state is EngineState.MISSING


def test_a_question_asked_meanwhile_is_answered_at_once_and_brings_the_watched_ones_along(
    asked_engine: Engine,
) -> None:
    poller = Poller(asked_engine, first_pause_s=60, longest_pause_s=60)  # type: ignore[arg-type]
    asked_engine.states = {"a": RUNNING, "b": RUNNING}
    with ThreadPoolExecutor(1) as threads:
        watched = threads.submit(poller.next_change, handle("a"), WAITING)
        until(lambda: poller._open)
        assert poller.ask(handle("b")) == RUNNING
        assert watched.result(50) == RUNNING
    assert [asked for _, asked in asked_engine.questions] == [["a", "b"]]


def test_an_engine_that_does_not_answer_is_every_askers_error(asked_engine: Engine, poller: Poller) -> None:
    asked_engine.error = MachineError("no engine")
    for ask in (lambda: poller.ask(handle("a")), lambda: poller.next_change(handle("a"), WAITING)):
        with pytest.raises(MachineError, match="no engine"):
            ask()
    asked_engine.error = None
    with pytest.raises(MachineError, match='the backend "engine" gave no state of "a"'):
        poller.ask(handle("a"))
