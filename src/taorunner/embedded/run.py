"""The context of every action: console, results folder, status log, and stop requests."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from .console import Console
from .failures import RunInterruptedError
from .status_log import StatusLog


class StopRequest:
    """SIGTERM and SIGINT as a flag that loops check. A second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None and number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        self.signal_number = number

    def stop_if_asked(self) -> None:
        """Raises: RunInterruptedError."""
        if self.signal_number is not None:
            raise RunInterruptedError(self.signal_number, signal.Signals(self.signal_number).name)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of one action."""

    action: str
    folder: Path
    console: Console
    status: StatusLog
    stop_request: StopRequest

    def stop_if_asked(self) -> None:
        """Raises: RunInterruptedError."""
        self.stop_request.stop_if_asked()
