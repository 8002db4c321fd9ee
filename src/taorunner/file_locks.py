"""Tests whether a process, also of another user, holds the kernel lock of a file."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path


def open_regular(path: Path) -> int | None:
    """A descriptor for reading; None if the path is missing, unreadable, a link or not a regular file. Never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """True while a process holds an exclusive lock. The lock ends with its process, so it is never stale.

    The test takes a shared lock for a few microseconds, so code that takes the exclusive lock must retry.
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
