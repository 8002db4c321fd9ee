"""One question at a time: whoever asks while it is under way shares the next answer with all others who do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedCall(Generic[T]):
    """``call`` is made in the thread of one who asks. Its answer is never older than the question. Thread-safe."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._changed = threading.Condition()
        self._begun = self._done = 0
        self._outcome: tuple[T | None, Exception | None] = (None, None)

    def __call__(self) -> T:
        """Raises what ``call`` raised."""
        with self._changed:
            wanted = self._begun + 1
            while self._done < wanted and self._begun > self._done:
                self._changed.wait()
            if self._done >= wanted:
                return _given(self._outcome)
            self._begun += 1
        outcome = _outcome(self._call)
        with self._changed:
            self._outcome, self._done = outcome, self._begun
            self._changed.notify_all()
        return _given(outcome)


def _outcome(call: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return call(), None
    except Exception as error:  # raised in everyone who waits
        return None, error


def _given(outcome: tuple[T | None, Exception | None]) -> T:
    answer, error = outcome
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]
