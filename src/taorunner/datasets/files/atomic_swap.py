"""Replaces a folder atomically (renameat2 with RENAME_EXCHANGE).

File systems that cannot exchange names get two renames. ``recover`` repairs the state that a killed process leaves
between them; every command that writes or reads that folder calls it first.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from taorunner.contained_files import opened_folder, remove_tree

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
UNPACKED = "unpacked"
"""In the hidden name of the folder into which the archive of a dataset is unpacked, beside the result."""


def exchange(first: Path, second: Path) -> bool:
    """Exchanges the two names atomically. False, with nothing changed, where the system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    return bool(call(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0)


def replace_folder(partial: Path, target: Path) -> None:
    """Renames ``partial`` to ``target``; a previous ``target`` is removed."""
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


def replace_keeping_old(partial: Path, target: Path, backup: Path) -> None:
    """Renames ``partial`` to ``target``, and the previous ``target`` to ``backup``, which must not exist.

    Meanwhile the new folder has a name that holds its inode number, so that after a kill the new folder and the old
    one can be distinguished.
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


def recover(target: Path) -> None:
    """Completes or undoes the unfinished swaps of ended processes beside ``target``."""
    if not target.parent.is_dir():
        return
    for kind in ("replaced", "swap", "partial", UNPACKED):
        for entry in _left(target, kind):
            if entry == unpacked_beside(target):
                continue  # of this process, which reads it
            if kind == "swap":
                _end_swap(entry, target)
            elif kind == "replaced" and not os.path.lexists(target):
                entry.rename(target)  # killed between the two renames: restore the old folder
            else:
                remove(entry)


def unpacked_beside(target: Path) -> Path:
    """Where this process unpacks the archive that ``target`` is made of."""
    return target.with_name(f".{target.name}.{UNPACKED}-{os.getpid()}")


def free_name(target: Path, word: str) -> Path:
    """``target.word`` or, when that exists, ``target.word-2`` and so on."""
    path, number = target.with_name(f"{target.name}.{word}"), 2
    while os.path.lexists(path):
        path, number = target.with_name(f"{target.name}.{word}-{number}"), number + 1
    return path


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        with suppress(OSError), opened_folder(path.parent, path.parent) as parent:
            remove_tree(path.name, parent)
    else:
        path.unlink(missing_ok=True)


KEPT = "before-fix"
"""Suffix of the name under which the original dataset is kept."""


def _end_swap(waiting: Path, target: Path) -> None:
    if not os.path.lexists(waiting):
        return
    is_new = waiting.lstat().st_ino == int(waiting.name.rpartition("-")[2])
    if not os.path.lexists(target):
        waiting.rename(target)  # the old folder is already renamed
    elif is_new:
        remove(waiting)  # not exchanged yet
    else:
        waiting.rename(free_name(target, KEPT))


def _left(target: Path, kind: str) -> Iterator[Path]:
    prefix = f".{target.name}.{kind}-"
    for entry in sorted(target.parent.iterdir()):
        numbers = entry.name.removeprefix(prefix).split("-")
        is_match = entry.name.startswith(prefix) and all(n.isdecimal() for n in numbers) and len(numbers) <= 2
        if is_match and (int(numbers[0]) == os.getpid() or not is_alive(int(numbers[0]))):
            yield entry


def is_alive(pid: int) -> bool:
    """Whether a process has that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
