"""The guard: a process beside every shell that ends its container when the shell was killed.

It holds the leases of the shell's GPUs too, so that nobody gets a GPU before the container that uses it is gone; the
kernel frees them with the last of the two. It waits on its standard input: ``done`` before the end means that the shell
has put everything in order. Whatever a killed shell left the terminal in, the guard sets it as it was.
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
"""Not ``-m``, which would put the current folder, whatever is in it, in front of every import."""
_DONE = b"done"
_LOOKS = 3
"""A container that was just being made when the shell was killed appears a moment later."""
PATIENCE_S = 600.0
"""An engine that does not answer for this long is given up; the container's labels still tell which GPUs it uses."""


class ShellGuard:
    """The shell's end. ``lease`` are descriptors that the guard holds as well."""

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
            start_new_session=True,  # Ctrl-C, and the end of the terminal, are not for it
        )
        if terminal >= 0:
            os.close(terminal)

    def wait_until_ready(self) -> None:
        """Until it knows how the terminal was. To be called before anything is started or set."""
        assert self._process.stdout is not None
        self._process.stdout.read(1)

    def dismiss(self) -> None:
        """Everything is in order: it ends and does nothing. Idempotent."""
        self._end(_DONE)

    def leave_the_rest(self) -> None:
        """It ends the container, as soon as that can be done; nobody waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _end(self, word: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(OSError):  # it was killed
            if not stdin.closed:
                stdin.write(word)
                stdin.close()
        self._process.wait()


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
    shutil.rmtree(run_dir, ignore_errors=True)  # its secrets, too
    with suppress(OSError):  # other shells are open
        Path(run_dir).parent.rmdir()
    if before is not None:
        with suppress(termios.error, OSError):
            termios.tcsetattr(int(terminal), termios.TCSANOW, before)


def _end_container(name: str) -> None:
    from taorunner.engine.client import connect
    from taorunner.shell.container import end_container  # takes long to import, and is rarely needed

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
