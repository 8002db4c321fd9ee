"""Stopping runs from outside: ask the supervisor, or do its work where there is none any more."""

from __future__ import annotations

import time
from collections.abc import Sequence

from taorunner.backends.base import EngineState, Handle
from taorunner.backends.registry import load_backend
from taorunner.backends.secrets import remove_secrets
from taorunner.events import RunFinished, RunState, now
from taorunner.runs.record import RunRecord
from taorunner.runs.store import RunStore
from taorunner.runs.supervise import is_supervised

_POLL_S = 0.1


def stop_runs(store: RunStore, run_ids: Sequence[str]) -> list[RunRecord]:
    """Asks all of them, then waits until each is over. Idempotent."""
    for run_id in run_ids:
        store.request_stop(run_id, now())
    return [_wait(store, run_id) for run_id in run_ids]


def _wait(store: RunStore, run_id: str) -> RunRecord:
    while True:
        record = store.load(run_id)
        if record.state.is_final:
            return record
        if not is_supervised(store.batch_paths(record.batch)):
            record = store.load(run_id)  # it may have ended with its last act
            return record if record.state.is_final else _stop_orphan(store, record)
        time.sleep(_POLL_S)


def _stop_orphan(store: RunStore, record: RunRecord) -> RunRecord:
    """The supervisor is gone: whatever the engine still has of this run is stopped and removed."""
    directory = store.paths(record.id).directory
    backend = load_backend(record.backend)
    handle = (
        Handle(record.backend, record.id, record.handle, directory)
        if record.handle is not None
        else backend.find(record.id, directory)
    )
    exit_code = None
    if handle is not None:
        backend.stop(handle, store.load_batch(record.batch).grace_s)
        status = backend.inspect([handle])[record.id]
        exit_code = status.exit_code
        if status.state is not EngineState.MISSING:
            backend.remove(handle)
    remove_secrets(directory)
    event = RunFinished(
        run=record.id, at=now(), state=RunState.STOPPED, reason="stopped; nobody was following it any more",
        exit_code=exit_code,
    )  # fmt: skip
    store.save(record.finished(event))
    store.append_events(record.id, [event])
    return store.load(record.id)
