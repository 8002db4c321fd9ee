"""Encodes and decodes ``tf.train.Example`` without TensorFlow: named lists of bytes, floats or integers.

Source: tensorflow/core/example/{example,feature}.proto and
https://protobuf.dev/programming-guides/encoding.

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }
    Feature  { oneof { BytesList = 1; FloatList = 2; Int64List = 3; } }   each with "repeated value = 1"
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

Value: TypeAlias = list[bytes] | list[float] | list[int]
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def encode_example(features: dict[str, Value]) -> bytes:
    """Features are sorted by name, so that equal content gives equal bytes. An empty list is an empty BytesList."""
    entries = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, _encode_feature(features[name])))
        for name in sorted(features)
    )
    return _field(1, entries)


def decode_example(payload: bytes) -> dict[str, Value]:
    """The inverse of ``encode_example``, for bytes of any writer. Raises: ValueError when they are not an Example."""
    features: dict[str, Value] = {}
    for message in _submessages(payload, 1):
        for entry in _submessages(message, 1):
            name, feature = b"", b""
            for number, kind, value in _fields(entry):
                if number == 1 and kind == _BYTES:
                    name = bytes(value)
                elif number == 2 and kind == _BYTES:
                    feature = bytes(value)
            features[name.decode()] = _decode_feature(feature)
    return features


def _encode_feature(values: Value) -> bytes:
    if values and isinstance(values[0], float):
        return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))
    if values and isinstance(values[0], int):
        return _field(3, _field(1, b"".join(_varint(int(value) & (1 << 64) - 1) for value in values)))
    return _field(1, b"".join(_field(1, value) for value in values if isinstance(value, bytes)))


def _decode_feature(feature: bytes) -> Value:
    strings: list[bytes] = []
    floats: list[float] = []
    integers: list[int] = []
    for number, kind, content in _fields(feature):
        if kind != _BYTES:
            raise ValueError("a feature list is not a message")
        for inner, inner_kind, value in _fields(bytes(content)):
            if inner != 1:
                continue
            if number == 1 and inner_kind == _BYTES:
                strings.append(bytes(value))
            elif number == 2 and inner_kind in (_BYTES, _FIXED32):
                if len(value) % 4:
                    raise ValueError("a float list has a broken length")
                floats.extend(item for (item,) in struct.iter_unpack("<f", value))
            elif number == 3:
                integers.extend(_integers(value, inner_kind))
    return strings or floats or integers


def _integers(value: bytes, kind: int) -> Iterator[int]:
    """Decodes packed or single varints as signed 64-bit integers."""
    if kind not in (_BYTES, _VARINT):
        raise ValueError("an integer list holds something else")
    place = 0
    while place < len(value):
        number, place = _read_varint(value, place)
        yield number - (1 << 64) if number >> 63 else number


def _submessages(message: bytes, wanted: int) -> Iterator[bytes]:
    for number, kind, value in _fields(message):
        if number == wanted and kind == _BYTES:
            yield value


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and raw content of every field."""
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        number, kind = tag >> 3, tag & 7
        start = place
        if kind == _VARINT:
            _, end = _read_varint(message, place)
        elif kind == _BYTES:
            length, start = _read_varint(message, place)
            end = start + length
        elif kind in (_FIXED64, _FIXED32):
            end = place + (8 if kind == _FIXED64 else 4)
        else:
            raise ValueError(f"unknown wire type {kind}")
        if end > len(message) or not number:
            raise ValueError("the message is cut off")
        yield number, kind, message[start:end]
        place = end


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if place >= len(data):
            raise ValueError("the message is cut off")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, place
        shift += 7
    raise ValueError("a number is longer than ten bytes")
