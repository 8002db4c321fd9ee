"""Signals of a viewer: noted by the handlers, obeyed by its loop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Signals:
    """A context in which signals only leave a note. What the caller ignores stays ignored: in a script, Ctrl-C does not
    reach a job started with ``&``.

    ``interrupts`` counts Ctrl-C, and SIGTERM unless ``is_live``. On a live screen ``ended_by`` is SIGTERM or SIGHUP,
    ``is_to_stop`` is set by Ctrl-Z, and ``was_continued`` when the process goes on after a stop.
    """

    def __init__(self, *, is_live: bool) -> None:
        self.interrupts = 0
        self.ended_by: int | None = None
        self.is_to_stop = False
        self.was_continued = False
        self._before: dict[int, Any] = {}
        self._is_live = is_live

    def __enter__(self) -> Signals:
        handlers: dict[int, Callable[[int, FrameType | None], None]]
        handlers = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._interrupt}
        if self._is_live:
            handlers |= {
                signal.SIGTERM: self._end, signal.SIGHUP: self._end, signal.SIGTSTP: self._stop,
                signal.SIGCONT: self._continue,
            }  # fmt: skip
        for number, handler in handlers.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stop_here(self) -> None:
        """Stops this process as Ctrl-Z does; returns when it is continued."""
        self.is_to_stop = False
        noting = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            os.kill(os.getpid(), signal.SIGTSTP)
        finally:
            signal.signal(signal.SIGTSTP, noting)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.interrupts += 1

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self.ended_by = number

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.is_to_stop = True

    def _continue(self, _number: int, _frame: FrameType | None) -> None:
        self.was_continued = True
