"""The metric history of a run: every metric of every epoch, in ``history.jsonl``.

The file is written once per epoch and is small: 300 epochs of 20 metrics take 75 kB. Each line is one of

- ``{"names": ["loss", "mAP"]}``: further columns, numbered in the order in which they are named;
- ``[epoch, columns, values, offset]``: ``epoch`` is 1-based, null outside training. Bit ``i`` of ``columns`` is set
  when column ``i`` has a value. ``values`` are little-endian doubles in base64, so NaN and infinity are exact.
  ``offset`` is a byte of events.jsonl: everything before it is in this file.

A reader reads the lines, then the events from the last offset on. So a truncated line, a crash before the last epoch
was written, or a run of 0.1.0 without this file makes reading slower but loses no value.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence

from taorunner.events import Event, MetricReported, RunFinished, RunQueued, RunStarted
from taorunner.runs.state.store import RunStore
from taorunner.state_files import append_state, read_state
from taorunner.values.bounded_reading import parse_json
from taorunner.values.stored import LARGEST
from taorunner.values.value import MutableValue, field

TYPE_CHECKING = False  # importing typing takes as long as reading a history
if TYPE_CHECKING:
    from typing import TypeAlias

History: TypeAlias = "dict[str, dict[int | None, float]]"
"""The last value of each epoch, by metric and epoch (1-based, None outside training)."""


def read_history(store: RunStore, run_id: str) -> History:
    """All metrics reported so far, in epoch order. Empty if there are none."""
    file = _File.read(store, run_id)
    for event in store.read_events(run_id, file.offset)[0]:
        if isinstance(event, MetricReported):
            file.values.setdefault(event.name, {})[event.epoch] = event.value
    return {name: dict(sorted(values.items(), key=_by_epoch)) for name, values in file.values.items()}


class HistoryWriter:
    """An event sink that writes ``history.jsonl``. Values of an epoch are written when the next one begins."""

    name = "history"

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._open: dict[str, _OpenHistory] = {}

    def write(self, run_id: str, events: Sequence[Event]) -> None:
        """``events`` must already be in events.jsonl. Values that cannot be written are written with the next epoch.

        Raises:
            OSError: the file cannot be written.
        """
        if run_id not in self._open:
            if not any(isinstance(event, (MetricReported, RunFinished)) for event in events):
                return
            self._open[run_id] = _OpenHistory.of(self._store, run_id)
        try:
            self._add(run_id, self._open[run_id], events)
        except OSError:
            del self._open[run_id]  # the next call reloads it from disk
            raise
        if any(isinstance(event, RunFinished) for event in events):
            del self._open[run_id]

    def close(self) -> None:
        """Does nothing: values that are not in the file are in events.jsonl."""

    def _add(self, run_id: str, history: _OpenHistory, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, MetricReported):
                if event.epoch is not None and event.epoch > (history.epoch or 0):
                    self._flush(run_id, history, history.offset)
                    history.epoch = event.epoch
                history.pending.setdefault(event.epoch, {})[event.name] = event.value
            elif isinstance(event, (RunStarted, RunQueued)):  # a new attempt starts at an earlier epoch
                history.epoch = None
        history.offset = self._store.paths(run_id).events.stat().st_size
        if any(isinstance(event, (RunFinished, RunQueued)) for event in events):
            self._flush(run_id, history, history.offset)

    def _flush(self, run_id: str, history: _OpenHistory, offset: int) -> None:
        if not history.pending:
            return
        names, text = history.lines(offset)
        append_state(self._store.paths(run_id).history, text.encode(), self._store.trust())
        history.names, history.pending, history.is_torn = names, {}, False


class _OpenHistory(MutableValue):
    """``names`` are the columns in the file, ``pending`` the values that are not in it, by epoch and name.

    ``offset`` is the size of events.jsonl after the last events that were seen, ``epoch`` the newest epoch of this
    attempt. ``is_torn``: the file may end within a line.
    """

    names: tuple[str, ...]
    offset: int
    is_torn: bool
    epoch: int | None = None
    pending: dict[int | None, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: RunStore, run_id: str) -> _OpenHistory:
        """Restores the state of an earlier supervisor: values only in events.jsonl are pending."""
        file = _File.read(store, run_id)
        history = cls(tuple(file.names), file.offset, file.is_torn)
        for event in store.read_events(run_id, file.offset)[0]:
            if isinstance(event, MetricReported):
                history.pending.setdefault(event.epoch, {})[event.name] = event.value
                history.epoch = max(filter(None, (history.epoch, event.epoch)), default=None)
        return history

    def lines(self, offset: int) -> tuple[tuple[str, ...], str]:
        """The columns after the append, and the text to append. Only the last row has the offset."""
        found = dict.fromkeys(self.names)
        for values in self.pending.values():
            found |= dict.fromkeys(values)
        column_of = {name: column for column, name in enumerate(found)}
        names = tuple(found)
        lines = [""] if self.is_torn else []
        if len(names) > len(self.names):
            lines.append(json.dumps({"names": names[len(self.names) :]}, ensure_ascii=False))
        for number, (epoch, values) in enumerate(self.pending.items(), 1):
            columns = sorted(column_of[name] for name in values)
            packed = struct.pack(f"<{len(columns)}d", *(values[names[column]] for column in columns))
            reached = offset if number == len(self.pending) else 0
            row = [
                epoch,
                sum(1 << column for column in columns),
                base64.b64encode(packed).decode(),
                reached,
            ]
            lines.append(json.dumps(row, separators=(",", ":")))
        return names, "\n".join(lines) + "\n"


_MAX_MASK_DIGITS = 4000
"""A mask has a bit for each metric that the run ever had."""


class _File(MutableValue):
    """``offset`` says up to which byte of events.jsonl the values reach. Damaged lines are skipped."""

    values: History = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    offset: int = 0
    is_torn: bool = False

    @classmethod
    def read(cls, store: RunStore, run_id: str) -> _File:
        file = cls()
        try:
            data = read_state(store.paths(run_id).history, store.trust())
        except OSError:
            return file
        file.is_torn = not data.endswith(b"\n")
        for body in _bodies(data.splitlines()):
            if isinstance(body, dict) and isinstance(body.get("names"), list):
                file.names += [str(name) for name in body["names"] if name not in file.names]
            elif isinstance(body, list):
                file._add(body)
        return file

    def _add(self, body: list[object]) -> None:
        match body:
            case [int() | None as epoch, int(mask), str(text), int(offset)] if (
                mask >= 0
                and mask.bit_length() <= len(self.names)
                and 0 <= offset < LARGEST
                and (epoch is None or -LARGEST < epoch < LARGEST)
            ):
                columns = [column for column in range(mask.bit_length()) if mask >> column & 1]
                try:
                    packed = base64.b64decode(text, validate=True)
                    values = struct.unpack(f"<{len(columns)}d", packed)
                except (ValueError, struct.error):
                    return
                self.offset = max(self.offset, offset)
                for column, value in zip(columns, values, strict=True):
                    self.values.setdefault(self.names[column], {})[epoch] = value


def _bodies(lines: list[bytes]) -> list[object]:
    """The values of the lines that are JSON. They are read in one go where all are: that takes half the time."""
    try:
        whole = parse_json(b"[" + b",".join(lines) + b"]", most_digits=_MAX_MASK_DIGITS)
    except ValueError:
        whole = []
    if len(whole) == len(lines):
        return list(whole)
    found = []
    for line in lines:
        try:
            found.append(parse_json(line, most_digits=_MAX_MASK_DIGITS))
        except ValueError:
            continue
    return found


def _by_epoch(item: tuple[int | None, float]) -> int:
    return item[0] or 0
