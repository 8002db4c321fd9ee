"""Reads scalars of TensorBoard event files while a training writes them.

A file is a sequence of TFRecord frames (``tfrecord_frames``), each with one protobuf message ``Event``: field 2 is the
step, field 5 the summary. Field 1 of a summary is a value: field 1 its tag, field 2 a float, field 8 a tensor of one
number, as newer writers have it. Pictures and histograms are passed over.
Source: results.md section 2.3; tensorflow/core/util/event.proto, framework/summary.proto, framework/tensor.proto.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from taorunner.contained_files import open_file

_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_EVENT_LIMIT = 64 * 2**10
"""Bytes. An event with scalars has a few hundred, one with pictures more than this."""
_EVENTS_A_CALL, _BYTES_A_CALL = 200_000, 4 * 2**20
"""Scalars of ten bytes each take twelve times that memory. What is left comes with the next call."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DT_FLOAT, _DT_DOUBLE = 1, 2


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number that was logged at a step, counted over the whole training."""

    tag: str
    step: int
    value: float


class ScalarReader:
    """Reads the new scalars of one file by byte offset. Opens the file at each call. Not thread-safe.

    ``root`` is the folder below which no link is followed, by default that of the file.
    """

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self._path, self._root = path, root or path.parent
        self._offset = 0

    def read_new(self) -> list[Scalar]:
        """The scalars of complete events since the last call, in the order of the file, up to a limit.

        Empty without a file. After a broken frame nothing more is read.
        """
        descriptor = open_file(self._root, self._path)
        if descriptor is None:
            return []
        try:
            with os.fdopen(descriptor, "rb") as file:
                return [scalar for event in self._events(file) for scalar in _scalars(event)]
        except OSError:
            return []

    def _events(self, file: BinaryIO) -> Iterator[bytes]:
        size = os.fstat(file.fileno()).st_size
        left = _BYTES_A_CALL
        for _ in range(_EVENTS_A_CALL):
            file.seek(self._offset)
            header = file.read(_HEADER_BYTES)
            if len(header) < _HEADER_BYTES:
                return
            (length,) = struct.unpack_from("<Q", header)
            end = self._offset + _HEADER_BYTES + length + _FOOTER_BYTES
            if end > size:
                return
            self._offset = end
            if length <= _EVENT_LIMIT:
                left -= length
                yield file.read(length)
                if left <= 0:
                    return


def _scalars(event: bytes) -> list[Scalar]:
    """The scalars of one event; those of a message that is no event are none."""
    try:
        step = 0
        values: list[tuple[str, float]] = []
        for number, wire, field in _fields(event):
            if number == 2 and wire == _VARINT:
                step = int.from_bytes(field, "little")
            elif number == 5 and wire == _BYTES:
                values += _values(field)
    except (ValueError, IndexError, struct.error):
        return []
    return [Scalar(tag, step, value) for tag, value in values]


def _values(summary: bytes) -> Iterator[tuple[str, float]]:
    for number, wire, field in _fields(summary):
        if number != 1 or wire != _BYTES:
            continue
        tag, value = "", None
        for inner, kind, content in _fields(field):
            if inner == 1 and kind == _BYTES:
                tag = content.decode("utf-8", "replace")
            elif inner == 2 and kind == _FIXED32:
                (value,) = struct.unpack("<f", content)
            elif inner == 8 and kind == _BYTES:
                value = _number_of_tensor(content)
        if tag and value is not None:
            yield tag, value


def _number_of_tensor(tensor: bytes) -> float | None:
    """The number of a tensor with one float or double, None for another tensor."""
    kind, content = 0, b""
    for number, wire, field in _fields(tensor):
        if number == 1 and wire == _VARINT:
            kind = int.from_bytes(field, "little")
        elif number in (4, 5, 6) and wire in (_BYTES, _FIXED32, _FIXED64):
            content = field
    if kind == _DT_FLOAT and len(content) == 4:
        return float(struct.unpack("<f", content)[0])
    if kind == _DT_DOUBLE and len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    return None


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The fields of a protobuf message: number, wire type, content (a varint as little-endian bytes)."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, wire, value.to_bytes(10, "little")
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(wire)
        if at + length > len(message):
            raise ValueError(length)
        yield number, wire, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(at)
