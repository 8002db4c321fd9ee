"""EventReader: reads new events and the last log lines of runs from disk, for every viewer.

It only reads. Any number of viewers may watch the same runs from any terminal without affecting them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from taorunner.events import Event, LogLine, RunFinished, now
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.snapshot import Fold, RunSnapshot
from taorunner.runs.state.store import RunStore
from taorunner.state_files import read_state

_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 40
# compiled when the first line is read: lists of runs read none
_BREAK = rb"[\r\n]+"
_ESCAPE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)|[\x08]"


class EventReader:
    """The reader of one viewer. ``poll`` costs one ``stat`` per file when nothing changed."""

    def __init__(self, store: RunStore, run_ids: Sequence[str]) -> None:
        self._store = store
        self.run_ids = tuple(run_ids)
        self._events = {run_id: store.paths(run_id).events for run_id in run_ids}
        self._consoles = {run_id: store.paths(run_id).console for run_id in run_ids}
        self._folds = {run_id: Fold(run_id) for run_id in run_ids}
        self._offsets = dict.fromkeys(run_ids, 0)
        self._log_sizes = dict.fromkeys(run_ids, 0)
        self._log_offsets = dict.fromkeys(run_ids, 0)
        self._tails: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
        self._concluded: list[Event] = []

    def poll(self) -> list[Event]:
        """Events since the last call, each once, in order within a run."""
        fresh, self._concluded = self._concluded, []
        for run_id in self.run_ids:
            if self._size(self._events[run_id]) == self._offsets[run_id]:
                continue
            events, self._offsets[run_id] = self._store.read_events(run_id, self._offsets[run_id])
            for event in events:
                self._folds[run_id].apply(event)
            fresh += events
        return fresh

    def log_lines(self) -> list[LogLine]:
        """Console lines since the last call, for programs that want them with the events."""
        fresh: list[LogLine] = []
        for run_id in self.run_ids:
            data = self._read(run_id, self._log_offsets[run_id])
            end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            self._log_offsets[run_id] += end
            at = now()
            fresh += [LogLine(run=run_id, at=at, text=line) for line in _lines(data[:end])]
        return fresh

    def tails(self, run_ids: Sequence[str] | None = None) -> dict[str, list[str]]:
        """The last console lines of each run, or of these, without control sequences."""
        for run_id in self.run_ids if run_ids is None else run_ids:
            size = self._size(self._consoles[run_id])
            if size != self._log_sizes[run_id]:
                self._log_sizes[run_id] = size
                start = max(0, size - _TAIL_BYTES)
                data = self._read(run_id, start).split(b"\n")
                lines = _settled(b"\n".join(data[1 if start else 0 :][-2 * _TAIL_LINES :]))
                self._tails[run_id] = lines[-_TAIL_LINES:]
        return self._tails

    def log_end(self, run_id: str, size_bytes: int) -> list[str]:
        """The last whole lines of one run's log, of at most ``size_bytes``, without control sequences."""
        size = self._size(self._consoles[run_id])
        start = max(0, size - size_bytes)
        return _settled(self._read(run_id, start))[1 if start else 0 :]

    def log_size(self, run_id: str) -> int:
        """The size of the run's log in bytes; 0 if there is none."""
        return self._size(self._consoles[run_id])

    def snapshots(self) -> list[RunSnapshot]:
        return [fold.snapshot for fold in self._folds.values()]

    def conclude(self, record: RunRecord) -> None:
        """Uses the record's final state unless an event already set one. The next ``poll`` gives the event."""
        if self._folds[record.id].current.state.is_final:
            return
        end = RunFinished(
            run=record.id, at=record.finished_at or record.queued_at, state=record.state, reason=record.reason or "",
            exit_code=record.exit_code, hint=record.hint,
        )  # fmt: skip
        self._folds[record.id].apply(end)
        self._concluded.append(end)

    def is_over(self) -> bool:
        return all(fold.current.state.is_final for fold in self._folds.values())

    def _read(self, run_id: str, offset: int) -> bytes:
        try:
            return read_state(self._store.paths(run_id).console, self._store.trust(), offset)
        except OSError:
            return b""

    @staticmethod
    def _size(path: Path) -> int:
        try:
            return path.stat().st_size
        except OSError:
            return 0


def _settled(data: bytes) -> list[str]:
    """The lines as a terminal shows them: text overwritten with CR is dropped."""
    settled: list[str] = []
    for physical in data.split(b"\n"):
        settled += _lines(physical)[-1:]
    return settled


def _lines(data: bytes) -> list[str]:
    texts = (
        re.sub(_ESCAPE, "", piece.decode("utf-8", "replace")).rstrip() for piece in re.split(_BREAK, data)
    )
    return [text for text in texts if text]
