"""Repairs the on-disk state after a crash: finished runs, and runs whose recording was interrupted."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress

from taorunner.backends.secrets import remove_secrets
from taorunner.disk_room import release
from taorunner.errors import RunStateError, TaorunnerError
from taorunner.events import Event, RunFinished, RunState, now
from taorunner.runs.state.batch_lock import is_supervised, owning
from taorunner.runs.state.folders import remove_folder
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

NEVER_STARTED = "taorunner was ended while it recorded this run; it was never started"
"""Why a run ended that no batch has."""


def complete_run(store: RunStore, record: RunRecord) -> list[Event]:
    """Completes the on-disk state of a finished run after a crash. Idempotent. Returns the events that it added."""
    directory = store.paths(record.id).directory
    remove_secrets(directory)
    release(directory)
    store.paths(record.id).position.unlink(missing_ok=True)
    store.repair_events(record.id)
    if any(isinstance(event, RunFinished) for event in store.read_events(record.id)[0]):
        return []
    at = record.finished_at or now()
    event = RunFinished(
        run=record.id, at=at, state=record.state, reason=record.reason or "", exit_code=record.exit_code,
        hint=record.hint,
    )  # fmt: skip
    store.append_events(record.id, [event])
    return [event]


def complete_end(store: RunStore, record: RunRecord) -> bool | None:
    """As ``complete_run``, where no supervisor does it: under the lock of its batch. Idempotent.

    None while a supervisor owns the batch. False when it cannot be done: the run is another user's, the disk is full.
    """
    try:
        paths = store.batch_paths(record.batch)
        if is_supervised(paths):  # ``owning`` would try again for a while
            return None
        with owning(paths) if paths.directory.is_dir() else nullcontext(True) as is_owner:
            if not is_owner:
                return None
            complete_run(store, store.load(record.id))
            return True
    except (OSError, TaorunnerError):
        return False


def end_if_over(store: RunStore, batch_id: str) -> None:
    """Takes a batch whose own file is damaged out of the index of open ones when all of its runs have ended."""
    try:
        records = [store.load(run_id) for run_id in store.open_batches.runs(batch_id)]
    except RunStateError:
        return
    if records and all(record.state.is_final for record in records):
        store.open_batches.end(batch_id)


def undo_batch(store: RunStore, batch_id: str) -> None:
    """Ends a batch whose recording was interrupted: none of its runs was started."""
    for run_id in store.open_batches.runs(batch_id):
        _undo_run(store, run_id, batch_id)
    store.open_batches.end(batch_id)


def undo_half_joined(store: RunStore, batch_id: str) -> None:
    """Ends runs whose adding to the batch was interrupted. Call it while none can be added."""
    known = set(store.load_batch(batch_id).runs)
    for run_id in store.open_batches.runs(batch_id):
        if run_id not in known:
            _undo_run(store, run_id, batch_id)


def _undo_run(store: RunStore, run_id: str, batch_id: str) -> None:
    """Ends a recorded run that never started, or removes its incomplete folder.

    A damaged run, and a run of another batch, is not changed.
    """
    if not os.path.lexists(store.paths(run_id).record):
        with suppress(TaorunnerError):
            remove_folder(store.runs_dir, run_id)
        return
    try:
        record = store.load(run_id)
    except RunStateError:
        return
    if record.batch == batch_id and not record.state.is_final:
        finish_run(store, record, RunState.STOPPED, NEVER_STARTED)


def finish_run(store: RunStore, record: RunRecord, state: RunState, reason: str) -> None:
    """Records the end of a run that has no supervisor."""
    event = RunFinished(run=record.id, at=now(), state=state, reason=reason)
    store.save(record.finished(event))
    complete_run(store, store.load(record.id))
