"""Leases on the GPUs of this host: the same files and names of the kernel as those of ``gpu.leases``, which says why.

Runs alone on another host, see ``keeper``, where ``gpu.leases`` cannot be imported: so what both need is written in
both. ``tests/backends/docker/remote/test_leases.py`` compares them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from .common import RefusedError, plain

TURN = "remote.turn"
_TRIES = 20
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Leases:
    """Those that this process holds. The kernel releases them at its end, whatever ends it."""

    def __init__(self, folder: str | None) -> None:
        self.folder = Path(folder) if folder else default_folder()
        self.held: list[tuple[int | None, socket.socket]] = []
        self._turn = -1

    def take(self, key: str, holder: dict[str, str]) -> bool:
        """Whether it is held by this process now."""
        is_free, kept = self._locked(key)
        if not is_free:
            return False
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        place = f"{os.path.realpath(self.folder)}/{key}.lock"
        try:
            name.bind(b"\0taorunner-gpu-" + sha256(os.fsencode(place)).hexdigest()[:32].encode())
        except OSError:
            name.close()
            if kept is not None:
                os.close(kept)
            return False
        _sign(kept, json.dumps(holder).encode())
        self.held.append((kept, name))
        return True

    def release(self) -> None:
        for kept, name in self.held:
            _sign(kept, b"")
            if kept is not None:
                os.close(kept)
            name.close()
        self.held = []

    def holder(self, key: str) -> str | None:
        """Who has it, in words; None where nobody has."""
        try:
            descriptor = os.open(self._path(key), _OPEN)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        except OSError:
            with suppress(ValueError, AttributeError, RecursionError):  # any user may write it
                body = json.loads(os.pread(descriptor, 2048, 0).decode("utf-8", "replace"))
                return f"run {plain(body.get('run'))} of {plain(body.get('user'))}"
            return "another process"
        finally:
            os.close(descriptor)

    def wait_turn(self, blocked: Callable[[], None] = lambda: None) -> None:
        """Blocks until those that came before have their GPUs; the turn is that of this process until ``end_turn``.

        ``blocked`` is called before it waits, where it has to.
        """
        while True:
            self._turn = self._opened(self.folder / TURN)
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                blocked()
                fcntl.flock(self._turn, fcntl.LOCK_EX)
            if _is_same(self.folder / TURN, self._turn):
                return
            os.close(self._turn)

    def end_turn(self) -> None:
        os.close(self._turn)

    def check(self) -> None:
        """Raises RefusedError where the folder cannot be used."""
        try:
            os.close(self._opened(self.folder / TURN))
        except PermissionError as error:
            raise RefusedError(f"GPUs cannot be leased there: {self.folder}: {error.strerror}") from None

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.lock"

    def _locked(self, key: str) -> tuple[bool, int | None]:
        """Whether it is free, and the descriptor that locks it; none for a file that only another user may open."""
        for _ in range(_TRIES):
            try:
                descriptor = self._opened(self._path(key))
            except PermissionError:
                return True, None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False, None
            if _is_same(self._path(key), descriptor):
                return True, descriptor
            os.close(descriptor)
        return False, None

    def _opened(self, path: Path) -> int:
        for _ in range(_TRIES):
            try:
                descriptor = os.open(path, _OPEN)
            except FileNotFoundError:
                self._make(path)
                continue
            except PermissionError:
                raise
            except OSError as error:
                raise RefusedError(f"GPUs cannot be leased there: {path}: {error.strerror}") from None
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
            raise RefusedError(f"GPUs cannot be leased there: {path} is no file")
        raise RefusedError(f"GPUs cannot be leased there: {path} is removed repeatedly")

    def _make(self, path: Path) -> None:
        """For all users, whatever the umask is; a link, as ``gpu.leases`` does."""
        try:
            _make_shared(self.folder)
            beside = self.folder / f".{os.getpid()}-{secrets.token_hex(6)}.new"
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                os.fchmod(descriptor, 0o666)
                with suppress(FileExistsError):
                    os.link(beside, path)
            finally:
                os.close(descriptor)
                beside.unlink()
        except OSError as error:
            raise RefusedError(f"GPUs cannot be leased there: {self.folder}: {error.strerror}") from None


def default_folder() -> Path:
    """As ``gpu.leases.default_directory``."""
    given = os.environ.get("TAORUNNER_LEASES")
    if given:
        return Path(given)
    with suppress(OSError):
        mode = Path("/run/lock").stat().st_mode
        if mode & stat.S_ISVTX and mode & stat.S_IWOTH:
            return Path("/run/lock/taorunner-gpus")
    return Path("/tmp/taorunner-gpus")


def _make_shared(folder: Path) -> None:
    """As ``gpu.leases.make_shared_directory``."""
    if not os.path.lexists(folder):
        beside = folder.with_name(f".{folder.name}-{os.getpid()}-{secrets.token_hex(6)}")
        beside.mkdir(parents=True)
        beside.chmod(0o1777)
        try:
            beside.rename(folder)
        except OSError:
            beside.rmdir()
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a folder")


def _sign(kept: int | None, text: bytes) -> None:
    """Only into a file that all users may write, so that a planted link cannot damage another file."""
    if kept is not None and os.fstat(kept).st_mode & 0o666 == 0o666:
        with suppress(OSError):
            os.ftruncate(kept, 0)
            os.pwrite(kept, text, 0)


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False
