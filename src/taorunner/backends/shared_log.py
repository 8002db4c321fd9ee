"""The output of a run: ``console.log`` on the shared disk, read from a position on until the run has ended or waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from taorunner.backends.contract import EngineState, EngineStatus, LogChunk, LogPosition
from taorunner.backends.run_folder import RunFolder
from taorunner.errors import TaorunnerError
from taorunner.events import ANSWERS_AGAIN
from taorunner.state_files import read_some

_READ_BYTES = 256 * 1024
_PAUSE_S = 0.1
_FAR_PAUSE_S = 1.0
_ASK_EVERY_S = 15.0
"""How often the scheduler is asked about a run that prints nothing: a node that died writes no last line."""

_ASK_BETWEEN_S = 0.3


class SharedLog:
    """``ask`` asks the scheduler; the folder alone answers most of the time.

    A scheduler that falls silent is one notice, and so is its next answer. ``refresh`` brings what a far side has
    written into the folder, and raises while it cannot. ``engine`` is what starts runs there, in a word.
    """

    def __init__(
        self, folder: RunFolder, position: LogPosition, ask: Callable[[], EngineStatus],
        refresh: Callable[[], None] | None = None, engine: str = "scheduler",
    ) -> None:  # fmt: skip
        self._folder, self._ask, self._refresh = folder, ask, refresh
        self._engine = engine
        self._pause_s = _PAUSE_S if refresh is None else _FAR_PAUSE_S
        self._silent: str | None = None
        self._cut: str | None = None
        self._at = position.stdout
        self._closed = threading.Event()
        self._asked_s = 0.0

    def __iter__(self) -> Iterator[LogChunk]:
        while not self._closed.is_set():
            was_silent = self._cut or self._silent
            is_over = self._is_up_to_date() and self._is_over()
            is_silent = self._cut or self._silent
            if (was_silent is None) is not (is_silent is None):
                yield LogChunk("stdout", b"", notice=is_silent or f"the {self._engine} {ANSWERS_AGAIN}")
            while not self._closed.is_set() and (data := self._read()):
                self._at += len(data)
                yield LogChunk("stdout", data)
            if is_over:
                return
            self._closed.wait(self._pause_s)

    def close(self) -> None:
        self._closed.set()

    def _read(self) -> bytes:
        try:
            return read_some(self._folder.console, self._folder.trust, self._at, _READ_BYTES)
        except OSError:
            return b""

    def _is_up_to_date(self) -> bool:
        """False while the far side cannot be reached: then nothing that is here says that a run is over."""
        if self._refresh is not None:
            try:
                self._refresh()
            except TaorunnerError as error:
                self._cut = error.message
                return False
            self._cut = None
        return True

    def _is_over(self) -> bool:
        """True when the last start has ended, or none has begun: what comes later is read by a later call."""
        if self._folder.exit() is not None or self._folder.kept_end() is not None:
            return True
        _, last = self._folder.starts()
        is_between = last is None or last.ended is not None  # about to begin, or over: only Slurm knows
        if time.monotonic() - self._asked_s < (_ASK_BETWEEN_S if is_between else _ASK_EVERY_S):
            return False
        status = self._ask()
        self._asked_s, self._silent = time.monotonic(), status.silent
        return status.state is not EngineState.RUNNING
