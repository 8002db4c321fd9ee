"""Ownership of a batch: the lock on ``supervisor.lock``. The kernel releases it when the process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from taorunner.errors import MachineError
from taorunner.runs.state.store import BatchPaths, RunStore
from taorunner.state_files import is_locked, open_state, read_state, write_all

_TRIES, _TRIES_BESIDE_AN_OWNER, _TRY_EVERY_S = 2000, 20, 0.005


def is_supervised(paths: BatchPaths) -> bool:
    """True while a supervisor of this batch lives."""
    return is_locked(paths.lock)


def is_ready(paths: BatchPaths) -> bool:
    """True once the batch's supervisor has resumed the running runs and started those that fit."""
    return supervisor_pid(paths) is not None and is_supervised(paths)


def supervisor_pid(paths: BatchPaths) -> int | None:
    """The pid of the batch's current or last supervisor."""
    try:
        return int(read_state(paths.lock))
    except (OSError, ValueError):
        return None


def say_ready(paths: BatchPaths) -> None:
    """Marks the batch ready. Only its owner may call this."""
    descriptor = open_state(paths.lock, os.O_WRONLY | os.O_TRUNC)
    try:
        write_all(descriptor, f"{os.getpid()}\n".encode())
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def owning(paths: BatchPaths) -> Iterator[bool]:
    """Acquires the batch's lock; yields False when another process holds it.

    Raises MachineError when the batch has no folder or the lock is a symbolic link.
    """
    try:
        lock = os.fdopen(open_state(paths.lock, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MachineError(f"{paths.lock} cannot be opened: {reason}") from error
    with lock:
        is_owner = _take(lock.fileno(), paths)
        if is_owner:
            lock.truncate(0)
        yield is_owner


def orphans(store: RunStore) -> list[str]:
    """Unfinished batches without a creator or a supervisor. Cheap when there are none."""
    return [batch_id for batch_id in store.open_batches.ids() if is_orphan(store, batch_id)]


def is_orphan(store: RunStore, batch_id: str) -> bool:
    """Whether the batch is an orphan of this user. Other users' batches are never taken over."""
    return (
        store.open_batches.is_ours(batch_id)
        and not store.open_batches.is_being_made(batch_id)
        and not is_supervised(store.batch_paths(batch_id))
    )


def _take(handle: int, paths: BatchPaths) -> bool:
    """Retries, because ``is_supervised`` shares the lock for a few microseconds, or for as long as a busy machine halts
    it there: a supervisor that gave up then would leave its batch to nobody."""
    for attempt in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if attempt >= _TRIES_BESIDE_AN_OWNER and is_supervised(paths):
                return False
            time.sleep(_TRY_EVERY_S)
        else:
            return True
    return False
