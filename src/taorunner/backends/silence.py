"""Remembers that a scheduler does not answer: since when, and when it is asked again."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone

from taorunner.errors import MachineError


class SilentError(MachineError):
    """The scheduler, or the way to it, does not answer; or it does not take this login any more. Runs go on."""


class Silence:
    """``pause_s`` is how long no question is asked after one that got no answer. Thread-safe."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._since: datetime | None = None
        self._error: SilentError | None = None
        self._asked_again_s = 0.0

    def check(self) -> None:
        """Raises the last error until it is time to ask again."""
        with self._lock:
            if self._error is not None and time.monotonic() < self._asked_again_s:
                raise self._error

    def error(self, text: str, hint: str = "runs go on; nothing is lost") -> SilentError:
        """The error of a question that got no answer. It says since when there is none."""
        with self._lock:
            self._since = self._since or datetime.now(timezone.utc)
            since = self._since.astimezone().strftime("%H:%M")
            self._error = SilentError(f"{text} (since {since})", hint=hint)
            self._asked_again_s = time.monotonic() + self._pause_s
            return self._error

    def end(self) -> None:
        """There was an answer."""
        with self._lock:
            self._since = self._error = None
