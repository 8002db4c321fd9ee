"""What the operating system refuses, as an error of this machine: full and read-only disks, missing rights."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from taorunner.disk_room import is_no_room, no_room, room_at
from taorunner.errors import MachineError

_HINTS = {
    errno.EROFS: "records are kept in .taorunner of the workspace, which must be writable",
    errno.EACCES: "the workspace must be yours, or writable for you: ls -l shows whose it is",
    errno.EPERM: "the workspace must be yours, or writable for you: ls -l shows whose it is",
    errno.ENOTDIR: "a file stands where a folder belongs: move it away",
    errno.EEXIST: "a file stands where a folder belongs: move it away",
    errno.ELOOP: "a link leads in a circle: remove it",
    errno.ENAMETOOLONG: "move the workspace to a shorter path",
    errno.EMFILE: "too many files are open: raise ulimit -n",
    errno.ENFILE: "too many files are open on this machine",
    errno.EAGAIN: "too many processes run: ulimit -u says how many may",
    errno.ENOMEM: "end something that takes memory",
    errno.EIO: "look at the disk: dmesg tells what is wrong with it",
    errno.ESTALE: "the network file system was mounted anew: leave the folder and enter it again",
}


def machine_error(error: OSError) -> MachineError | None:
    """The sentence and the next step, or None for what no machine can be blamed for."""
    if is_no_room(error):
        return no_room(error, _unnamed_place())
    hint = _HINTS.get(error.errno or 0)
    if hint is None:
        return None
    what = (error.strerror or str(error)).lower()
    return MachineError(f"{error.filename or 'standard output'}: {what}", hint=hint)


def _unnamed_place() -> Path | None:
    """What an error that names no file is about: what is printed, where that goes to a file, else the first place
    without room among those that are written to."""
    try:
        if stat.S_ISREG(os.fstat(1).st_mode):
            return Path("/proc/self/fd/1").readlink()
        places = [Path.cwd(), Path(os.environ.get("TMPDIR") or "/tmp"), Path.home()]
    except (OSError, RuntimeError):
        return None
    rooms = {place: room_at(place) for place in places}
    return next((place for place, room in rooms.items() if room is not None and room.is_full), None)
