"""How does a result reach its place? Pictures without a copy of their bytes, folders whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from taorunner.datasets.files.atomic_swap import remove, settle, take_name, take_name_and_keep
from taorunner.errors import MachineError, UsageError
from taorunner.text import printable

_FICLONE = 0x40049409
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS})


class Placer:
    """Places files by hard link, else by reflink, else by copy; ``counts`` says how often each was done."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._links = True
        self._clones = True

    def place(self, source: Path | str, target: Path | str) -> None:
        """Raises OSError as the last way tried does; ``target`` must not exist."""
        if self._links:
            try:
                os.link(source, target, follow_symlinks=True)
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


def refuse_taken(target: Path, *, overwrite: bool) -> None:
    """Raises UsageError when ``target`` exists and must not be replaced; asked before much is read, too."""
    if os.path.lexists(target) and not overwrite:
        raise UsageError(
            f'"{printable(str(target))}" exists already',
            hint="give another folder with --output, or replace it with --overwrite",
        )


@contextlib.contextmanager
def whole_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder to write into; it takes the name ``target`` when the block ends well and is gone when it does not.

    It lies beside ``target`` under a hidden name. What a killed process left there is removed first. Raises
    UsageError when ``target`` exists and must not be replaced.
    """
    settle(target)
    refuse_taken(target, overwrite=overwrite)
    _make(target, target.parent, parents=True)
    with _partial(target) as partial:
        yield partial
        take_name(partial, target)


@contextlib.contextmanager
def folder_in_place(target: Path, backup: Path) -> Iterator[Path]:
    """The same for a folder that stands: what it was is kept as ``backup``. Without an error there is always one."""
    settle(target)
    with _partial(target) as partial:
        yield partial
        take_name_and_keep(partial, target, backup)


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[Path]:
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    _make(target, partial)
    try:
        yield partial
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise MachineError(
            f'"{printable(str(target))}" cannot be written: {(error.strerror or "").lower()}',
            hint="free some space there, or give another folder with --output; nothing was kept",
        ) from None
    finally:
        if os.path.lexists(partial):
            remove(partial)


def _make(target: Path, folder: Path, *, parents: bool = False) -> None:
    try:
        folder.mkdir(parents=parents, exist_ok=parents)
    except (FileNotFoundError, NotADirectoryError, FileExistsError, PermissionError) as error:
        raise MachineError(
            f'"{printable(str(target))}" cannot be made: {(error.strerror or "").lower()}',
            hint="give another folder with --output",
        ) from None
