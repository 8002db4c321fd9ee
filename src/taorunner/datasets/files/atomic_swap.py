"""How does a new folder take the name of one that is there, so that a kill leaves one of them under that name?

Linux exchanges two names in one step. Where a file system cannot, there are two renames, and what a kill leaves
between them is put right by ``settle``, which every command that writes or names that folder calls first.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE


def exchange(first: Path, second: Path) -> bool:
    """Each has the other's name afterwards, or nothing happened: False where the system cannot do that in one step."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    return bool(call(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0)


def take_name(partial: Path, target: Path) -> None:
    """``partial`` becomes ``target``; what was there is removed."""
    if not os.path.lexists(target):
        partial.rename(target)
        return
    if exchange(partial, target):
        remove(partial)
        return
    old = target.with_name(f".{target.name}.replaced-{os.getpid()}")
    target.rename(old)
    try:
        partial.rename(target)
    except BaseException:
        if not os.path.lexists(target):
            old.rename(target)
        raise
    remove(old)


def take_name_and_keep(partial: Path, target: Path, backup: Path) -> None:
    """``partial`` becomes ``target``, and what was there ``backup``, which is not there yet.

    On the way the new folder has a name with its own inode in it: what lies there after a kill, the new one or the
    old one, can be told apart.
    """
    waiting = target.with_name(f".{target.name}.swap-{os.getpid()}-{partial.stat().st_ino}")
    partial.rename(waiting)
    try:
        if exchange(waiting, target):
            waiting.rename(backup)
        else:
            target.rename(backup)
            waiting.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            _end_swap(waiting, target)
        raise


def settle(target: Path) -> None:
    """Ends or undoes what processes that are no more left half done beside ``target``."""
    if not target.parent.is_dir():
        return
    for kind in ("replaced", "swap", "partial"):
        for entry in _left(target, kind):
            if kind == "swap":
                _end_swap(entry, target)
            elif kind == "replaced" and not os.path.lexists(target):
                entry.rename(target)  # killed between the two renames: the old result is the result
            else:
                remove(entry)


def free_name(target: Path, word: str) -> Path:
    """``target.word`` or, where that is taken, ``target.word-2`` and so on."""
    path, number = target.with_name(f"{target.name}.{word}"), 2
    while os.path.lexists(path):
        path, number = target.with_name(f"{target.name}.{word}-{number}"), number + 1
    return path


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


KEPT = "before-fix"
"""What the name of a dataset gets when it is kept as it was."""


def _end_swap(waiting: Path, target: Path) -> None:
    if not os.path.lexists(waiting):
        return
    is_new = waiting.lstat().st_ino == int(waiting.name.rpartition("-")[2])
    if not os.path.lexists(target):
        waiting.rename(target)  # the old one has its new name already
    elif is_new:
        remove(waiting)  # nothing was exchanged yet
    else:
        waiting.rename(free_name(target, KEPT))


def _left(target: Path, kind: str) -> Iterator[Path]:
    prefix = f".{target.name}.{kind}-"
    for entry in sorted(target.parent.iterdir()):
        numbers = entry.name.removeprefix(prefix).split("-")
        is_ours = entry.name.startswith(prefix) and all(n.isdecimal() for n in numbers) and len(numbers) <= 2
        if is_ours and not _is_alive(int(numbers[0])):
            yield entry


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
