"""Reads and writes the files in ``.taorunner``, decides which of them are trusted, and tests their locks.

These files choose the engine and the programs that are started. A file is trusted only if it is a regular file with one
name that belongs to the caller, or to the group of a ``.taorunner`` with the setgid bit, with which a team shares it,
and that nobody else may write. Links are never followed. The check uses the descriptor that is read, so the file cannot
be exchanged in between.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from taorunner.disk_room import naming
from taorunner.text import size
from taorunner.values.bounded_reading import parse_json
from taorunner.values.value import Value

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from typing import Any

SHARING = 'a team shares a ".taorunner" by its group: chgrp -R GROUP .taorunner && chmod -R g+rwXs .taorunner'

MAX_BYTES = 64 * 1024**2
"""More than any file of state but the logs; a plan with its spec has less than 8 MiB."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 1 << 20
_LONGEST_LINE = 16 << 20
_WITHOUT_MODES = frozenset({
    "9p", "cifs", "drvfs", "exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "prl_fs", "smb3", "vboxsf", "vfat",
})  # fmt: skip
"""Source: mount(8) and the file systems' documentation: their modes come from mount options."""


class UntrustedFileError(OSError):
    """An untrusted file of ``.taorunner``. The text names it and the reason."""


class LinkedFileError(UntrustedFileError):
    """A symbolic link instead of a file or folder of ``.taorunner``."""


class Trust(Value):
    """The trusted owners: ``owners`` (user ids), and ``group`` if there is one."""

    owners: frozenset[int]
    group: int | None = None

    @staticmethod
    def of_caller() -> Trust:
        """Trusts the caller; for root also the user behind ``sudo``."""
        uid = os.geteuid()
        behind = os.environ.get("SUDO_UID", "") if uid == 0 else ""
        return Trust(frozenset({uid, int(behind)} if behind.isdecimal() else {uid}))

    @staticmethod
    def in_folder(state_dir: Path) -> Trust:
        """Trusts the caller, and the group of ``state_dir`` if it has the setgid bit."""
        caller = Trust.of_caller()
        try:
            facts = state_dir.stat()
        except OSError:
            return caller
        return Trust(caller.owners, facts.st_gid) if facts.st_mode & stat.S_ISGID else caller

    def counts(self, facts: os.stat_result) -> bool:
        """Whether the owner is trusted."""
        return facts.st_uid in self.owners or (self.group is not None and facts.st_gid == self.group)

    def fault(self, facts: os.stat_result, folder: Path) -> str | None:
        """Why a file in ``folder``, or that folder itself, is not trusted: words that follow its name; else None.

        The group may write where the folder has the setgid bit, with which a team shares it.
        """
        if not self.counts(facts):
            return f"belongs to {_user(facts.st_uid)}, not to you"
        others = facts.st_mode & (stat.S_IWOTH | stat.S_IWGRP)
        if others == stat.S_IWGRP and _is_shared(folder, facts.st_gid):
            return None
        if others and _keeps_modes(facts.st_dev):
            who = "any user" if others & stat.S_IWOTH else "its group"
            return f"can be changed by {who} (mode {stat.S_IMODE(facts.st_mode):04o}); if only you did: chmod go-w"
        return None

    def check_folder(self, folder: Path, *, is_shared_place: bool = False) -> None:
        """Raises UntrustedFileError for a link and for a folder of another user; other OSErrors pass through.

        ``is_shared_place``: a folder above the run folders. It may belong to root, and to any user if the caller is
        root, because its content is checked separately.
        """
        facts = os.lstat(folder)
        if stat.S_ISLNK(facts.st_mode):
            raise LinkedFileError(f'"{folder}" is a link, and links are not followed here')
        is_fine = is_shared_place and (facts.st_uid == 0 or 0 in self.owners)
        fault = None if is_fine or (is_shared_place and self.counts(facts)) else self.fault(facts, folder)
        if fault is not None:
            raise UntrustedFileError(f'"{folder}" {fault}')


