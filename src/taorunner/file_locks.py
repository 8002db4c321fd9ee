"""Does somebody hold the kernel lock of this file? Whoever is asked about may belong to another user."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path


def open_regular(path: Path) -> int | None:
    """A descriptor for reading; None for what is gone, unreadable, a link or no file. Never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """True while a process holds an exclusive lock; a lock ends with its process, so this is never stale.

    Asking takes a shared lock for a few microseconds: whoever wants the file for itself tries more than once.
    """
    descriptor = open_regular(path)
    if descriptor is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)
