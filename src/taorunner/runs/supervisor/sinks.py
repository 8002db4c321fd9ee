"""Event sinks: receive every event of a batch once it is on disk.

A sink cannot change a run. Its failure becomes one notice per run. Alarms and NaN stops are not sinks; RunMonitor
decides on them.
"""

from __future__ import annotations

import queue
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from taorunner.events import Event, Notice, now


class EventSink(Protocol):
    """Called in the runner's thread, so it must return soon. May raise any Exception."""

    @property
    def name(self) -> str:
        """The name in notices, such as ``history``."""
        ...

    def write(self, run_id: str, events: Sequence[Event]) -> None:
        """Receives events of one run, in order, after they were written to its events.jsonl."""
        ...

    def close(self) -> None:
        """Called at the end of the batch. Waits for pending work, for a limited time."""
        ...


class Problems:
    """Failures outside of runs, until the runner records them as notices. Thread-safe."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[str, str, str, str]] = queue.SimpleQueue()

    def add(self, run_id: str, code: str, text: str) -> None:
        self.report(run_id, "warning", code, text)

    def report(self, run_id: str, level: str, code: str, text: str) -> None:
        """Adds a notice of any level."""
        self._queue.put((run_id, level, code, text))

    def take(self) -> list[Event]:
        """Returns each of them once, as a notice of its run."""
        events: list[Event] = []
        with suppress(queue.Empty):
            while True:
                run_id, level, code, text = self._queue.get_nowait()
                events.append(Notice(run=run_id, at=now(), level=level, code=code, text=text))
        return events


class EventSinks:
    """Passes events on to each sink. One that fails is called again: it may recover."""

    def __init__(self, sinks: Sequence[EventSink], problems: Problems) -> None:
        self._sinks, self._problems = tuple(sinks), problems
        self._reported: set[tuple[str, str]] = set()

    def write(self, run_id: str, events: Sequence[Event]) -> None:
        for sink in self._sinks:
            try:
                sink.write(run_id, events)
            except Exception as error:  # a sink's failure must not affect runs
                if (sink.name, run_id) not in self._reported:
                    self._reported.add((sink.name, run_id))
                    text = f"events could not be passed to {sink.name}: {error or type(error).__name__}"
                    self._problems.add(run_id, "sink-failed", text)

    def close(self) -> None:
        for sink in self._sinks:
            try:
                sink.close()
            except Exception as error:  # the runs are over and recorded
                sys.stderr.write(f"{sink.name} could not be closed: {error!r}\n")
