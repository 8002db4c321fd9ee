"""Starts a supervisor process and passes it a batch. Imports little, because it is called first."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_CODE = """import sys
sys.path[:] = [*filter(None, sys.path), sys.argv[1]]
from taorunner.runs.control.process import main
main()"""
"""Not ``-m``, which would put the current folder first on the import path."""


class Supervisor:
    """A supervisor process, which imports its modules and waits for its batch. It exits if none arrives."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        read_end, self._write_end = os.pipe()
        silence = os.open(os.devnull, os.O_RDWR)
        package = os.path.abspath(__file__).rsplit(os.sep, 4)[0]  # noqa: PTH100 (pathlib takes time to load)
        self._pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", _CODE, package],
            os.environ if environ is None else environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, read_end, 0),
                (os.POSIX_SPAWN_DUP2, silence, 1),
                (os.POSIX_SPAWN_DUP2, silence, 2),
            ],
        )
        os.close(read_end)
        os.close(silence)
        self._is_over = False

    def give(self, batch_id: str, state_dir: str, *, is_recovery: bool = False) -> None:
        """Passes the batch to the supervisor, which owns it from then on, even if this process ends.

        ``is_recovery``: it was started to continue this batch only; otherwise it also recovers other orphans.
        """
        from contextlib import suppress  # not at the top: the process is started first

        words = [batch_id, state_dir, "recovery" if is_recovery else ""]
        with suppress(BrokenPipeError):  # it has exited: see is_alive
            os.write(self._write_end, os.fsencode("\t".join(words) + "\n"))
        self.dismiss()

    def dismiss(self) -> None:
        """Closes the pipe, so a supervisor without a batch exits. Idempotent."""
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    def is_alive(self) -> bool:
        return not self._has_ended(os.WNOHANG)

    def wait(self) -> None:
        """Waits until the supervisor has exited."""
        self._has_ended(0)

    def wait_aside(self) -> None:
        """Waits in a thread, so no zombie remains in a caller that lives long."""
        import threading

        threading.Thread(target=self.wait, name=f"supervisor-{self._pid}", daemon=True).start()

    def _has_ended(self, options: int) -> bool:
        if not self._is_over:
            try:
                self._is_over = os.waitpid(self._pid, options)[0] != 0
            except ChildProcessError:  # another thread has waited for it
                self._is_over = True
        return self._is_over
