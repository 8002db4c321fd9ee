"""Validates the names of runs and batches, and removes their folders safely.

File contents are never used as paths: names are checked, folders are opened by descriptor, links are not followed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from taorunner.contained_files import remove_tree
from taorunner.errors import MachineError, RunStateError

_ASIDE = ".removing-"
_LONGEST_NAME = 255
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_name(value: object) -> bool:
    """Whether ``value`` names an entry of one folder: a text without "/", and not "", ".", ".." or hidden."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_NAME
        and not value.startswith(".")
        and "/" not in value
        and "\0" not in value
    )


def checked_name(name: str, what: str) -> str:
    """Returns ``name``. Raises RunStateError for an invalid name; ``what`` is the kind of thing, such as "run"."""
    if not is_name(name):
        raise RunStateError(f'"{name}" is not a {what} id', hint="taorunner runs list shows the runs")
    return name


def remove_folder(parent: Path, name: str) -> None:
    """Removes the folder ``parent/name`` with its content. Idempotent.

    It is renamed first, so readers never see it half removed. Links are removed, not their targets.

    Raises:
        RunStateError: ``name`` is invalid, or it or ``parent`` is a symbolic link.
        MachineError: part of the folder cannot be removed.
    """
    checked_name(name, "run or batch")
    try:
        inside = os.open(parent, _FOLDER)
    except FileNotFoundError:
        return
    except OSError as error:
        if parent.is_symlink():
            raise _is_link(parent) from None
        raise _not_removed(parent, error) from error
    try:
        remove_folder_in(inside, parent / name)
    finally:
        os.close(inside)


def remove_folder_in(inside: int, path: Path) -> None:
    """As ``remove_folder``, of the folder ``path`` in the opened folder ``inside``."""
    name = path.name
    aside = f"{_ASIDE}{os.getpid()}-{name}"
    try:
        if stat.S_ISLNK(os.lstat(name, dir_fd=inside).st_mode):
            raise _is_link(path)
        os.rename(name, aside, src_dir_fd=inside, dst_dir_fd=inside)
        remove_tree(aside, inside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _not_removed(path, error) from error


def _is_link(path: Path) -> RunStateError:
    return RunStateError(
        f"{path} is a symbolic link, and taorunner does not follow it",
        hint=f'look where it leads: ls -l "{path}"',
    )


def _not_removed(path: Path, error: OSError) -> MachineError:
    reason = (error.strerror or str(error)).lower()
    return MachineError(f"{error.filename or path} cannot be removed: {reason}")
