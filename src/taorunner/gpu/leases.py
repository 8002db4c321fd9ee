"""Leases on GPUs: kernel locks on one file per GPU, visible to every process and user of this machine.

The owner of the folder can remove files of others. So a lease also holds an abstract socket address, which nobody can
remove. When a lock file is removed, its holder notices and creates it again.

The kernel releases a lock with the last process that has it open, so no lock is ever stale. A process that inherits
the descriptors of a lease holds it, too. The file's text (who, since when) is information for people and after a
crash; only the lock counts.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import socket
import stat
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path

from taorunner.errors import MachineError
from taorunner.values.bounded_reading import parse_json

DIRECTORY_VARIABLE = "TAORUNNER_LEASES"
_NAME = "taorunner-gpus"
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TEXT_MOST_BYTES = 2048
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lease, as written by that process. For messages only: it is not trusted."""

    run: str = "?"
    user: str = "?"
    backend: str = "?"

    def __str__(self) -> str:
        return f"run {self.run} of {self.user}"


class _UnreadableError(MachineError):
    """A lock file that another user keeps from everyone else."""


@dataclass(slots=True)
class Lease:
    """Held until ``release``, or until every process that has ``descriptors`` open has ended.

    ``left_behind``: earlier holders that were killed before they released their lease; processes they started may
    still run. Their names stay in the files until ``sign``.
    """

    descriptors: tuple[int, ...] = ()
    left_behind: tuple[Holder, ...] = ()
    _alone: tuple[int, ...] = ()
    _is_signed: bool = False
    _files: dict[str, int] = field(default_factory=dict)
    _holder: Holder | None = None

    def sign(self, holder: Holder) -> None:
        """Writes the holder into the files, for others to read."""
        self._is_signed, self._holder = True, holder
        for descriptor in self._alone:
            _write(descriptor, holder)

    def release(self) -> None:
        """Idempotent. Never unlocks: a process that inherited the lease keeps it."""
        for descriptor in self.descriptors:
            if self._is_signed and descriptor in self._alone:
                _write(descriptor, None)
            os.close(descriptor)
        self.descriptors = self._alone = ()
        self._files = {}


def default_directory(environ: Mapping[str, str]) -> Path:
    """The same folder for every user of this machine; it does not depend on the user's permissions."""
    given = environ.get(DIRECTORY_VARIABLE)
    if given:
        return Path(given)
    with suppress(OSError):
        mode = Path("/run/lock").stat().st_mode
        if mode & stat.S_ISVTX and mode & stat.S_IWOTH:
            return Path("/run/lock") / _NAME
    return Path("/tmp") / _NAME


