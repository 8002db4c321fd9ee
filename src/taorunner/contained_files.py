"""Finds, opens, makes, moves and removes what lies below a folder, by descriptors, and follows no link there.

What a container wrote can be anything, also while it is looked at: a link in the place of a folder would lead the host
elsewhere. The folder itself, the root, is the user's choice and may be reached through links; below it every step is
opened from the one before. Paths are absolute and below their root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

UNSEEN = ".taorunner"
"""The folder of a workspace that no container sees: none can exchange what is below it."""
_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER = _ROOT | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WILD = frozenset("*?[")


class NotContainedError(OSError):
    """A link, or something else that is no folder, on the way to a path. The text says what and where."""

    def __init__(self, place: Path, what: str) -> None:
        super().__init__(errno.ELOOP, what, str(place))


def root_of(path: Path, roots: Sequence[Path]) -> Path:
    """The deepest of ``roots`` that ``path`` is below; without one its own folder, which is the user's choice."""
    above = [root for root in roots if root != path and path.is_relative_to(root)]
    return max(above, key=lambda root: len(root.parts), default=path.parent)


def is_contained(root: Path, path: Path) -> bool:
    """Whether ``path`` is below ``root`` also after links, its own among them, are followed."""
    real, target = os.path.realpath(root), os.path.realpath(path)
    return target.startswith(real.rstrip("/") + "/")


def matches(root: Path, pattern: str) -> list[Path]:
    """What ``root.glob(pattern)`` finds without ``**`` and without folders that are links. What it finds may be a link.

    Empty where a folder is not there or cannot be read.
    """
    *folders, last = [part for part in pattern.split("/") if part not in ("", ".")]
    places = [root]
    for part in folders:
        places = [path for place in places for path in _named(place, part) if _is_kind(path, stat.S_ISDIR)]
    return [path for place in places for path in _named(place, last)]


def files_below(root: Path, folder: Path) -> Iterator[Path]:
    """The regular files in ``folder``, which is ``root`` or below it, and in its folders, but for links and what they
    lead to. Empty where a link is on the way to ``folder``, or it is not there."""
    try:
        with _opened(root, folder):
            pass
    except OSError:
        return
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if _is_kind(path, stat.S_ISREG):
                yield path


def link_on_the_way(root: Path, path: Path) -> Path | None:
    """The first link below ``root`` on the way to ``path``, its own name among them; for messages."""
    steps = [one for one in (path, *path.parents) if one != root and one.is_relative_to(root)]
    return next((one for one in reversed(steps) if _is_kind(one, stat.S_ISLNK)), None)


def open_file(root: Path, path: Path) -> int | None:
    """A descriptor for reading; None for a link, anything but a regular file, and what cannot be opened."""
    try:
        with _opened(root, path.parent) as folder:
            descriptor = os.open(path.name, _FILE, dir_fd=folder)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def make_folders(root: Path, path: Path) -> None:
    """Makes ``path`` and the folders between it and ``root``, and ``root`` itself. Idempotent.

    Raises:
        NotContainedError: a link or a file is in the way.
        OSError: one cannot be made.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _opened(root, path, makes=True):
        pass


def move(root: Path, path: Path, target_root: Path, target: Path) -> None:
    """Renames ``path``, which may be a link, to ``target``, which is free. The folder of ``target`` is there.

    Raises:
        FileExistsError: something is at ``target``.
        NotContainedError: a link or a file is in the way.
        OSError: it cannot be renamed; nothing was changed.
    """
    with _opened(root, path.parent) as source_folder, _opened(target_root, target.parent) as target_folder:
        if _exists(target.name, target_folder):
            raise FileExistsError(errno.EEXIST, "the path exists", str(target))
        try:
            os.rename(path.name, target.name, src_dir_fd=source_folder, dst_dir_fd=target_folder)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path), None, str(target)) from error


def make_folder(root: Path, path: Path) -> None:
    """Makes the folder ``path``, which is not there, in one that is. Raises as ``move`` does."""
    with _opened(root, path.parent) as folder:
        os.mkdir(path.name, dir_fd=folder)


def remove_empty_folder(root: Path, path: Path) -> None:
    """Raises OSError where it is not empty or not there."""
    with _opened(root, path.parent) as folder:
        os.rmdir(path.name, dir_fd=folder)


def remove_file(root: Path, path: Path) -> None:
    """Removes a file or a link, not its target. Raises as ``move`` does."""
    with _opened(root, path.parent) as folder:
        os.unlink(path.name, dir_fd=folder)


def remove_regular_file(root: Path, path: Path) -> bool:
    """Removes a regular file. False for one that is gone, for a link, and for anything else."""
    try:
        with _opened(root, path.parent) as folder:
            is_file = stat.S_ISREG(os.lstat(path.name, dir_fd=folder).st_mode)
            if is_file:
                os.unlink(path.name, dir_fd=folder)
            return is_file
    except (FileNotFoundError, NotContainedError):
        return False


@contextmanager
def opened_folder(root: Path, path: Path) -> Iterator[int]:
    """The descriptor of the folder ``path``, which may be ``root``, for as long as the block takes.

    Raises NotContainedError, other OSErrors.
    """
    with _opened(root, path) as folder:
        yield folder


@contextmanager
def _opened(root: Path, path: Path, *, makes: bool = False) -> Iterator[int]:
    descriptor = os.open(root, _ROOT)
    try:
        place = root
        for part in path.relative_to(root).parts:
            place = place / part
            below = _step(descriptor, part, place, makes=makes)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _step(folder: int, name: str, place: Path, *, makes: bool) -> int:
    if name == "..":
        raise NotContainedError(place, "the path leads upwards")
    if makes:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise OSError(error.errno, error.strerror, str(place)) from error
        is_link = stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode)
        what = "a symbolic link, and taorunner does not follow it" if is_link else "not a folder"
        raise NotContainedError(place, what) from None


def _named(folder: Path, part: str) -> list[Path]:
    try:
        if _WILD.isdisjoint(part):
            return [folder / part] if os.path.lexists(folder / part) else []
        with os.scandir(folder) as entries:
            return [folder / entry.name for entry in entries if fnmatchcase(entry.name, part)]
    except OSError:
        return []


def _is_kind(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(os.lstat(path).st_mode)
    except OSError:
        return False


def _exists(name: str, folder: int) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True
