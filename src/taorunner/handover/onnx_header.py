"""Reads the inputs and outputs of an ONNX file, and nothing of its weights: a model of gigabytes takes no memory.

A container wrote the file: it is read by position, nested messages only as deep as a shape is, and all lengths are
compared with what is left of the message they are in.
Source: onnx/onnx.proto (ModelProto 7 graph, 14 metadata_props; GraphProto 5 initializer, 11 input, 12 output;
TensorProto 8 name, 14 data_location; ValueInfoProto 1 name, 2 type; TypeProto 1 tensor_type; its Tensor 1 elem_type,
2 shape; TensorShapeProto 1 dim; Dimension 1 dim_value, 2 dim_param).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from taorunner.errors import UserFilesError
from taorunner.text import printable
from taorunner.values.value import Value

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS, _MOST_BYTES, _MOST_TENSORS, _MOST_DIMENSIONS = 1_000_000, 64 * 1024, 64, 16
_EXTERNAL = 1
FLOAT = 1


class Tensor(Value):
    """An input or output. A dimension is a number, or None where the graph leaves it open. ``type``: of ONNX; 1 is
    float32."""

    name: str
    type: int
    shape: tuple[int | None, ...]


class OnnxHeader(Value):
    """``inputs`` are those that are no weights."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: dict[str, str]


class _Broken(ValueError):  # noqa: N818 (never leaves the module)
    pass


def read_header(file: BinaryIO, name: str) -> OnnxHeader:
    """``name`` is for messages. Raises UserFilesError for what is no ONNX model, or has its weights in other files."""
    try:
        size = os.fstat(file.fileno()).st_size
        header, is_whole = _model(_Reader(file), size)
    except _Broken:
        header, is_whole = None, True
    if header is None or not header.inputs or not header.outputs:
        raise UserFilesError(
            f'"{printable(name)}" is no whole ONNX model',
            hint="export it again: taorunner export EXPERIMENT --overwrite",
        )
    if not is_whole:
        raise UserFilesError(
            f'"{printable(name)}" keeps weights in other files',
            hint="a bundle holds one model file; export one of less than 2 GB",
        )
    return header


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, _MOST_FIELDS

    def fields(self, end: int) -> Iterator[tuple[int, int, int]]:
        """``(number, kind, value)`` up to the position ``end``. The value of a message is the position of its end; the
        caller may read on from here to there."""
        file = self._file
        while file.tell() < end:
            self._left -= 1
            if self._left < 0:
                raise _Broken
            tag = self._varint()
            number, kind = tag >> 3, tag & 7
            if kind == _VARINT:
                yield number, kind, self._varint()
                continue
            length = {_FIXED64: 8, _FIXED32: 4}.get(kind)
            length = self._varint() if kind == _BYTES else length
            if length is None or file.tell() + length > end:
                raise _Broken
            after = file.tell() + length
            yield number, kind, after
            file.seek(after)

    def text(self, end: int) -> str:
        length = end - self._file.tell()
        if length > _MOST_BYTES:
            raise _Broken
        return self._file.read(length).decode("utf-8", "replace")

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._file.read(1)
            if not byte:
                raise _Broken
            value |= (byte[0] & 127) << shift
            if byte[0] < 128:
                return value
        raise _Broken


def _model(reader: _Reader, end: int) -> tuple[OnnxHeader, bool]:
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: set[str] = set()
    metadata: dict[str, str] = {}
    is_whole = True
    for number, kind, value in reader.fields(end):
        if kind != _BYTES:
            continue
        if number == 14 and len(metadata) < _MOST_TENSORS:
            pair = {
                inner: reader.text(last)
                for inner, its_kind, last in reader.fields(value)
                if its_kind == _BYTES
            }
            metadata[pair.get(1, "")] = pair.get(2, "")
        if number != 7:
            continue
        for inner, its_kind, last in reader.fields(value):
            if its_kind != _BYTES:
                continue
            if inner == 5:
                name, is_inside = _weight(reader, last)
                weights.add(name)
                is_whole = is_whole and is_inside
            elif inner in (11, 12):
                found = inputs if inner == 11 else outputs
                if len(found) == _MOST_TENSORS + _MOST_FIELDS // 10:
                    raise _Broken
                found.append(_tensor(reader, last))
    return OnnxHeader(
        tuple(one for one in inputs if one.name not in weights), tuple(outputs), metadata
    ), is_whole


def _weight(reader: _Reader, end: int) -> tuple[str, bool]:
    name, is_inside = "", True
    for number, kind, value in reader.fields(end):
        if number == 8 and kind == _BYTES:
            name = reader.text(value)
        elif number == 14 and kind == _VARINT:
            is_inside = value != _EXTERNAL
    return name, is_inside


def _tensor(reader: _Reader, end: int) -> Tensor:
    name, element = "", 0
    shape: list[int | None] = []
    for number, kind, value in reader.fields(end):
        if number == 1 and kind == _BYTES:
            name = reader.text(value)
        elif number == 2 and kind == _BYTES:
            for inner, its_kind, last in reader.fields(value):
                if inner == 1 and its_kind == _BYTES:
                    element, shape = _type(reader, last)
    return Tensor(name, element, tuple(shape))


def _type(reader: _Reader, end: int) -> tuple[int, list[int | None]]:
    element = 0
    shape: list[int | None] = []
    for number, kind, value in reader.fields(end):
        if number == 1 and kind == _VARINT:
            element = value
        elif number == 2 and kind == _BYTES:
            for inner, its_kind, last in reader.fields(value):
                if inner != 1 or its_kind != _BYTES or len(shape) == _MOST_DIMENSIONS:
                    raise _Broken
                sizes = [size for which, what, size in reader.fields(last) if (which, what) == (1, _VARINT)]
                shape.append(sizes[-1] if sizes and 0 < sizes[-1] < 2**31 else None)
    return element, shape
