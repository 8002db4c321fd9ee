"""Counts the records of a TFRecord file by walking its frames, without reading the payload.

    uint64 length | uint32 masked crc32c of the length | payload | uint32 masked crc32c of the payload

Little-endian. Source: https://www.tensorflow.org/tutorials/load_data/tfrecord ("TFRecords format details").
"""

from __future__ import annotations

import struct
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed


class BrokenRecordsError(Exception):
    """A broken file. The text has the problem and the number of good records before it."""


def count_records(path: Path, at_most: int | None = None) -> int:
    """The number of records; not more than ``at_most`` are looked at.

    Raises BrokenRecordsError for a truncated or other file, OSError when it is unreadable.
    """
    size = path.stat().st_size
    count = at = 0
    with path.open("rb", buffering=4096) as file:
        while at < size and count != at_most:
            header = file.read(12)
            if len(header) < 12:
                raise BrokenRecordsError(f"is cut off after {count} records")
            length, checksum = struct.unpack("<QI", header)
            if _masked_crc32c(header[:8]) != checksum:
                where = f"breaks after {count} records" if count else "is not a TFRecord file"
                raise BrokenRecordsError(where)
            at += 12 + length + 4
            if at > size:
                raise BrokenRecordsError(f"is cut off after {count} records")
            file.seek(at)
            count += 1
    return count


def _masked_crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _row(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = tuple(map(_row, range(256)))
