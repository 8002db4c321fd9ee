"""Writes result folders atomically, and places images in them by link where possible.

A container that writes into the data of a project can put a link in the place of a folder while a result is written.
So it is written below ``.taorunner``, which no container sees, where that is on the same file system, and the folder
that it comes into is opened once, at the beginning.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from taorunner.contained_files import UNSEEN, walk
from taorunner.datasets.files.atomic_swap import (
    is_alive,
    recover,
    remove,
    replace_folder,
    replace_keeping_old,
)
from taorunner.disk_room import room_at
from taorunner.errors import MachineError, UsageError
from taorunner.text import printable, size

_FICLONE = 0x40049409
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS})


class Way(Enum):
    """How images come into a result: by hard link where possible; as a file of its own; or by a symbolic link."""

    LINK = "link"
    COPY = "copy"
    REFER = "refer"


class Placer:
    """Places files by hard link, else by reflink, else by copy, or as ``way`` says; ``counts`` has the number of
    each."""

    def __init__(self, way: Way = Way.LINK) -> None:
        self.counts: Counter[str] = Counter()
        self.way = way
        self._links = way is Way.LINK
        self._clones = True

    def place(self, source: Path | str, target: Path | str) -> None:
        """Raises OSError of the last method tried; ``target`` must not exist."""
        if self.way is Way.REFER:
            Path(target).symlink_to(os.path.realpath(source))
            self.counts["symbolic links"] += 1
            return
        if self._links:
            try:
                # os.link follows no link on Linux, whatever follow_symlinks says
                os.link(os.path.realpath(source) if os.path.islink(source) else source, target)  # noqa: PTH114
                self.counts["hard links"] += 1
                return
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                self._links = error.errno not in (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS)
        if self._clones and self._clone(source, target):
            self.counts["reflinks"] += 1
            return
        shutil.copy2(source, target)
        self.counts["copies"] += 1

    def _clone(self, source: Path | str, target: Path | str) -> bool:
        with open(source, "rb") as read, open(target, "xb") as written:  # noqa: PTH123 (str or Path)
            try:
                fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
            except OSError:
                self._clones = False
            else:
                shutil.copystat(source, target)
                return True
        os.unlink(target)  # noqa: PTH108 (str or Path)
        return False


def need_room(paths: Iterable[Path], target: Path, way: Way) -> None:
    """Raises MachineError when ``target``'s file system has no room for the images that must be copied there.

    Images on the same file system are linked, unless copies are asked for. An image that cannot be read counts nothing:
    it is reported where it is read.
    """
    if way is Way.REFER:
        return
    place = target
    while not place.exists():
        place = place.parent
    device = place.stat().st_dev
    needed = 0
    for path in paths:
        with contextlib.suppress(OSError):
            found = path.stat()
            needed += found.st_size if way is Way.COPY or found.st_dev != device else 0
    room = room_at(target)
    if room is not None and needed > room.free_bytes:
        raise MachineError(
            f'"{printable(str(target))}" cannot be written: copies of the images need {size(needed)}, and {room.text}',
            hint=room.hint,
        )


def refuse_taken(target: Path, *, overwrite: bool, shown: Path | None = None) -> None:
    """Raises UsageError when ``target`` exists and must not be replaced. Also called early, before much is read.

    A folder that holds nothing but empty folders may be replaced, as ``init-project`` makes one for the dataset.
    """
    if os.path.lexists(target) and not overwrite and not _holds_only_folders(target):
        raise UsageError(
            f'"{printable(str(shown or target))}" already exists',
            hint="choose another folder with --output, or replace it with --overwrite",
        )


def _holds_only_folders(target: Path) -> bool:
    """False for a link, and for a folder that cannot be read whole."""
    if target.is_symlink() or not target.is_dir():
        return False
    unread: list[OSError] = []
    for folder, names, files in walk(target, unread.append):
        if files or any(Path(folder, name).is_symlink() for name in names):
            return False
    return not unread


@contextlib.contextmanager
def new_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder to write into. It is renamed to ``target`` when the block succeeds, and removed when it fails.

    Until then it lies below ``.taorunner``, or beside ``target`` under a hidden name. Leftovers of a killed process are
    removed first. Raises UsageError when ``target`` exists and must not be replaced.
    """
    recover(target)
    refuse_taken(target, overwrite=overwrite)
    make_parent(target)
    with _held(target) as held, _partial(target, held) as partial:
        yield partial
        refuse_taken(held, overwrite=overwrite, shown=target)  # again: writing took a while
        replace_folder(partial, held)


@contextlib.contextmanager
def replaced_folder(target: Path, backup: Path) -> Iterator[Path]:
    """Like ``new_folder`` for an existing ``target``, which is kept as ``backup``. ``target`` exists at all times."""
    recover(target)
    with _held(target) as held, _partial(target, held) as partial:
        yield partial
        replace_keeping_old(partial, held, held.with_name(backup.name))


@contextlib.contextmanager
def _held(target: Path) -> Iterator[Path]:
    """``target`` by the descriptor of its folder, which stays the same whatever becomes of the path to it."""
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folder = Path(f"/proc/self/fd/{descriptor}")
        try:
            yield folder / target.name if folder.is_dir() else target
        except OSError as error:
            if isinstance(error.filename, str):
                error.filename = error.filename.replace(str(folder), str(target.parent))
            raise
    finally:
        os.close(descriptor)


def _unseen_place(target: Path, held: Path) -> Path | None:
    """A new folder below ``.taorunner`` of the workspace that ``target`` is in; None where there is none, or where it
    could not be renamed to ``held``."""
    state, number = _state_above(target), os.getpid()
    if state is None:
        return None
    place = state / "datasets"
    made, tried = place / f"{number}-{target.name}", held.with_name(f".{target.name}.partial-{number}")
    try:
        place.mkdir(exist_ok=True)
        for left in place.iterdir():
            pid = left.name.partition("-")[0]
            if left == made or (pid.isdecimal() and not is_alive(int(pid))):
                remove(left)
        made.mkdir()
        try:
            made.rename(tried)
            tried.rename(made)
        except OSError:  # another file system
            made.rmdir()
            return None
    except OSError:
        return None
    return made


def _state_above(target: Path) -> Path | None:
    """The user's own ``.taorunner`` that is nearest above ``target``."""
    for above in Path(os.path.realpath(target)).parents:
        try:
            facts = (above / UNSEEN).lstat()
        except OSError:
            continue
        if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid():
            return above / UNSEEN
    return None


@contextlib.contextmanager
def _partial(target: Path, held: Path) -> Iterator[Path]:
    partial = _unseen_place(target, held)
    if partial is None:
        partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
        _make(target, partial)
    try:
        yield partial
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise MachineError(
            f'"{printable(str(target))}" cannot be written: {(error.strerror or "").lower()}',
            hint="free disk space, or choose another folder with --output; nothing was written",
        ) from None
    finally:
        if os.path.lexists(partial):
            remove(partial)


def make_parent(target: Path) -> None:
    """The folder that ``target`` belongs into. Raises MachineError when it cannot be created."""
    _make(target, target.parent, parents=True)


def _make(target: Path, folder: Path, *, parents: bool = False) -> None:
    try:
        folder.mkdir(parents=parents, exist_ok=parents)
    except (FileNotFoundError, NotADirectoryError, FileExistsError, PermissionError) as error:
        raise MachineError(
            f'"{printable(str(target))}" cannot be created: {(error.strerror or "").lower()}',
            hint="choose another folder with --output",
        ) from None
