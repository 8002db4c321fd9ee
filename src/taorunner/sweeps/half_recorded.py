"""Undoes what a loop left that was killed while it recorded a run: such a run is in no batch, and nobody starts it."""

from __future__ import annotations

from contextlib import suppress

from taorunner.errors import TaorunnerError
from taorunner.events import RunState
from taorunner.runs.control.join_batch import alone
from taorunner.runs.state.folders import remove_folder
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore


def remove_unrecorded(store: RunStore, run_id: str) -> None:
    """Removes the folder of a run without a record, as far as it can be removed. Idempotent."""
    with suppress(TaorunnerError):
        if not store.paths(run_id).record.exists():
            remove_folder(store.runs_dir, run_id)


def remove_unlisted(store: RunStore, record: RunRecord) -> bool:
    """Removes a queued run that its batch does not list. False for any other, which is not changed.

    A batch without ``batch.json`` was never complete: its recovery ends its runs (``NEVER_STARTED``).
    """
    if record.state is not RunState.QUEUED:
        return False
    try:
        with alone(store, record.batch):  # its supervisor may be ending the run
            is_queued = store.load(record.id).state is RunState.QUEUED
            if not is_queued or record.id in store.load_batch(record.batch).runs:
                return False
            remove_folder(store.runs_dir, record.id)
    except (TaorunnerError, OSError, ValueError):  # a damaged record or batch is its recovery's to end
        return False
    return True
