"""TFRecord files: a sequence of records, each with its length and two checksums.

    uint64 length | uint32 masked crc32c of the length | payload | uint32 masked crc32c of the payload

All little-endian. Source: https://www.tensorflow.org/tutorials/load_data/tfrecord ("TFRecords format details").
Reading verifies both checksums.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .failures import RunFailedError

_MOST_DOUBLINGS = 32  # a record has less than 4 GiB
_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed
_LANE_BYTES = 64
_Words = npt.NDArray[np.uint32]


def write_records(path: Path, payloads: Iterable[bytes]) -> int:
    """Writes atomically; returns the number of records."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    count = 0
    try:
        with beside.open("wb") as file:
            for payload in payloads:
                length = struct.pack("<Q", len(payload))
                file.write(length + struct.pack("<I", masked_crc32c(length)))
                file.write(payload)
                file.write(struct.pack("<I", masked_crc32c(payload)))
                count += 1
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return count


def read_records(path: Path) -> Iterator[bytes]:
    """Every payload of the file. Raises: RunFailedError when it is truncated or a checksum is wrong."""
    size = path.stat().st_size
    with path.open("rb") as file:
        number = 0
        while header := file.read(12):
            if len(header) < 12:
                raise _broken(path, number, "is cut off")
            length, length_crc = struct.unpack("<QI", header)
            if masked_crc32c(header[:8]) != length_crc:
                raise _broken(path, number, "has a wrong checksum of its length")
            if length > size:
                raise _broken(path, number, "is cut off")
            payload, trailer = file.read(length), file.read(4)
            if len(payload) < length or len(trailer) < 4:
                raise _broken(path, number, "is cut off")
            if struct.unpack("<I", trailer)[0] != masked_crc32c(payload):
                raise _broken(path, number, "has a wrong checksum of its payload")
            yield payload
            number += 1


def masked_crc32c(data: bytes) -> int:
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """The CRC of RFC 3720, appendix B.4.

    Long data are split into lanes of 64 bytes whose checksums are computed in parallel and then joined in pairs:
    a checksum followed by n zero bytes is a linear function of the checksum, kept as a table for each n.
    """
    if len(data) < 4 * _LANE_BYTES:
        return _crc32c_by_byte(data)
    lanes = 1 << ((len(data) - 1) // _LANE_BYTES).bit_length()
    padded = np.zeros(
        lanes * _LANE_BYTES, np.uint8
    )  # leading zeros do not change a checksum that starts with 0
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    padded[len(padded) - len(data) : len(padded) - len(data) + 4] ^= (
        0xFF  # equivalent to starting with all ones
    )
    words = padded.view("<u4").reshape(lanes, _LANE_BYTES // 4)
    after_word = _ZERO_BYTES[2]
    crcs = np.zeros(lanes, np.uint32)
    for column in range(words.shape[1]):
        crcs = _follow(after_word, crcs ^ words[:, column])
    width = _LANE_BYTES
    while len(crcs) > 1:
        crcs = _follow(_ZERO_BYTES[width.bit_length() - 1], crcs[0::2]) ^ crcs[1::2]
        width *= 2
    return int(crcs[0]) ^ 0xFFFFFFFF


def _broken(path: Path, number: int, what: str) -> RunFailedError:
    return RunFailedError(
        "File system error", f'record {number} of "{path}" {what}; run dataset_convert again'
    )


def _crc32c_by_byte(data: bytes) -> int:
    table = _BYTE_TABLE
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _follow(tables: _Words, crcs: _Words) -> _Words:
    followed: _Words = (
        tables[0][crcs & np.uint32(0xFF)]
        ^ tables[1][(crcs >> np.uint32(8)) & np.uint32(0xFF)]
        ^ tables[2][(crcs >> np.uint32(16)) & np.uint32(0xFF)]
        ^ tables[3][crcs >> np.uint32(24)]
    )
    return followed


def _byte_table() -> _Words:
    crcs = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crcs = np.where(crcs & 1, (crcs >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), crcs >> np.uint32(1))
    return crcs


def _tables_for_zero_bytes() -> tuple[_Words, ...]:
    single = np.arange(256, dtype=np.uint32)
    basis = np.stack([single << np.uint32(8 * place) for place in range(4)])
    tables: list[_Words] = [_byte_table()[basis & np.uint32(0xFF)] ^ (basis >> np.uint32(8))]
    for _ in range(_MOST_DOUBLINGS):
        tables.append(_follow(tables[-1], tables[-1]))
    return tuple(tables)


_BYTE_TABLE = tuple(int(value) for value in _byte_table())
_ZERO_BYTES = _tables_for_zero_bytes()
"""``(4, 256)`` at index k: what each byte of a checksum becomes when 2**k zero bytes follow."""
