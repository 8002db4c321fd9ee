"""Writes the metrics of a run as a TensorBoard event file, for networks that write none.

Source: tensorflow/core/util/event.proto, framework/summary.proto, lib/io/record_writer.h: length, masked CRC32C of the
length, message, masked CRC32C of the message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from taorunner.events import MetricReported

_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


def event_file(metrics: Iterable[MetricReported]) -> bytes:
    """The step is the epoch, 0 outside of training."""
    table = _crc_table()
    metrics = list(metrics)
    start = metrics[0].at.timestamp() if metrics else 0.0
    frames = [_frame(struct.pack("<Bd", 0x09, start) + _bytes(3, b"brain.Event:2"), table)]
    for one in metrics:
        value = _bytes(1, one.name.encode("utf-8", "replace")) + b"\x15" + _float(one.value)
        event = struct.pack("<Bd", 0x09, one.at.timestamp()) + b"\x10" + _varint(max(0, one.epoch or 0))
        frames.append(_frame(event + _bytes(5, _bytes(1, value)), table))
    return b"".join(frames)


def _float(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:  # larger than a float of 32 bits can be
        return struct.pack("<f", float("inf") if value > 0 else float("-inf"))


def _bytes(number: int, content: bytes) -> bytes:
    """A field with a length in front."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _frame(message: bytes, table: list[int]) -> bytes:
    length = struct.pack("<Q", len(message))
    return b"".join((length, _masked_crc(length, table), message, _masked_crc(message, table)))


def _masked_crc(data: bytes, table: list[int]) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table
