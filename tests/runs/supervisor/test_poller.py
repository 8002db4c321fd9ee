"""One question for many runs, however they ask, and a pause that grows while nothing changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return {
            handle.run_id: self.states[handle.run_id] for handle in handles if handle.run_id in self.states
        }


def handle(run_id: str) -> Handle:
    return Handle("engine", run_id, "1", Path("/"))


def until(done: Any) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def poller(engine: Engine) -> Poller:
    return Poller(engine, first_pause_s=0.02, longest_pause_s=0.2)  # type: ignore[arg-type]


def test_eight_runs_that_end_together_cost_one_question(engine: Engine, poller: Poller) -> None:
    ids = [f"r{number}" for number in range(8)]
    engine.states = {
        run_id: EngineStatus(EngineState.EXITED, exit_code=int(run_id[1])) for run_id in ("r9", *ids)
    }
    engine.gate.clear()
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(poller.ask, handle("r9"))
        until(lambda: engine.questions)  # it is under way: what is asked now comes with the next one
        others = {run_id: threads.submit(poller.ask, handle(run_id)) for run_id in ids}
        until(lambda: len(poller._open) == 9)
        engine.gate.set()
        assert first.result().exit_code == 9
        assert [others[run_id].result().exit_code for run_id in ids] == list(range(8))
    assert [asked for _, asked in engine.questions] == [["r9"], ids]


def test_a_watched_run_answers_when_it_changes_and_pauses_grow_until_then(
    engine: Engine, poller: Poller
) -> None:
    engine.states = {"a": WAITING, "b": WAITING}
    with ThreadPoolExecutor(2) as threads:
        watched = [threads.submit(poller.next_change, handle(run_id), WAITING) for run_id in "ab"]
        until(lambda: len(engine.questions) >= 9)
        assert not any(future.done() for future in watched)
        times = [at for at, _ in engine.questions]
        pauses = [later - earlier for earlier, later in pairwise(times[1:])]
        assert pauses[-1] > 3 * pauses[0] and all(pause >= 0.02 for pause in pauses)
        assert all(asked == ["a", "b"] for _, asked in engine.questions[1:])
        engine.states["a"] = RUNNING
        assert watched[0].result(10) == RUNNING
        assert not watched[1].done()
        engine.states["b"] = RUNNING
        assert watched[1].result(10) == RUNNING
    until(lambda: poller._thread is None)  # nothing is asked: nothing runs
    count = len(engine.questions)
    time.sleep(0.1)
    assert len(engine.questions) == count


def test_hurry_ends_a_long_pause(engine: Engine) -> None:
    poller = Poller(engine, first_pause_s=60, longest_pause_s=60)  # type: ignore[arg-type]
    engine.states = {"a": WAITING}
    with ThreadPoolExecutor(1) as threads:
        watched = threads.submit(poller.next_change, handle("a"), WAITING)
        until(lambda: poller._open)
        engine.states["a"] = EngineStatus(EngineState.MISSING)
        poller.hurry()
        assert watched.result(5).state is EngineState.MISSING


def test_a_question_asked_meanwhile_is_answered_at_once_and_brings_the_watched_ones_along(
    engine: Engine,
) -> None:
    poller = Poller(engine, first_pause_s=60, longest_pause_s=60)  # type: ignore[arg-type]
    engine.states = {"a": RUNNING, "b": RUNNING}
    with ThreadPoolExecutor(1) as threads:
        watched = threads.submit(poller.next_change, handle("a"), WAITING)
        until(lambda: poller._open)
        assert poller.ask(handle("b")) == RUNNING
        assert watched.result(5) == RUNNING
    assert [asked for _, asked in engine.questions] == [["a", "b"]]


def test_an_engine_that_does_not_answer_is_every_askers_error(engine: Engine, poller: Poller) -> None:
    engine.error = MachineError("no engine")
    for ask in (lambda: poller.ask(handle("a")), lambda: poller.next_change(handle("a"), WAITING)):
        with pytest.raises(MachineError, match="no engine"):
            ask()
    engine.error = None
    with pytest.raises(MachineError, match='the backend "engine" gave no state of "a"'):
        poller.ask(handle("a"))
