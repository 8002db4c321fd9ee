"""KeptLog: where the engine's stored log goes on behind what was already seen, also when less was kept than was seen.

The engine keeps a line when its LF comes, and 16 KiB at once of a line without one. A training draws its progress with
CR, so up to 16 KiB that the live output has shown are in the engine's memory alone; a restart of the daemon ends
them, and what is stored next stands right behind the last bytes that were kept.
Source: testing.md section 5, and the copier of moby's logger package (a buffer of 16 KiB).
"""

from __future__ import annotations

BLOCK_BYTES = 16 * 1024
TAIL_BYTES = 4 * BLOCK_BYTES
"""A tail that is longer is cut: the block that may be lost is all that matters."""


class Tail:
    """The last bytes that were seen of one stream, from a place on where the engine begins to keep a block.

    ``begins``: this is the stream's beginning. Otherwise nothing is remembered before the first LF.
    """

    def __init__(self, *, begins: bool) -> None:
        self.data = b""
        self._is_known = begins

    def add(self, data: bytes, unkept: int = 0) -> None:
        """``unkept``: so many of the bytes before were not kept by the engine."""
        if not self._is_known:
            end = data.find(b"\n") + 1
            if not end:
                return
            self._is_known, data, unkept = True, data[end:], 0
        self.data = self.data[: len(self.data) - unkept] + data
        if len(self.data) > TAIL_BYTES:
            self.data = self.data[self.data.rfind(b"\n", 0, len(self.data) - BLOCK_BYTES) + 1 :]
            blocks = max(0, len(self.data) // BLOCK_BYTES - 2)  # none of them has an LF
            self.data = self.data[blocks * BLOCK_BYTES :]


class KeptLog:
    """One stream. ``seen`` counts the bytes that are known already, ``tail`` are the last of them, as in ``Tail``."""

    def __init__(self, seen: int, tail: bytes = b"") -> None:
        self._skip, self._tail, self._matched = seen - len(tail), tail, 0

    def feed(self, data: bytes) -> tuple[int, bytes]:
        """What is new in the next stored bytes, and how many of the bytes seen last are not in the log at all."""
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
        )  # bytes that were alike by chance are new as well
        self._tail, self._matched = b"", 0
        return unkept, new

    def _kept_end(self, at_most: int) -> int:
        """Where in the tail the engine's last kept bytes end: behind an LF, or whole blocks behind one."""
        begin = self._tail.rfind(b"\n", 0, at_most) + 1
        return begin + (at_most - begin) // BLOCK_BYTES * BLOCK_BYTES


def _common_bytes(one: bytes, other: bytes) -> int:
    """How long a beginning both have in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # halving: comparing slices is done by memcmp
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
