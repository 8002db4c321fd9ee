"""The guard process of a shell: ends the container when the shell was killed.

The guard also holds the leases of the shell's GPUs, so that they are not reused before the container is gone; the
kernel frees them when both processes have ended. The guard waits on its standard input: ``done`` before the end of the
input means that the shell has cleaned up. After a kill it also restores the terminal.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.errors import TaorunnerError

_CODE = """import sys
sys.path[:] = [*filter(None, sys.path), sys.argv[1]]
from taorunner.shell.guard import main
main(*sys.argv[2:])"""
"""Not ``-m``, which would import from the current folder first."""
_DONE = b"done"
_LOOKS = 3
"""A container that was being created when the shell was killed appears a moment later."""
PATIENCE_S = 600.0
"""The guard gives up after this time without an answer of the engine; labels still show the container's GPUs."""


class ShellGuard:
    """The shell's side of the guard. ``lease`` are descriptors that the guard inherits."""

    def __init__(self, container: str, run_dir: Path, lease: Sequence[int] = ()) -> None:
        package = str(Path(__file__).resolve().parents[2])
        terminal = os.dup(0) if os.isatty(0) else -1
        kept = [*lease, *([terminal] if terminal >= 0 else [])]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, package, container, str(run_dir), str(terminal)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=kept,
            start_new_session=True,  # it must not get Ctrl-C and SIGHUP of the terminal
        )
        if terminal >= 0:
            os.close(terminal)

    def wait_until_ready(self) -> None:
        """Waits until the guard has saved the terminal settings. Call it before anything is started."""
        assert self._process.stdout is not None
        self._process.stdout.read(1)

    def dismiss(self) -> None:
        """Ends the guard without any action. Idempotent."""
        self._end(_DONE)

    def leave_the_rest(self) -> None:
        """Leaves the container to the guard, which ends it in the background."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _end(self, word: bytes) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        with suppress(OSError):  # it was killed
            if not stdin.closed:
                stdin.write(word)
                stdin.close()
        self._process.wait()
        stdout.close()


def main(container: str, run_dir: str, terminal: str) -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    before = None
    with suppress(termios.error, OSError):
        before = termios.tcgetattr(int(terminal)) if int(terminal) >= 0 else None
    os.write(1, b".")
    said = b""
    while piece := os.read(0, 64):
        said += piece
    if said == _DONE:
        return
    _end_container(container)
    shutil.rmtree(run_dir, ignore_errors=True)  # with its secrets
    with suppress(OSError):  # not empty: other shells are open
        Path(run_dir).parent.rmdir()
    if before is not None:
        with suppress(termios.error, OSError):
            termios.tcsetattr(int(terminal), termios.TCSANOW, before)


def _end_container(name: str) -> None:
    from taorunner.engine.client import connect
    from taorunner.shell.container import end_container  # a slow import that is rarely needed

    until_s = time.monotonic() + PATIENCE_S
    looks = 0
    while looks < _LOOKS and time.monotonic() < until_s:
        try:
            if end_container(connect(), name):
                return
            looks += 1
        except TaorunnerError:
            pass
        time.sleep(1)
