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
MOST_LEVELS, MOST_ENTRIES = 32, 200_000
"""Below one folder; results have five levels at most, and the images of an inference."""
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
    lead to. Empty where a link is on the way to ``folder``, or it is not there.

    A container can make folders without end: deeper than ``MOST_LEVELS``, and after ``MOST_ENTRIES``, nothing is found.
    """
    left = MOST_ENTRIES
    for place, opened, folders, others in opened_folders(root, folder):
        left -= len(folders) + len(others)
        if left < 0:
            return
        for name in others:
            with suppress(OSError):
                if stat.S_ISREG(os.lstat(name, dir_fd=opened).st_mode):
                    yield place / name


def opened_folders(
    root: Path, folder: Path, skipped: Callable[[Path], object] | None = None
) -> Iterator[tuple[Path, int, list[str], list[str]]]:
    """``folder``, which is ``root`` or below it, and the folders in it: each with its descriptor, which is closed at
    the next one, the names of its folders, and the other names. A name that is removed from the folders is passed over.

    No link is followed. ``skipped`` gets the folders that are not looked at: they cannot be opened, or lie deeper than
    ``MOST_LEVELS``.
    """
    waiting = [(folder, 0)]
    while waiting:
        place, level = waiting.pop()
        folders: list[str] = []
        try:
            if level > MOST_LEVELS:
                raise OSError(errno.ENAMETOOLONG, "folders are nested too deeply", str(place))
            with _opened(root, place) as opened:
                found = _listed(opened)
                folders += [name for name, is_folder in found if is_folder]
                yield place, opened, folders, [name for name, is_folder in found if not is_folder]
        except OSError:
            if skipped is not None:
                skipped(place)
        waiting += [(place / name, level + 1) for name in reversed(folders)]


def walk(
    top: Path, onerror: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``, which follows no link; folders deeper than ``MOST_LEVELS`` are errors. Before Python 3.12
    ``os.walk`` ends as RecursionError there."""
    waiting = [(os.fspath(top), 0)]
    while waiting:
        place, level = waiting.pop()
        try:
            if level > MOST_LEVELS:
                raise OSError(errno.ENAMETOOLONG, "folders are nested too deeply", place)
            with os.scandir(place) as entries:
                found = [(entry.name, entry.is_dir(), entry.is_symlink()) for entry in entries]
        except OSError as error:
            if onerror is not None:
                onerror(error)
            continue
        folders = [name for name, is_folder, _ in found if is_folder]
        yield place, folders, [name for name, is_folder, _ in found if not is_folder]
        linked = {name for name, _, is_link in found if is_link}
        below = (name for name in reversed(folders) if name not in linked)
        waiting += [(f"{place}/{name}", level + 1) for name in below]


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


def remove_tree(name: str, parent: int) -> None:
    """Removes the folder ``name`` of the opened folder ``parent``, and links in it, not their targets. Raises OSError.

    A folder in a folder is moved up first: a container can nest more of them than a process may have open, or than a
    path may name.
    """
    top = os.open(name, _FOLDER, dir_fd=parent)
    try:
        while found := _listed(top):
            for inner, is_folder in found:
                if is_folder:
                    _empty(inner, top)
                    os.rmdir(inner, dir_fd=top)
                else:
                    os.unlink(inner, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


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


def _empty(name: str, top: int) -> None:
    """Unlinks the files of a folder in ``top``, and moves the folders in it there, unless they are empty."""
    folder = os.open(name, _FOLDER, dir_fd=top)
    try:
        for inner, is_folder in _listed(folder):
            if not is_folder:
                os.unlink(inner, dir_fd=folder)
                continue
            try:
                os.rmdir(inner, dir_fd=folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                os.rename(inner, f".removing-{os.urandom(8).hex()}", src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)


def _listed(folder: int) -> list[tuple[str, bool]]:
    """The entries, and whether each is a folder."""
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]


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
