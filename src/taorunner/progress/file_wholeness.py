"""Whether a file of weights or a model is whole, by its content: never by its size alone, and without its library.

A file that is cut off while it is written (full disk, killed process) has no end: a ZIP archive lacks its list of
entries, an HDF5 file is shorter than its superblock says, an ONNX file ends within a field.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import BinaryIO

_ARCHIVED = (".pth", ".pth.tar", ".pt", ".ckpt", ".tlt", ".keras", ".npz")
"""Suffixes of files that may be ZIP archives; encrypted and older ones are not."""
_HDF5 = (".hdf5", ".h5", ".tlt")
_ZIP_START, _ZIP_ENTRY, _ZIP_END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_ZIP_END_SIZE = 22
_ZIP_ENTRY_SIZE = 46
_MOST_ENDS, _LONGEST_LIST = 16, 16 * 1024**2
"""A list of a checkpoint with 100,000 tensors has 10 MiB. A container can write many ends, each with a list."""
_ZIP_TAIL = _ZIP_END_SIZE + 0xFFFF
_IN_ZIP64 = (0xFFFF, 0xFFFFFFFF)
_HDF5_START = b"\x89HDF\r\n\x1a\n"
_LFS_START = b"version https://git-lfs"
_HEAD = 200
_MOST_FIELDS = 1000
"""An ONNX model has about ten fields at its top; its graph is one of them."""


def is_torn(path: Path) -> bool:
    """Whether the file was cut off while it was written.

    Other formats (encrypted weights, PyTorch files from before the ZIP format) cannot be judged: False.
    Source: tao/real_runs.md M5; PKWARE's APPNOTE.TXT section 4.3; HDF5 File Format Specification section II.A;
    onnx.proto3 with the encoding of protobuf.
    """
    return is_whole(path) is False


def is_whole(path: Path) -> bool | None:
    """None where the content does not show it, also for a folder and a file that cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            if path.name.endswith(".onnx"):
                return _is_whole_message(file)
            head = file.read(len(_HDF5_START))
            if path.name.endswith(_HDF5) and head and _HDF5_START.startswith(head[:8]):
                return _is_whole_hdf5(file) if head == _HDF5_START else False
            start = head[: len(_ZIP_START)]
            if not start or not path.name.endswith(_ARCHIVED) or not _ZIP_START.startswith(start):
                return None
            return _has_zip_end(file)
    except OSError:
        return None


def not_weights(path: Path) -> str | None:
    """What a file is in place of weights: the words that were downloaded for them; None where that is not so."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).lstrip()
    except OSError:
        return None
    if head.startswith(_LFS_START):
        return "a pointer of Git LFS"
    return "a web page" if head[:1] == b"<" and b">" in head else None


def _has_zip_end(file: BinaryIO) -> bool:
    """Whether an end record closes the file and every entry of its list can be read where the record says."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _ZIP_TAIL))
    tail = file.read()
    place = tail.rfind(_ZIP_END)
    for _ in range(_MOST_ENDS):
        if place < 0:
            return False
        record = tail[place + 10 : place + _ZIP_END_SIZE]
        if len(record) == _ZIP_END_SIZE - 10:
            entries, length, start, comment = struct.unpack("<HIIH", record)
            if place + _ZIP_END_SIZE + comment == len(tail):
                if (
                    entries in _IN_ZIP64
                    or length in _IN_ZIP64
                    or start in _IN_ZIP64
                    or length > _LONGEST_LIST
                ):
                    return (
                        True  # the list is described in a record of its own, or is too long to be looked at
                    )
                file.seek(start)
                if entries * _ZIP_ENTRY_SIZE <= length and _is_list(file.read(length), entries, length):
                    return True
        place = tail.rfind(_ZIP_END, 0, place)
    return True


def _is_list(data: bytes, entries: int, length: int) -> bool:
    """Whether ``data`` is a list of ``entries`` entries, without anything behind them."""
    place = 0
    for _ in range(entries):
        if data[place : place + 4] != _ZIP_ENTRY or place + _ZIP_ENTRY_SIZE > len(data):
            return False
        place += _ZIP_ENTRY_SIZE + sum(struct.unpack_from("<HHH", data, place + 28))
    return place == length == len(data)


def _is_whole_hdf5(file: BinaryIO) -> bool | None:
    """The superblock holds the address of the end. None for a version or size that is not known."""
    size = file.seek(0, os.SEEK_END)
    file.seek(len(_HDF5_START))
    block = file.read(64)
    if not block:
        return False
    version = block[0]
    if version in (0, 1):
        width, first = block[5] if len(block) > 5 else 0, 16 if version == 0 else 20
    elif version in (2, 3):
        width, first = block[1] if len(block) > 1 else 0, 4
    else:
        return None
    if width not in (2, 4, 8):
        return None
    base, end = (int.from_bytes(block[at : at + width], "little") for at in (first, first + 2 * width))
    if len(block) < first + 3 * width:
        return False
    return size >= base + end if end else None


def _is_whole_message(file: BinaryIO) -> bool | None:
    """Whether the fields at the top of a protobuf message end where the file ends. None for what is no message."""
    size = file.seek(0, os.SEEK_END)
    place = 0
    for _ in range(_MOST_FIELDS):
        if place >= size:
            return place == size if size else None
        file.seek(place)
        head = file.read(20)
        tag, used = _varint(head)
        kind = tag & 7
        if tag >> 3 == 0 or kind not in (0, 1, 2, 5):
            return None
        if used == 0:
            return False
        number, more = _varint(head[used:])
        if kind in (0, 2) and more == 0:
            return False
        place += used + {0: more, 1: 8, 2: more + number, 5: 4}[kind]
    return None


def _varint(data: bytes) -> tuple[int, int]:
    """The number at the start of ``data`` and the bytes it takes, 0 where it does not end."""
    number = 0
    for index, byte in enumerate(data[:10]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, index + 1
    return number, 0
