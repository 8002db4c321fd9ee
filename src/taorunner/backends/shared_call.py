"""A call that many threads share: those who ask while it runs all get the answer of the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedCall(Generic[T]):
    """``call`` runs in the thread of one who asks. Its answer is never older than the question. Thread-safe."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._changed = threading.Condition()
        self._begun = self._done = 0
        self._answer: Future[T] = Future()

    def __call__(self) -> T:
        """Raises what ``call`` raised."""
        with self._changed:
            wanted = self._begun + 1
            while self._done < wanted and self._begun > self._done:
                self._changed.wait()
            if self._done >= wanted:
                return self._answer.result()
            self._begun += 1
        answer: Future[T] = Future()
        try:
            answer.set_result(self._call())
        except BaseException as error:  # all who wait are told, also of an interrupt
            answer.set_exception(error)
        with self._changed:
            self._answer, self._done = answer, self._begun
            self._changed.notify_all()
        return answer.result()
