"""The GPU queue of this machine: one ticket per waiting batch, readable by all users.

A ticket is a file in a folder next to the leases. Its owner holds a kernel lock on it and refreshes it regularly. The
ticket of a killed owner is ignored at once, that of a hanging owner after a timeout. Only the owner can write it. Its
content is untrusted and affects only the order of the queue.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.errors import MachineError
from taorunner.gpu.leases import DIRECTORY_VARIABLE, make_shared_directory
from taorunner.state_files import is_locked, open_regular
from taorunner.values.bounded_reading import parse_json

SAID_AGAIN_S = 5.0
BELIEVED_S = 15.0
_SUFFIX = ".ticket"
_MOST_BYTES = 256 * 1024
_MOST_WISHES = 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """A run that has waited since ``asked_ns`` for any ``gpu_count`` GPUs, or for those named in ``leases``.

    ``is_due``: it was overtaken by the maximum number of later runs and may not be overtaken again.
    """

    run_id: str
    gpu_count: int
    leases: tuple[str, ...] | None
    asked_ns: int
    is_due: bool = False


@dataclass(slots=True)
class _Ticket:
    """A ticket as last read."""

    changed_ns: int
    wishes: tuple[Wish, ...]
    said_ns: int


def since_boot_ns() -> int:
    """Nanoseconds since boot: the same in all processes, and unaffected by clock changes."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Tickets:
    """This batch's ticket and those of the machine. Opens no file before the first call."""

    def __init__(self, directory: Path, clock_ns: Callable[[], int] = since_boot_ns) -> None:
        self._directory, self._clock_ns = directory, clock_ns
        self._own: Path | None = None
        self._descriptor = -1
        self._said: tuple[tuple[Wish, ...], int] = ((), 0)
        self._read: dict[str, _Ticket] = {}
        self._places: dict[str, str] = {}

    def hold(self, wishes: Sequence[Wish]) -> None:
        """Writes or refreshes this batch's ticket. Without wishes the ticket is removed.

        Raises:
            MachineError: the folder of the tickets cannot be used.
        """
        if not wishes:
            self.drop()
            return
        at_ns = self._clock_ns()
        said = tuple(wishes[:_MOST_WISHES])
        if self._own is not None and said == self._said[0] and at_ns - self._said[1] < SAID_AGAIN_S * 1e9:
            return
        try:
            if self._own is None:
                self._make(_written(said, at_ns))
            else:
                _rewrite(self._descriptor, _written(said, at_ns))
        except OSError as error:
            raise self._unusable(error) from error
        self._said = said, at_ns

    def drop(self) -> None:
        """Removes this batch's ticket. Idempotent."""
        if self._own is not None:
            with suppress(OSError):
                self._own.unlink()
            os.close(self._descriptor)
            self._own = None

    def others(self) -> list[Wish]:
        """What other batches wait for, oldest first. Tickets that were not refreshed in time are left out.

        ``is_alive`` checks whether an owner lives.

        Raises:
            MachineError: the folder of the tickets cannot be used.
        """
        read: dict[str, _Ticket] = {}
        self._places = {}
        oldest_ns = self._clock_ns() - BELIEVED_S * 1e9
        for name, changed_ns in self._found():
            ticket = self._read.get(name)
            if ticket is None or ticket.changed_ns != changed_ns:
                ticket = self._ticket(name, changed_ns) or ticket
            if ticket is None:
                continue
            read[name] = ticket
            if ticket.said_ns >= oldest_ns:
                self._places.update(dict.fromkeys((wish.run_id for wish in ticket.wishes), name))
        self._read = read
        wishes = [wish for name, one in read.items() if one.said_ns >= oldest_ns for wish in one.wishes]
        return sorted(wishes, key=lambda wish: wish.asked_ns)  # stable: a batch's own order stays

    def is_alive(self, run_id: str) -> bool:
        """Whether a process holds the ticket in which ``others`` found this run."""
        name = self._places.get(run_id)
        return name is not None and is_locked(self._directory / name)

    def _found(self) -> Iterator[tuple[str, int]]:
        own = None if self._own is None else self._own.name
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if entry.name.endswith(_SUFFIX) and entry.name[0] != "." and entry.name != own:
                        with suppress(FileNotFoundError):
                            yield entry.name, entry.stat(follow_symlinks=False).st_mtime_ns
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unusable(error) from error

    def _ticket(self, name: str, changed_ns: int) -> _Ticket | None:
        """The parsed ticket; None for a file that is being written or is no ticket."""
        descriptor = open_regular(self._directory / name)
        if descriptor is None:
            return None
        try:
            body = parse_json(os.pread(descriptor, _MOST_BYTES, 0))
            wishes = tuple(_wish(one) for one in body["wishes"][:_MOST_WISHES])
            return _Ticket(changed_ns, wishes, min(int(body["said_ns"]), self._clock_ns()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
            return None
        finally:
            os.close(descriptor)

    def _make(self, text: bytes) -> None:
        """Creates the ticket. It is locked before it is named, so it never appears abandoned."""
        make_shared_directory(self._directory.parent)
        make_shared_directory(self._directory)
        self._sweep()
        name = f"{os.getpid()}-{secrets.token_hex(6)}{_SUFFIX}"
        beside = self._directory / f".{name}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(beside, flags, 0o644)
        try:
            os.fchmod(descriptor, 0o644)  # readable by other users, independent of the umask
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _rewrite(descriptor, text)
            beside.rename(self._directory / name)
        except BaseException:
            os.close(descriptor)
            beside.unlink(missing_ok=True)
            raise
        self._own, self._descriptor = self._directory / name, descriptor

    def _sweep(self) -> None:
        """Removes tickets that killed processes of this user left."""
        for name, _ in self._found():
            path = self._directory / name
            with suppress(OSError):
                if path.lstat().st_uid == os.geteuid() and not is_locked(path):
                    path.unlink()

    def _unusable(self, error: OSError) -> MachineError:
        return MachineError(
            f'GPUs cannot be queued for: "{self._directory}": {(error.strerror or str(error)).lower()}',
            hint=f"every user needs to write there: mode 1777; or name another folder in {DIRECTORY_VARIABLE}",
        )


def _rewrite(descriptor: int, text: bytes) -> None:
    """Overwrites the ticket in place. A reader of a partial write gets invalid JSON and keeps the previous content."""
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def _written(wishes: Sequence[Wish], at_ns: int) -> bytes:
    rows = [[one.run_id, one.gpu_count, one.leases, one.asked_ns, one.is_due] for one in wishes]
    return json.dumps({"said_ns": at_ns, "wishes": rows}).encode()


def _wish(row: Any) -> Wish:
    """Parses one row. Raises ValueError or TypeError for invalid content."""
    run_id, count, leases, asked_ns, is_due = row
    names = None if leases is None else tuple(str(name)[:100] for name in leases[:64])
    count = int(count) if names is None else len(names)
    if not 0 < count <= 1024 or not isinstance(asked_ns, int):
        raise ValueError("not a request for GPUs")
    return Wish(str(run_id)[:300], count, names, asked_ns, is_due is True)
