"""KeptLog: finds where the engine's stored log continues after the bytes already read, even if some were not stored.

The engine stores a line when its LF arrives, and a line without LF in blocks of 16 KiB. A training draws its progress
with CR, so up to 16 KiB that the live output has shown exist in the engine's memory only. A restart of the daemon
loses them, and the next stored bytes follow directly after the last stored block.
Source: testing.md section 5, and the copier of moby's logger package (a buffer of 16 KiB).
"""

from __future__ import annotations

from collections.abc import Mapping

from taorunner.engine.frames import STORED_BLOCK_BYTES

TAIL_BYTES = 4 * STORED_BLOCK_BYTES
"""Longer tails are cut, because only the block that may be lost is needed."""


class Tail:
    """The last bytes read of one stream, starting where the engine starts a stored block.

    ``begins``: the tail starts at the beginning of the stream. Otherwise nothing before the first LF is kept.
    """

    def __init__(self, *, begins: bool) -> None:
        self.data = b""
        self._is_known = begins

    def add(self, data: bytes, unkept: int = 0) -> None:
        """Appends ``data``. ``unkept`` is the number of preceding bytes that the engine did not store."""
        if not self._is_known:
            end = data.find(b"\n") + 1
            if not end:
                return
            self._is_known, data, unkept = True, data[end:], 0
        self.data = self.data[: len(self.data) - unkept] + data
        if len(self.data) > TAIL_BYTES:
            self.data = self.data[self.data.rfind(b"\n", 0, len(self.data) - STORED_BLOCK_BYTES) + 1 :]
            blocks = max(0, len(self.data) // STORED_BLOCK_BYTES - 2)  # none of them has an LF
            self.data = self.data[blocks * STORED_BLOCK_BYTES :]


def is_at_the_end(tails: Mapping[str, bytes], last: Mapping[str, bytes]) -> bool:
    """Whether the stored log ends with the bytes already read. ``last`` are its last lines of each stream.

    False also when this is not certain, because the last line is there several times.
    """
    for stream, stored in last.items():
        tail = tails.get(stream, b"")
        line = stored[stored.rfind(b"\n", 0, len(stored) - 1) + 1 :]
        if not (tail.endswith(stored) or stored.endswith(tail)) or tail.count(line) != 1:
            return False
    return True


class KeptLog:
    """One stream. ``seen`` counts the bytes already read, ``tail`` holds the last of them."""

    def __init__(self, seen: int, tail: bytes = b"") -> None:
        self._skip, self._tail, self._matched = seen - len(tail), tail, 0

    def feed(self, data: bytes) -> tuple[int, bytes]:
        """The number of bytes read last that the log does not contain, and the new part of the next stored bytes."""
        if self._skip:
            if self._skip >= len(data):
                self._skip -= len(data)
                return 0, b""
            data, self._skip = data[self._skip :], 0
        left = len(self._tail) - self._matched
        if not left:
            return 0, data
        common = _common_bytes(data, self._tail[self._matched : self._matched + len(data)])
        self._matched += common
        if common == min(left, len(data)):
            return 0, data[common:]
        end = self._kept_end(self._matched)
        unkept = len(self._tail) - end
        new = (
            self._tail[end : self._matched] + data[common:]
        )  # bytes that were equal by chance are new as well
        self._tail, self._matched = b"", 0
        return unkept, new

    def _kept_end(self, at_most: int) -> int:
        """Where in the tail the last stored bytes end: after an LF, or whole blocks after one."""
        begin = self._tail.rfind(b"\n", 0, at_most) + 1
        return begin + (at_most - begin) // STORED_BLOCK_BYTES * STORED_BLOCK_BYTES


def _common_bytes(one: bytes, other: bytes) -> int:
    """The length of the common prefix."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # binary search: slices are compared by memcmp
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
