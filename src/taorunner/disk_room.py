"""The free space of a path's file system, and the error for a full one.

An OSError of ``write`` names no file; the caller adds the name with ``naming``.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taorunner.errors import MachineError
from taorunner.text import size
from taorunner.values.value import Value

FULL_BELOW_BYTES = 1 << 20
"""The minimum to record a run. File systems report that they are full before the last byte is used."""
_FEW_FILES = 4
RESERVE = "reserve"
"""A file in the folder of a run that is going on."""
RESERVED_BYTES = 64 * 1024
"""What the end of a run needs: its record, its last events and the end of its log."""
_UNWRITABLE = frozenset({errno.EROFS, errno.EIO})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Room(Value):
    """The space of one file system for its users. ``free_files`` is None when the number of files is unlimited."""

    mount: Path
    free_bytes: int
    total_bytes: int
    free_files: int | None

    @property
    def is_full(self) -> bool:
        return self.free_bytes < FULL_BELOW_BYTES or self._has_few_files

    @property
    def _has_few_files(self) -> bool:
        """A run needs a few files to be recorded."""
        return self.free_files is not None and self.free_files < _FEW_FILES

    @property
    def text(self) -> str:
        """``the file system "/data" has 0 B of 2.0 MiB free``"""
        if self._has_few_files and self.free_bytes >= FULL_BELOW_BYTES:
            left = f"only {self.free_files} inodes" if self.free_files else "no inode"
            return f'the file system "{self.mount}" has {left} left for another file'
        free, total = size(self.free_bytes), size(self.total_bytes)
        return f'the file system "{self.mount}" has {free} of {total} free'

    @property
    def hint(self) -> str:
        count = "--inodes " if self._has_few_files else "-h "
        sort = "-n" if self._has_few_files else "-h"
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


def is_unwritable(error: BaseException) -> bool:
    """Whether the disk takes nothing: it is full, or has become read-only, as after a fault of the disk."""
    return is_no_room(error) or (isinstance(error, OSError) and error.errno in _UNWRITABLE)


def unwritable(error: OSError, place: Path) -> MachineError:
    """``no_room``, also for a disk that has become read-only."""
    if is_no_room(error):
        return no_room(error, place)
    path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else str(place)
    what = (error.strerror or "read-only file system").lower()
    return MachineError(
        f'"{path}" cannot be written: {what}',
        hint="check the disk (dmesg shows its errors) and mount it writable",
    )


def probe(path: Path) -> None:
    """Writes the time of ``path``, which shows a disk that has become read-only, also one that says otherwise.

    Raises:
        OSError: it is read-only, or the disk is broken. Nothing else, such as a missing permission, is an error.
    """
    try:
        os.utime(path)
    except OSError as error:
        if error.errno in _UNWRITABLE:
            raise


def reserve(folder: Path) -> None:
    """Takes ``RESERVED_BYTES`` and an inode, for ``release`` to give back. Idempotent. Raises OSError."""
    path = folder / RESERVE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with naming(path):
            os.posix_fallocate(descriptor, 0, RESERVED_BYTES)
    finally:
        os.close(descriptor)


def release(folder: Path) -> None:
    """Gives back what ``reserve`` took. Idempotent."""
    with suppress(OSError):
        (folder / RESERVE).unlink()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds ``path`` to an OSError of the block that names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