def open_state(path: Path, flags: int = _READ, trust: Trust | None = None, mode: int = 0o644) -> int:
    """Opens a trusted file and returns its descriptor. ``flags`` are those of ``os.open``; links are not followed.

    Raises:
        UntrustedFileError: it is a link, not a regular file, has several names, belongs to another user, or may be
            written by one.
        OSError: it does not exist or cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LinkedFileError(f'"{path}" is a link, and links are not followed here') from None
        if error.errno in (errno.ENXIO, errno.EISDIR):  # a socket; a pipe or folder that is to be written
            raise UntrustedFileError(f'"{path}" is not a regular file') from None
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise UntrustedFileError(f'"{path}" is not a regular file')
        if facts.st_nlink > 1:
            raise UntrustedFileError(f'"{path}" has {facts.st_nlink} names (hard links); a copy has one')
        fault = (trust or Trust.of_caller()).fault(facts, path.parent)
        if fault is not None:
            raise UntrustedFileError(f'"{path}" {fault}')
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_state(path: Path, trust: Trust | None = None, offset: int = 0, most_bytes: int = MAX_BYTES) -> bytes:
    """The bytes from ``offset`` on. Raises as ``open_state`` does, and OSError (EFBIG) for more than ``most_bytes``."""
    data = read_some(path, trust, offset, most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {size(most_bytes)}", str(path))
    return data


def read_json_state(path: Path, trust: Trust | None = None) -> Any:
    """The value in a JSON file. Raises as ``read_state`` does, and ValueError for what is no JSON, or too much."""
    return parse_json(read_state(path, trust), most_bytes=MAX_BYTES)


def read_some(path: Path, trust: Trust | None, offset: int, most_bytes: int) -> bytes:
    """At most ``most_bytes`` from ``offset`` on; fewer only at the end. Raises as ``open_state`` does."""
    descriptor = open_state(path, _READ, trust)
    try:
        if offset:
            if offset >= 2**63:
                return b""
            os.lseek(descriptor, offset, os.SEEK_SET)
        pieces = []
        left = most_bytes
        while left > 0 and (piece := os.read(descriptor, min(left, _BLOCK))):
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    finally:
        os.close(descriptor)


def append_state(path: Path, data: bytes, trust: Trust | None = None) -> None:
    """Appends with one write; creates the file if it does not exist. Raises as ``open_state`` does."""
    descriptor = open_state(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, trust)
    try:
        with naming(path):
            write_all(descriptor, data)
    finally:
        os.close(descriptor)


def cut_open_line(path: Path, trust: Trust | None = None) -> None:
    """Removes what follows the last line end, or ends it where that is more than a line can be. Raises as
    ``open_state`` does."""
    descriptor = open_state(path, os.O_RDWR, trust)
    try:
        size = os.fstat(descriptor).st_size
        start = max(0, size - _LONGEST_LINE)
        tail = os.pread(descriptor, _LONGEST_LINE, start)
        end = tail.rfind(b"\n") + 1
        if end or not start:
            os.ftruncate(descriptor, start + end)
        else:
            os.pwrite(descriptor, b"\n", size)
    finally:
        os.close(descriptor)


def write_new(
    root: Path,
    name: str,
    data: bytes,
    *,
    mode: int = 0o644,
    folder_mode: int = 0o755,
    owner: tuple[int, int] | None = None,
) -> None:
    """Writes ``root/name`` as a new file, which replaces an existing file or link of that name in one step.

    A process that reads the file meanwhile sees the old content or the new: a supervisor that picks up a run writes its
    inputs again while the container of the one before may be starting. ``name`` may contain folders. Missing ones are
    created with ``folder_mode``; a link or file in the place of a folder is unlinked. The file and the new folders are
    given to ``owner`` (user id, group id).
    """
    *folders, last = name.split("/")
    at = os.open(root, _FOLDER)
    try:
        for folder in folders:
            below = _open_folder(at, folder, folder_mode, owner)
            os.close(at)
            at = below
        unfinished = f".{last}.new"
        with suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=at)
        descriptor = os.open(unfinished, _NEW, mode, dir_fd=at)
        try:
            with naming(root / name):
                write_all(descriptor, data)
            os.fchmod(descriptor, mode)
            _give(descriptor, owner)
            os.rename(unfinished, last, src_dir_fd=at, dst_dir_fd=at)
        except OSError:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=at)
            raise
        finally:
            os.close(descriptor)
    finally:
        os.close(at)


def open_regular(path: Path) -> int | None:
    """Opens a file of any owner for reading; None if the path is missing, unreadable, a link or not a regular
    file. Never blocks."""
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """True while a process, also of another user, holds an exclusive lock. The lock ends with its process, so it is
    never stale.

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


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _open_folder(at: int, name: str, mode: int, owner: tuple[int, int] | None) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=at)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        os.unlink(name, dir_fd=at)
    os.mkdir(name, mode, dir_fd=at)
    descriptor = os.open(name, _FOLDER, dir_fd=at)
    _give(descriptor, owner)
    return descriptor


def _give(descriptor: int, owner: tuple[int, int] | None) -> None:
    if owner is not None:
        with suppress(PermissionError):  # a file system without owners
            os.fchown(descriptor, *owner)


def _is_shared(folder: Path, group: int) -> bool:
    try:
        facts = folder.stat()
    except OSError:
        return False
    return bool(facts.st_mode & stat.S_ISGID) and facts.st_gid == group


def _keeps_modes(device: int) -> bool:
    """Whether the file system stores modes: those of Windows and of shares show all files with one mode."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    for line in lines:
        mount, _, system = line.partition(" - ")
        if mount.split()[2:3] == [number]:
            return system.split(" ", 1)[0] not in _WITHOUT_MODES
    return True


def _user(uid: int) -> str:
    import pwd

    try:
        return f'user "{pwd.getpwuid(uid).pw_name}"'
    except KeyError:
        return f"user {uid}"
