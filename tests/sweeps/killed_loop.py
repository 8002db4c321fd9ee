"""Runs the loop of a sweep and kills it right before one of its changes of files.

``python killed_loop.py ROOT PROJECT SWEEP NTH WORDS LOG``: before the NTH change whose line in LOG matches WORDS,
a regular expression; 0 is never. With ``--stopping`` only changes after ``sweep stop`` count.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from taorunner.project.workspace import Workspace
from taorunner.runs.state.store import RunStore
from taorunner.sweeps import process
from taorunner.sweeps.folder import SweepFolder

_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
"""Files are opened right before they are written: a kill before the write leaves a new one empty."""


class Killer:
    def __init__(self, folder: SweepFolder, root: str, nth: int, words: str, log: str) -> None:
        self._folder, self._root, self._nth, self._words = folder, root, nth, words
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._is_stopping = "--stopping" in sys.argv
        self._write = os.write
        self._count = 0

    def begin(self) -> None:
        sys.addaudithook(self._hook)
        os.write = self.write  # writing has no event

    def write(self, descriptor: int, data: Any) -> int:
        with contextlib.suppress(OSError):
            self._see("write", str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        return self._write(descriptor, data)

    def _hook(self, event: str, words: tuple[Any, ...]) -> None:
        if event in _CHANGES:
            self._see(event, *(os.fspath(one) for one in words[:2] if isinstance(one, str | Path)))

    def _see(self, what: str, *paths: str) -> None:
        if not any(path.startswith(self._root) or not path.startswith("/") for path in paths):
            return
        line = " ".join((what, *(path.removeprefix(self._root) for path in paths)))
        if not re.search(self._words, line) or "/cache/" in line:
            return
        if self._is_stopping and not self._folder.is_asked_to_stop():
            return
        self._count += 1
        self._write(self._log, f"{line}\n".encode())
        if self._count == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    root, project, name, nth, words, log = sys.argv[1:7]
    store = RunStore(Workspace(Path(root)).state_dir)
    Killer(SweepFolder(store, project, name), root, int(nth), words, log).begin()
    sys.argv[1:] = ["", root, project, name]
    process.main()
