"""The free space of a path's file system, and the error for a full one.

An OSError of ``write`` names no file; the caller adds the name with ``naming``.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taorunner.errors import MachineError
from taorunner.text import size
from taorunner.values.value import Value

FULL_BELOW_BYTES = 1 << 20
"""The minimum to record a run. File systems report that they are full before the last byte is used."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Room(Value):
    """The space of one file system for its users. ``free_files`` is None when the number of files is unlimited."""

    mount: Path
    free_bytes: int
    total_bytes: int
    free_files: int | None

    @property
    def is_full(self) -> bool:
        return self.free_bytes < FULL_BELOW_BYTES or self.free_files == 0

    @property
    def text(self) -> str:
        """``the file system "/data" has 0 B of 2.0 MiB free``"""
        if self.free_files == 0 and self.free_bytes >= FULL_BELOW_BYTES:
            return f'the file system "{self.mount}" has no inode left for another file'
        free, total = size(self.free_bytes), size(self.total_bytes)
        return f'the file system "{self.mount}" has {free} of {total} free'

    @property
    def hint(self) -> str:
        count = "--inodes " if self.free_files == 0 else "-h "
        sort = "-n" if self.free_files == 0 else "-h"
        shown = f"du -x {count}-d2 {shlex.quote(str(self.mount))} | sort {sort} | tail -n 15"
        return f"free some space there; {shown} shows the largest folders"


def room_at(path: Path) -> Room | None:
    """The space of the file system that holds ``path`` or would hold it. None when it is unknown."""
    try:
        place = path.resolve()
        while not place.exists():
            place = place.parent
        found = os.statvfs(place)
        while not place.is_mount():
            place = place.parent
    except (OSError, RuntimeError):
        return None
    free_files = found.f_favail if found.f_files else None
    return Room(place, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, free_files)


def is_no_room(error: BaseException) -> bool:
    """Whether the disk is full or the user's quota is used up."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


CODE = "disk"
"""Of errors about too little room."""


def no_room(error: OSError, place: Path | None = None) -> MachineError:
    """The error for the user: the file, its file system and the free space.

    ``place`` is the path when ``error`` has none.
    """
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else place
    what = (error.strerror or "no space left on device").lower()
    said = f'"{path}" cannot be written: {what}' if path is not None else what
    room = room_at(path) if path is not None else None
    if error.errno == errno.EDQUOT:
        return MachineError(said, hint="free some space there, or ask for a larger quota", code=CODE)
    if room is None:
        return MachineError(said, hint="free some space: df -h shows which file system is full", code=CODE)
    return MachineError(f"{said}; {room.text}", hint=room.hint, code=CODE)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds ``path`` to an OSError of the block that names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
