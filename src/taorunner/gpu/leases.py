"""Leases on GPUs: kernel locks on one file per GPU, seen by every process and every user of this machine.

The kernel frees a lock with the last process that has it open, so none is ever stale. A process that was given the
descriptors of a lease holds it too. What stands in the file (who, since when) is for people, and a hint after a crash:
only the lock counts.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from taorunner.errors import MachineError

DIRECTORY_VARIABLE = "TAORUNNER_LEASES"
_NAME = "taorunner-gpus"
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TEXT_MOST_BYTES = 2048
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a lease, in their own words: not to be believed for more than a sentence."""

    run: str = "?"
    user: str = "?"
    backend: str = "?"

    def __str__(self) -> str:
        return f"run {self.run} of {self.user}"


@dataclass(slots=True)
class Lease:
    """Held until ``release``, or until every process that has ``descriptors`` open is gone.

    ``left_behind`` are earlier holders that were killed before they could give back theirs: what they started may
    still be there. Their names stay in the files until ``sign``.
    """

    descriptors: tuple[int, ...] = ()
    left_behind: tuple[Holder, ...] = ()
    _alone: tuple[int, ...] = ()
    _is_signed: bool = False

    def sign(self, holder: Holder) -> None:
        """Says who has it, for others to read."""
        self._is_signed = True
        for descriptor in self._alone:
            _write(descriptor, holder)

    def release(self) -> None:
        """Idempotent. Never unlocks: a process that inherited the lease keeps it."""
        for descriptor in self.descriptors:
            if self._is_signed and descriptor in self._alone:
                _write(descriptor, None)
            os.close(descriptor)
        self.descriptors = self._alone = ()


def default_directory(environ: Mapping[str, str]) -> Path:
    """The same for every user of this machine: decided by what the machine is like, not by who may write where."""
    given = environ.get(DIRECTORY_VARIABLE)
    if given:
        return Path(given)
    with suppress(OSError):
        mode = Path("/run/lock").stat().st_mode
        if mode & stat.S_ISVTX and mode & stat.S_IWOTH:
            return Path("/run/lock") / _NAME
    return Path("/tmp") / _NAME


class Leases:
    """The leases of this machine. Touches nothing until one is asked for."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = default_directory(os.environ) if directory is None else directory

    def take(self, names: Collection[str], shared: Collection[str] = ()) -> Lease | None:
        """All of ``names``, or None when somebody else has one of them. ``shared`` may be held by several at once, and
        by nobody who asks for it alone.

        Raises:
            MachineError: the place where the locks lie cannot be used.
        """
        lease = Lease()
        try:
            for name in sorted({*names, *shared}):  # the same order for all: of two that compete one gets on
                kind = fcntl.LOCK_EX if name in names else fcntl.LOCK_SH
                descriptor = self._locked(name, kind)
                if descriptor is None:
                    lease.release()
                    return None
                lease.descriptors += (descriptor,)
                if name in names:
                    lease._alone += (descriptor,)
                    before = _read(descriptor)
                    lease.left_behind += () if before is None else (before,)
        except BaseException:
            lease.release()
            raise
        return lease

    def holder(self, name: str) -> Holder | None:
        """Who has it at this moment; None when nobody has.

        Raises:
            MachineError: the place where the locks lie cannot be used.
        """
        descriptor = self._opened(name)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return _read(descriptor) or Holder()
            return None
        finally:
            os.close(descriptor)

    def _locked(self, name: str, kind: int) -> int | None:
        """Tries a few times: somebody else may just be looking, which takes a few microseconds."""
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
            os.close(descriptor)  # somebody cleaned up meanwhile: a lock on a file that nobody finds is none
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
        why = "it vanishes again and again" if error is None else (error.strerror or "").lower()
        raise MachineError(
            f'GPUs cannot be leased: "{path}": {why}',
            hint=f"remove that file, or name another folder for all users of this machine in {DIRECTORY_VARIABLE}",
        ) from error

    def _make(self, path: Path) -> None:
        """Open to everybody from the first moment that it has its name, whatever the umask is.

        Linked, not opened with O_CREAT: kernels with fs.protected_regular refuse that for another user's file.
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
                hint=f"every user needs to write there: mode 1777; or name another folder in {DIRECTORY_VARIABLE}",
            ) from error


def make_shared_directory(directory: Path) -> None:
    """A folder that everybody may write into and nobody may tidy up for others (mode 1777). Never a link.

    Raises:
        OSError: it cannot be made, or something else stands in its place.
    """
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        beside = directory.with_name(f".{directory.name}-{os.getpid()}-{secrets.token_hex(6)}")
        beside.mkdir(parents=True)
        beside.chmod(0o1777)
        try:
            beside.rename(directory)  # takes the place of an empty folder at most
        except OSError:
            beside.rmdir()
        found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a folder")


def _write(descriptor: int, holder: Holder | None) -> None:
    """Only into a file that everybody may write: what is linked here by a prankster must not be harmed."""
    if os.fstat(descriptor).st_mode & 0o666 == 0o666:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"" if holder is None else json.dumps(asdict(holder)).encode(), 0)


def _read(descriptor: int) -> Holder | None:
    try:
        text = os.pread(descriptor, _TEXT_MOST_BYTES, 0)
        if not text:
            return None
        body = json.loads(text)
        known = {item.name for item in fields(Holder)}
        said = {key: _plain(value) for key, value in body.items() if key in known}
        return Holder(**said)
    except (OSError, ValueError, AttributeError):
        return Holder()


def _plain(value: object) -> str:
    """Another user wrote this: nothing that a terminal would obey."""
    return "".join(letter for letter in str(value)[:80] if letter.isprintable())
