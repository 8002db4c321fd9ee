"""Poller: queries the engine once for the states of all runs of a batch.

Workers use it. Requests that arrive during a query are combined in the next one. Watched runs are polled with an
interval that grows while nothing changes.

``Statuses`` is the interface for workers. It allows a poller that several batches of one user share through a file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from taorunner.backends.contract import Backend, EngineStatus, Handle
from taorunner.errors import MachineError

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
_GROWS = 1.5
_GATHER_S = 0.002
"""The first request waits this long for others, because runs that end together send requests together."""


class Statuses(Protocol):
    """The engine's states of runs. Thread-safe; both methods block and raise what ``Backend.inspect`` raises."""

    def ask(self, handle: Handle) -> EngineStatus:
        """The current state of the run."""
        ...

    def next_change(self, handle: Handle, known: EngineStatus) -> EngineStatus:
        """Blocks until the state of the run differs from ``known``, and returns it."""
        ...

    def hurry(self) -> None:
        """Shortens the interval, after an action that changes a state."""
        ...


@dataclass(slots=True, eq=False)
class _Question:
    """A pending request. ``known`` is None if any state answers it."""

    handle: Handle
    known: EngineStatus | None = None
    answer: EngineStatus | Exception | None = None
    is_answered: threading.Event = field(default_factory=threading.Event)


class Poller:
    """Queries ``backend`` in one thread, which exists only while requests are pending. Pauses are in seconds."""

    def __init__(
        self, backend: Backend, *, first_pause_s: float = FIRST_PAUSE_S, longest_pause_s: float = LONGEST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._backend, self._clock = backend, clock
        self._first_pause_s, self._longest_pause_s = first_pause_s, longest_pause_s
        self._pause_s = first_pause_s
        self._open: list[_Question] = []
        self._changed = threading.Condition()
        self._is_urgent = False
        self._thread: threading.Thread | None = None

    def ask(self, handle: Handle) -> EngineStatus:
        return self._answered(_Question(handle))

    def next_change(self, handle: Handle, known: EngineStatus) -> EngineStatus:
        return self._answered(_Question(handle, known))

    def hurry(self) -> None:
        with self._changed:
            self._pause_s = self._first_pause_s
            self._is_urgent = True
            self._changed.notify_all()

    def _answered(self, question: _Question) -> EngineStatus:
        with self._changed:
            self._open.append(question)
            self._is_urgent |= question.known is None
            if question.known is not None:
                self._pause_s = self._first_pause_s
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name=f"poll-{self._backend.name}", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()
        question.is_answered.wait()
        assert question.answer is not None
        if isinstance(question.answer, Exception):
            raise question.answer
        return question.answer

    def _serve(self) -> None:
        while True:
            with self._changed:
                if not self._open:
                    self._thread = None
                    return
                self._wait_for_turn()
                self._is_urgent = False
                asked = list(self._open)
            statuses = self._ask_for({question.handle.run_id: question.handle for question in asked})
            with self._changed:
                self._give(asked, statuses)

    def _wait_for_turn(self) -> None:
        """Waits until the pause is over or an urgent request arrives."""
        until_s = self._clock() + self._pause_s
        while not self._is_urgent and (left_s := until_s - self._clock()) > 0:
            self._changed.wait(min(left_s, self._pause_s))
            until_s = min(until_s, self._clock() + self._pause_s)  # hurry() may have shortened it
        gathered_s = self._clock() + _GATHER_S
        while (left_s := gathered_s - self._clock()) > 0:
            self._changed.wait(left_s)

    def _ask_for(self, handles: dict[str, Handle]) -> dict[str, EngineStatus] | Exception:
        try:
            return self._backend.inspect(list(handles.values()))
        except Exception as error:  # raised in each waiting worker
            return error

    def _give(self, asked: list[_Question], statuses: dict[str, EngineStatus] | Exception) -> None:
        has_changed = False
        for question in asked:
            run_id = question.handle.run_id
            if isinstance(statuses, Exception):
                question.answer = statuses
            elif run_id not in statuses:
                question.answer = MachineError(
                    f'the backend "{self._backend.name}" gave no state of "{run_id}"'
                )
            elif statuses[run_id] == question.known:
                continue
            else:
                question.answer = statuses[run_id]
            has_changed |= question.known is not None
            self._open.remove(question)
            question.is_answered.set()
        if has_changed:
            self._pause_s = self._first_pause_s
        else:
            self._pause_s = min(self._longest_pause_s, self._pause_s * _GROWS)
