"""Turns errors of the operating system into machine errors: full or read-only disks, missing permissions."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from taorunner.disk_room import is_no_room, no_room, room_at
from taorunner.errors import MachineError

_HINTS = {
    errno.EROFS: "mount it writable: taorunner keeps its records in .taorunner of the workspace",
    errno.EACCES: "you need write permission in the workspace: ls -l shows its owner",
    errno.EPERM: "you need write permission in the workspace: ls -l shows its owner",
    errno.ENOTDIR: "a file has the name of a folder: move it away",
    errno.EEXIST: "a file has the name of a folder: move it away",
    errno.ELOOP: "the link leads back to itself: remove it",
    errno.ENAMETOOLONG: "move the workspace to a shorter path",
    errno.EMFILE: "too many open files: raise ulimit -n",
    errno.ENFILE: "too many open files on this machine: end a program",
    errno.EAGAIN: "too many processes: ulimit -u shows the limit",
    errno.ENOMEM: "end a program that uses much memory",
    errno.EIO: "check the disk: dmesg shows its errors",
    errno.ESTALE: "the network file system was remounted: leave the folder and enter it again",
}


def machine_error(error: OSError) -> MachineError | None:
    """The error with its next step; None when the cause is not this machine."""
    if is_no_room(error):
        return no_room(error, _unnamed_place())
    hint = _HINTS.get(error.errno or 0)
    if hint is None:
        return None
    what = (error.strerror or str(error)).lower()
    return MachineError(f"{error.filename or 'standard output'}: {what}", hint=hint)


def _unnamed_place() -> Path | None:
    """The path for an error that names no file: the file behind stdout, or the first full one of the current folder,
    the temporary folder and the home."""
    try:
        if stat.S_ISREG(os.fstat(1).st_mode):
            return Path("/proc/self/fd/1").readlink()
        places = [Path.cwd(), Path(os.environ.get("TMPDIR") or "/tmp"), Path.home()]
    except (OSError, RuntimeError):
        return None
    rooms = {place: room_at(place) for place in places}
    return next((place for place, room in rooms.items() if room is not None and room.is_full), None)