class Leases:
    """The leases of this machine. Creates nothing until the first lease is taken."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = default_directory(os.environ) if directory is None else directory

    def take(self, names: Collection[str], shared: Collection[str] = ()) -> Lease | None:
        """Leases all of ``names``, or returns None when one is taken. Names in ``shared`` get a shared lock, which
        excludes exclusive ones.

        Raises:
            MachineError: the folder of the locks cannot be used.
        """
        lease = Lease()
        try:
            for name in sorted(
                {*names, *shared}
            ):  # a fixed order, so that of two competing processes one succeeds
                if not self._add(lease, name, is_alone=name in names):
                    lease.release()
                    return None
        except BaseException:
            lease.release()
            raise
        return lease

    def _add(self, lease: Lease, name: str, *, is_alone: bool) -> bool:
        """Locks the GPU's file and takes its name. False when another process has one of them."""
        if not is_alone and self._is_named(name):
            return False
        try:
            descriptor = self._locked(name, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
            if descriptor is None:
                return False
            lease.descriptors += (descriptor,)
            lease._files[name] = descriptor
        except _UnreadableError:
            descriptor = None  # a file that only its owner may open, which keeps nobody else from the GPU
        if not is_alone:
            return True
        named = self._named(name)
        if named is None:
            return False
        lease.descriptors += (named,)
        if descriptor is not None:
            lease._alone += (descriptor,)
            before = _read(descriptor)
            lease.left_behind += () if before is None else (before,)
        return True

    def restore(self, lease: Lease) -> list[str]:
        """Makes the files of a lease again that another user removed or replaced. Gives the paths of those."""
        removed = [name for name, descriptor in lease._files.items() if not self._is_still(name, descriptor)]
        for name in removed:
            with suppress(MachineError):
                was_alone = lease._files.pop(name) in lease._alone
                descriptor = self._locked(name, fcntl.LOCK_EX if was_alone else fcntl.LOCK_SH)
                if descriptor is not None:
                    lease._files[name] = descriptor
                    lease.descriptors += (descriptor,)
                    lease._alone += (descriptor,) if was_alone else ()
                    if was_alone and lease._holder is not None:
                        _write(descriptor, lease._holder)
        return [str(self._path(name)) for name in removed]

    def _address(self, name: str) -> bytes:
        """Begins with a zero byte: a name of the kernel and not of a file. The same for all users of the folder."""
        place = f"{os.path.realpath(self.directory)}/{self._path(name).name}"
        return b"\0taorunner-gpu-" + sha256(os.fsencode(place)).hexdigest()[:32].encode()

    def _named(self, name: str) -> int | None:
        """A descriptor that holds the GPU's name; None when another process has it. The kernel frees it as a lock."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            try:
                one.bind(self._address(name))
            except OSError:
                return None
            return one.detach()

    def _is_named(self, name: str) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            return one.connect_ex(self._address(name)) == 0

    def holder(self, name: str) -> Holder | None:
        """The current holder; None when it is free.

        Raises:
            MachineError: the folder of the locks cannot be used.
        """
        try:
            descriptor = self._opened(name)
        except _UnreadableError:
            return Holder() if self._is_named(name) else None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return _read(descriptor) or Holder()
            return Holder() if self._is_named(name) else None
        finally:
            os.close(descriptor)

    def _locked(self, name: str, kind: int) -> int | None:
        """Tries a few times: another process may hold the lock for microseconds to read the holder."""
        for attempt in range(_TRIES):
            descriptor = self._opened(name)
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise MachineError(f"GPUs cannot be leased: {error.strerror}") from error
                if attempt >= 3:
                    return None
                time.sleep(0.0005)
                continue
            if self._is_still(name, descriptor):
                return descriptor
            os.close(descriptor)  # the file was removed meanwhile, so this lock excludes no other process
        return None

    def _is_still(self, name: str, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.lstat(self._path(name)), os.fstat(descriptor))
        except OSError:
            return False

    def _path(self, name: str) -> Path:
        return self.directory / (re.sub(r"[^A-Za-z0-9.-]", "_", name).lstrip(".") + ".lock")

    def _opened(self, name: str) -> int:
        path = self._path(name)
        error: OSError | None = None
        for _ in range(_TRIES):
            try:
                descriptor = os.open(path, os.O_RDWR | _OPEN)
            except FileNotFoundError:
                self._make(path)
                continue
            except OSError as refused:
                error = refused
                break
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
            error = OSError(errno.EINVAL, "not a regular file")
            break
        if error is not None and error.errno == errno.EACCES and self._is_file(path):
            raise _UnreadableError(f'"{path}" may be opened by its owner only') from error
        why = "it is removed repeatedly" if error is None else (error.strerror or "").lower()
        raise MachineError(
            f'GPUs cannot be leased: "{path}": {why}',
            hint=f"remove that file, or set {DIRECTORY_VARIABLE} to another folder for all users of this machine",
        ) from error

    def _is_file(self, path: Path) -> bool:
        try:
            return stat.S_ISREG(os.lstat(path).st_mode)
        except OSError:
            return False

    def _make(self, path: Path) -> None:
        """Creates the file with permissions for all users, independent of the umask, before it gets its name.

        Uses a link instead of O_CREAT, which kernels with fs.protected_regular refuse for another user's file.
        """
        try:
            make_shared_directory(self.directory)
            beside = self.directory / f".{os.getpid()}-{secrets.token_hex(6)}.new"
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN, 0o666)
            try:
                os.fchmod(descriptor, 0o666)
                with suppress(FileExistsError):
                    os.link(beside, path)
            finally:
                os.close(descriptor)
                beside.unlink()
        except OSError as error:
            raise MachineError(
                f'GPUs cannot be leased: "{self.directory}": {(error.strerror or str(error)).lower()}',
                hint=f"give it mode 1777, so that every user can write; or set {DIRECTORY_VARIABLE} to another folder",
            ) from error


def make_shared_directory(directory: Path) -> None:
    """Creates a folder into which all users may write, but not remove each other's files (mode 1777). Never a link.

    Raises:
        OSError: it cannot be created, or the path is not a folder.
    """
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        beside = directory.with_name(f".{directory.name}-{os.getpid()}-{secrets.token_hex(6)}")
        beside.mkdir(parents=True)
        beside.chmod(0o1777)
        try:
            beside.rename(directory)  # replaces an empty folder at most
        except OSError:
            beside.rmdir()
        found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a folder")


def _write(descriptor: int, holder: Holder | None) -> None:
    """Writes only into a file that all users may write, so that a planted link cannot damage another file."""
    if os.fstat(descriptor).st_mode & 0o666 == 0o666:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"" if holder is None else json.dumps(asdict(holder)).encode(), 0)


def _read(descriptor: int) -> Holder | None:
    try:
        text = os.pread(descriptor, _TEXT_MOST_BYTES, 0)
        if not text:
            return None
        body = parse_json(text)
        known = {item.name for item in fields(Holder)}
        said = {key: _plain(value) for key, value in body.items() if key in known}
        return Holder(**said)
    except (OSError, ValueError, AttributeError):  # any user may write it
        return Holder()


def _plain(value: object) -> str:
    """Text of another user, without control characters."""
    return "".join(letter for letter in str(value)[:80] if letter.isprintable())
