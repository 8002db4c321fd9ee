"""Flushes what the supervisor records to disk, in threads of their own: the runner does not wait for a disk.

A record that a power cut takes back makes a running run look queued, or damaged; a log that it takes back is lost
where the engine's own copy was removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from taorunner.atomic_files import flush

_AT_ONCE = 8
"""A file system writes together what waits together."""


class Flusher:
    """Thread-safe."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, "flush")
        self._begun: dict[str, list[Future[None]]] = {}

    def begin(self, run_id: str, paths: Iterable[Path]) -> None:
        """Begins to flush files and folders of a run, each as it is by then. Returns at once."""
        known = [one for one in self._begun.get(run_id, ()) if not one.done() or one.exception() is not None]
        self._begun[run_id] = [*known, *(self._pool.submit(flush, path) for path in paths)]

    def wait(self, run_id: str) -> None:
        """Blocks until what was begun for the run is on disk. Raises OSError, naming the path, once."""
        for one in self._begun.pop(run_id, ()):
            one.result()
