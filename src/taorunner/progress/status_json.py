"""Reads the new records of status.json.

The file has JSON lines. train appends to it, dataset_convert truncates and rewrites it, a kill leaves an incomplete
line, and earlier attempts share it. The reader handles all of this in bounded memory and checks every value.
Source: tao/pytorch.md section 3, tao/tensorflow.md section 5.2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from taorunner.contained_files import open_file
from taorunner.progress.parsing import read_float, read_int, read_seconds
from taorunner.text import printable
from taorunner.values.bounded_reading import parse_json

_RECORD_LIMIT, _VALUE_LIMIT = 100_000, 500_000
"""Of the records that one call returns, and of the metrics in them."""
_LINE_LIMIT = 4 * 2**20
_BLOCK = 256 * 2**10
_GUARD = 256
_METRIC_LIMIT = 512
_NAME_LIMIT = 200
_MESSAGE_LIMIT = 4000
_STICKY_KEYS = ("graphical", "categorical", "kpi")
_OWN_KEYS = (
    "loss",
    "learning_rate",
    "lr",
    "mini_batch_loss",
    "running_average_loss",
    "val_loss",
    "validation_loss",
)


@dataclass(frozen=True, slots=True)
class StatusRecord:
    """One line of status.json, with TAO's numbering; ``ProgressContract`` describes it.

    ``metrics`` come from kpi, categorical and graphical, which TAO repeats on every later line;
    ``own_metrics`` are at the top level and belong to this line alone. A nested value is named
    ``average_precision/car``. ``written_at`` is the local time of the container, without a zone.
    """

    status: str
    verbosity: str = ""
    message: str = ""
    epoch: int | None = None
    max_epoch: int | None = None
    step: int | None = None
    max_step: int | None = None
    time_per_epoch_s: float | None = None
    eta_s: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    own_metrics: Mapping[str, float] = field(default_factory=dict)
    written_at: datetime | None = None

    @property
    def generates_metrics(self) -> bool:
        """True when this line reports new metrics rather than repeating older ones."""
        return self.message.rstrip(" .").lower().endswith("metrics generated")


class StatusReader:
    """Reads new records by byte offset. Opens the file at each call. Not thread-safe.

    ``start_offset`` is the size of the file at launch (0 when it was absent). When the bytes before the offset have
    changed, the file was rewritten and is read from its start. ``root`` is the folder below which no link is followed,
    by default that of the file.
    """

    def __init__(self, path: Path, start_offset: int = 0, *, root: Path | None = None) -> None:
        self._path, self._root = path, root or path.parent
        self._offset = max(0, start_offset)
        self._guard: bytes | None = None
        self._skipping = False
        self.at_end = True
        """False when the last call stopped at its limit: call it again at once."""
        with suppress(OSError), self._opened() as file:
            if file is not None:
                self._check_rewritten(file)

    @property
    def offset(self) -> int:
        """Number of bytes read so far, up to the end of a line."""
        return self._offset

    def read_new(self, *, last: bool = False, max_bytes: int = 16 * 2**20) -> list[StatusRecord]:
        """The complete records since the last call; empty without a file.

        ``last``: the writer has ended, so the rest is read, even a line without its newline. Of very many records only
        the latest are returned.
        """
        records: list[StatusRecord] = []
        self.at_end = True
        try:
            with self._opened() as file:
                if file is None:
                    return records
                self._check_rewritten(file)
                file.seek(self._offset)
                self._read(file, records, last, max_bytes)
                self._remember(file)
        except OSError:
            return records
        return records

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO | None]:
        descriptor = open_file(self._root, self._path)
        if descriptor is None:
            yield None
            return
        with os.fdopen(descriptor, "rb") as file:
            yield file

    def _read(self, file: BinaryIO, records: list[StatusRecord], last: bool, max_bytes: int) -> None:
        rest = bytearray()
        first, values = self._offset, 0
        while block := file.read(_BLOCK):
            cut = block.rfind(b"\n") + 1
            rest += block[: cut or len(block)]
            if cut:
                self._offset += len(rest)
                for line in bytes(rest).splitlines():
                    if self._skipping:
                        self._skipping = False
                    elif record := parse_line(line):
                        records.append(record)
                        values += len(record.metrics) + len(record.own_metrics)
                    if values > _VALUE_LIMIT:
                        del records[: -len(records) // 2]
                        values = sum(len(one.metrics) + len(one.own_metrics) for one in records)
                del records[:-_RECORD_LIMIT]
                rest = bytearray(block[cut:])
            elif len(rest) > _LINE_LIMIT:
                self._skipping = True
                self._offset += len(rest)
                rest.clear()
            if not last and self._offset - first >= max_bytes:
                self.at_end = False
                return
        if self._skipping:
            self._offset += len(rest)
        elif last and rest:
            record = parse_line(bytes(rest))
            if record is not None:
                self._offset += len(rest)
                records.append(record)

    def _check_rewritten(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        if size < self._offset or (self._guard is not None and self._before_offset(file) != self._guard):
            self._offset = 0
            self._skipping = False
        self._remember(file)

    def _remember(self, file: BinaryIO) -> None:
        self._guard = self._before_offset(file)

    def _before_offset(self, file: BinaryIO) -> bytes:
        start = max(0, self._offset - _GUARD)
        file.seek(start)
        return file.read(self._offset - start)


def parse_line(line: bytes) -> StatusRecord | None:
    """The record of one line, or None. A record that follows an incomplete one on the same line is found too."""
    body = _load(line)
    if body is None:
        again = line.rfind(b'{"date"')
        body = _load(line[again:]) if again > 0 else None
    if body is None:
        return None
    status = body.get("status")
    budget = [_METRIC_LIMIT]
    metrics: dict[str, float] = {}
    for key in _STICKY_KEYS:
        _collect(metrics, body.get(key), "", budget)
    own: dict[str, float] = {}
    for key in _OWN_KEYS:
        value = read_float(body.get(key))
        if value is not None:
            own[key] = value
    return StatusRecord(
        status=_text(status, 32).strip().upper(),
        verbosity=_text(body.get("verbosity"), 32).strip().upper(),
        message=_text(body.get("message"), _MESSAGE_LIMIT),
        epoch=read_int(body.get("epoch")),
        max_epoch=read_int(body.get("max_epoch")),
        step=read_int(body.get("step")),
        max_step=read_int(body.get("max_step")),
        time_per_epoch_s=read_seconds(body.get("time_per_epoch")),
        eta_s=read_seconds(body.get("eta", body.get("ETA"))),
        metrics=metrics,
        own_metrics=own,
        written_at=_written_at(body.get("date"), body.get("time")),
    )


def _load(line: bytes) -> dict[str, object] | None:
    if not line.strip(b" \t\r\0"):
        return None
    try:
        body = parse_json(line.strip(b" \t\r\0").decode("utf-8", "replace"), finite=False, most_digits=None)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _collect(found: dict[str, float], value: object, name: str, budget: list[int]) -> None:
    """Collects the numbers of a dict, named by their path. At most three levels and ``budget`` numbers."""
    if isinstance(value, dict):
        if name.count("/") >= 2:
            return
        for key, inner in value.items():
            if budget[0] <= 0:
                return
            part = printable(key)[:_NAME_LIMIT]
            _collect(found, inner, f"{name}/{part}" if name else part, budget)
        return
    number = read_float(value)
    if number is not None and name:
        found[name] = number
        budget[0] -= 1


def _text(value: object, limit: int) -> str:
    return printable(" ".join(value[:limit].split())) if isinstance(value, str) else ""


def _written_at(date: object, time: object) -> datetime | None:
    """Source: tao/pytorch.md section 3: ``M/D/YYYY`` and ``H:M:S``, not zero-padded."""
    if not isinstance(date, str) or not isinstance(time, str):
        return None
    try:
        month, day, year = (int(part) for part in date[:32].split("/"))
        hour, minute, second = (int(float(part)) for part in time[:32].split(":"))
        return datetime(year, month, day, hour, minute, second)
    except (ValueError, OverflowError):
        return None
