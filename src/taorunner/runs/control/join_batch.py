"""Adds runs to an unfinished batch. They share its supervisor, its place in the queue and its ``--parallel``.

A new run is listed in ``batch.json`` only when its folder is complete. The batch's supervisor reads new runs from
there. A lock excludes adding runs while the supervisor exits, so no run is added to a batch without a supervisor.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from taorunner.errors import RunStateError
from taorunner.runs.state.batch_creation import extend_batch, record_runs
from taorunner.runs.state.record import DEFAULT_POLICY, RunPolicy
from taorunner.runs.state.store import Batch, RunStore
from taorunner.state_files import open_state

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan

MADE_WITHIN_S = 10.0
_POLL_S = 0.02


@contextlib.contextmanager
def alone(store: RunStore, batch_id: str) -> Iterator[None]:
    """Holds the lock that excludes adding to the batch and ending it."""
    path = store.batch_paths(batch_id).directory / "joining.lock"
    with os.fdopen(open_state(path, os.O_WRONLY | os.O_CREAT), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def joinable(store: RunStore, name: str) -> str:
    """The id of the batch that contains the run ``name`` (an id, part of one, or an experiment).

    Raises:
        RunStateError: the batch is over, or belongs to another user.
    """
    record = store.find(name)
    hint = "taorunner ps lists active runs; without --join the runs also wait for free GPUs"
    run = store.short_id(record.id)
    if record.batch not in store.open_batches.ids():
        raise RunStateError(f'the batch of run "{run}" has ended: it cannot be joined', hint=hint)
    if not store.open_batches.is_ours(record.batch):
        raise RunStateError(f'run "{run}" belongs to another user: its batch cannot be joined', hint=hint)
    return record.batch


def join(
    store: RunStore, batch_id: str, plans: Sequence[tuple[str, RunPlan]], at: datetime, *,
    environ: Mapping[str, str], policy: RunPolicy = DEFAULT_POLICY,
) -> Batch:  # fmt: skip
    """Records the runs as part of the batch. Returns the extended batch.

    Raises:
        RunStateError: the batch has ended meanwhile.
    """
    deadline = time.monotonic() + MADE_WITHIN_S
    while store.open_batches.is_being_made(batch_id) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    with alone(store, batch_id):
        if batch_id not in store.open_batches.ids():
            raise RunStateError(
                f'the batch "{batch_id}" has just ended: it cannot be joined', hint="leave out --join"
            )
        try:
            batch = store.load_batch(batch_id)
        except (OSError, ValueError) as error:
            raise RunStateError(
                f'the batch "{batch_id}" cannot be joined: batch.json is damaged: {error}',
                hint="leave out --join",
            ) from None
        new = tuple(run_id for run_id, _ in plans)
        store.open_batches.rename_runs(batch_id, (*batch.runs, *new))  # first: recovery undoes half a run
        record_runs(store, plans, batch_id, at, environ, policy)
        return extend_batch(store, batch, new)
