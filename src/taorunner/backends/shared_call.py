"""Calls that threads share when they ask at about the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

_COME_WITHIN_S = 0.5
"""Of several who are expected, the next one. One that fails before never comes."""


class GatheredCall(Generic[Q, A]):
    """``call`` gets questions and gives an answer for each, in their order; an exception is for the one who asked.

    It runs in the thread of one who asks, after it has waited ``gather_s`` for others. Those who ask while it runs
    get theirs from the next one. Thread-safe.
    """

    def __init__(self, call: Callable[[Sequence[Q]], Sequence[A | Exception]], gather_s: float = 0.0) -> None:
        self._call, self._gather_s = call, gather_s
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._open: list[tuple[Q, Future[A]]] = []

    def __call__(self, question: Q, together: int = 1) -> A:
        """``together`` ask at about the same time: the call waits for the others while they come.

        Raises what ``call`` raised, or gave for this question.
        """
        answer: Future[A] = Future()
        with self._changed:
            self._open.append((question, answer))
            self._changed.notify_all()
        with self._turn:
            if not answer.done():
                if self._gather_s:
                    time.sleep(self._gather_s)
                with self._changed:
                    self._wait_for(together)
                    asked, self._open = self._open, []
                self._answer(asked)
        return answer.result()

    def _wait_for(self, together: int) -> None:
        while (known := len(self._open)) < together:
            if not self._changed.wait_for(lambda: len(self._open) != known, _COME_WITHIN_S):
                return

    def _answer(self, asked: Sequence[tuple[Q, Future[A]]]) -> None:
        try:
            answers = self._call([question for question, _ in asked])
        except BaseException as error:  # an interrupt, too: no thread may wait for ever
            for _, future in asked:
                future.set_exception(error)
            return
        for (_, future), answer in zip(asked, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class SharedCall(Generic[A]):
    """``call`` without a question: the threads that share it get the same answer, never one from before they asked."""

    def __init__(self, call: Callable[[], A]) -> None:
        self._gathered = GatheredCall[None, A](lambda asked: [call()] * len(asked))

    def __call__(self) -> A:
        """Raises what ``call`` raised."""
        return self._gathered(None)
