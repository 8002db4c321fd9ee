"""Stops runs through their supervisor, and starts a supervisor if there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence

from taorunner.errors import MachineError
from taorunner.events import RunState, now
from taorunner.runs.control.recovery import refuse_without_room, start_missing_supervisors
from taorunner.runs.state.batch_lock import is_supervised, owning
from taorunner.runs.state.lookup.unusable import fault_of, refusal_of
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.run_repair import end_if_over, finish_run
from taorunner.runs.state.store import DamagedRun, RunStore

_POLL_S = 0.1
_ATTEMPTS = 3


def stop_runs(store: RunStore, run_ids: Sequence[str], *, only_queued: bool = False) -> list[RunRecord]:
    """Requests the stop of all runs, then waits until each is over. Idempotent.

    ``only_queued``: a run that starts before the request is handled continues; its current record is returned.

    Raises:
        MachineError: no supervisor stays alive to do it.
        RunStateError: a started run cannot be continued, because a file is damaged.
    """
    for run_id in run_ids:
        store.request_stop(run_id, now(), only_queued=only_queued)
    return [_wait(store, run_id, only_queued) for run_id in run_ids]


def _wait(store: RunStore, run_id: str, only_queued: bool) -> RunRecord:
    attempts = 0
    while True:
        record = store.load(run_id)
        if record.state.is_final or (only_queued and record.state is not RunState.QUEUED):
            return record
        if not is_supervised(store.batch_paths(record.batch)):
            record = store.load(run_id)  # the supervisor may have ended the run last
            if record.state.is_final:
                return record
            refuse_without_room(store)
            fault = fault_of(store, record, is_thorough=True)
            if fault is not None:
                return _ended(store, record, fault)
            if attempts == _ATTEMPTS:
                log, run = store.batch_paths(record.batch).supervisor_log, store.short_id(run_id)
                raise MachineError(
                    f'run "{run}" cannot be stopped: its supervisor process exits at start',
                    hint=f"see {log}; taorunner runs mark-lost {run} ends its record",
                )
            attempts += 1
            start_missing_supervisors(store)
        time.sleep(_POLL_S)


def _ended(store: RunStore, record: RunRecord, fault: DamagedRun) -> RunRecord:
    """Ends a queued run that no supervisor can continue, under the lock of its batch: it was never started."""
    if record.state is not RunState.QUEUED:
        raise refusal_of(store, record, fault)
    with owning(store.batch_paths(record.batch)) as is_owner:
        record = store.load(record.id)
        if is_owner and record.state is RunState.QUEUED and record.handle is None:
            finish_run(store, record, RunState.STOPPED, f"stopped while it was queued; {fault.reason}")
            end_if_over(store, record.batch)
    return store.load(record.id)
