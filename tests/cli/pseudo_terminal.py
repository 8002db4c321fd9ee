"""A command on a pseudo-terminal of its own: typing, resizing, what is shown, how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from command_line import PATIENCE_S


class PseudoTerminal:
    """The person's end. ``shown`` is everything that came so far."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], rows: int = 30, columns: int = 97
    ) -> None:
        self._master, self._slave = os.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            command, cwd=cwd, env=dict(env), stdin=self._slave, stdout=self._slave, stderr=self._slave,
            start_new_session=True, preexec_fn=_take_terminal,
        )  # fmt: skip
        self.shown = ""

    @property
    def settings(self) -> list[object]:
        """As ``before``: what ``stty`` would tell."""
        return termios.tcgetattr(self._slave)

    def resize(self, rows: int, columns: int) -> None:
        """The kernel tells the foreground of the terminal with SIGWINCH."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """The match in what was shown since the last one."""
        deadline = time.monotonic() + timeout_s
        while (match := re.search(pattern, self.shown)) is None:
            if time.monotonic() > deadline:
                pytest.fail(f"no {pattern!r} on the terminal:\n{self.shown}")
            self._read(0.1)
        self.shown = self.shown[match.end() :]
        return match

    def end(self, timeout_s: float = PATIENCE_S) -> int:
        """Reads on until the command has ended; its exit code."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                pytest.fail(f"it did not end:\n{self.shown}")
            self._read(0.05)
        self._read(0.05)
        return self.process.returncode

    def close(self) -> None:
        """As when a window is closed. Idempotent."""
        for descriptor in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def clear(self) -> None:
        self.close()
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _read(self, timeout_s: float) -> None:
        if select.select([self._master], [], [], timeout_s)[0]:
            with contextlib.suppress(OSError):
                self.shown += os.read(self._master, 65536).decode(errors="replace")


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
