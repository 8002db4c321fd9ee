"""Who owns a batch: the process that holds the lock on ``supervisor.lock``. The kernel frees it with the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from taorunner.errors import MachineError
from taorunner.file_locks import is_locked
from taorunner.runs.state.store import BatchPaths, RunStore
from taorunner.state_files import open_state, read_state, write_all

_TRIES, _TRY_EVERY_S = 20, 0.005


def is_supervised(paths: BatchPaths) -> bool:
    """True while a supervisor of this batch lives."""
    return is_locked(paths.lock)


def is_ready(paths: BatchPaths) -> bool:
    """True once the batch's supervisor has started what fits and gone on with what ran."""
    return supervisor_pid(paths) is not None and is_supervised(paths)


def supervisor_pid(paths: BatchPaths) -> int | None:
    """Of the supervisor that has, or had, the batch."""
    try:
        return int(read_state(paths.lock))
    except (OSError, ValueError):
        return None


def say_ready(paths: BatchPaths) -> None:
    """Only by the owner."""
    descriptor = open_state(paths.lock, os.O_WRONLY | os.O_TRUNC)
    try:
        write_all(descriptor, f"{os.getpid()}\n".encode())
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def owning(paths: BatchPaths) -> Iterator[bool]:
    """Holds the batch's lock where nobody has it; False where somebody does.

    Raises MachineError where there is none to hold: the batch has no folder, or the lock is a link.
    """
    try:
        lock = os.fdopen(open_state(paths.lock, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MachineError(f"{paths.lock} cannot be opened: {reason}") from error
    with lock:
        is_owner = _take(lock.fileno())
        if is_owner:
            lock.truncate(0)
        yield is_owner


def orphans(store: RunStore) -> list[str]:
    """Batches that are not over and that nobody makes or supervises. Costs next to nothing where there is none."""
    return [batch_id for batch_id in store.open_batches.ids() if is_orphan(store, batch_id)]


def is_orphan(store: RunStore, batch_id: str) -> bool:
    """Only batches of this user: files that we wrote into another one's folders he could not change."""
    return (
        store.open_batches.is_ours(batch_id)
        and not store.open_batches.is_being_made(batch_id)
        and not is_supervised(store.batch_paths(batch_id))
    )


def _take(handle: int) -> bool:
    """Tries for a moment: whoever asks ``is_supervised`` holds the lock for a few microseconds."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_TRY_EVERY_S)
        else:
            return True
    return False
