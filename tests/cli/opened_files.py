"""Which files below a folder are opened, read, changed or removed by any process: asked of the kernel (inotify)."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_EVENTS = {
    0x1: "read", 0x2: "changed", 0x4: "attributes", 0x20: "opened", 0x40: "moved from", 0x80: "moved to",
    0x100: "made", 0x200: "removed", 0x400: "removed", 0x800: "moved",
}  # fmt: skip
"""Source: inotify(7)."""
_HEAD = struct.Struct("iIII")
_IN_IGNORED = 0x8000


class OpenedFiles:
    """``found`` holds ``"opened status.json"`` for each event since the last look, without repeats."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.descriptor >= 0, os.strerror(ctypes.get_errno())
        self._names: dict[int, Path] = {}
        for path in [folder, *folder.rglob("*")]:
            number = self._libc.inotify_add_watch(self.descriptor, os.fsencode(path), sum(_EVENTS))
            assert number >= 0, os.strerror(ctypes.get_errno())
            self._names[number] = path.relative_to(folder)

    def found(self) -> list[str]:
        events: dict[str, None] = {}
        while select.select([self.descriptor], [], [], 0)[0]:
            data = os.read(self.descriptor, 1 << 16)
            while data:
                number, mask, _, length = _HEAD.unpack_from(data)
                name = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0").decode()
                data = data[_HEAD.size + length :]
                if mask & _IN_IGNORED:
                    continue
                for bit, word in _EVENTS.items():
                    if mask & bit:
                        events[f"{word} {self._names[number] / name}"] = None
        return list(events)


@contextmanager
def opened_files(folder: Path) -> Iterator[OpenedFiles]:
    """Watches what is in the folder now."""
    watch = OpenedFiles(folder)
    try:
        yield watch
    finally:
        os.close(watch.descriptor)
