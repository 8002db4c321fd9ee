"""Stops runs through their supervisor, and starts a supervisor if there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from taorunner.errors import MachineError
from taorunner.events import STOP_WAITS, UNDECIDED, Notice, RunState, now
from taorunner.runs.control.recovery import refuse_without_room, start_missing_supervisors
from taorunner.runs.state.batch_lock import is_supervised, owning
from taorunner.runs.state.lookup.unusable import fault_of, refusal_of
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.run_repair import end_if_over, finish_run
from taorunner.runs.state.store import DamagedRun, RunStore
from taorunner.text import amount

_POLL_S, _LOOK_EVERY_S = 0.1, 0.5
_ATTEMPTS = 3
ANSWERS_WITHIN_S = 10.0
"""How long a stop waits for an engine that does not answer."""


class NotStoppedError(MachineError):
    """The engine of some runs does not answer. Their stop is on record; ``records`` are all runs, as they are now."""

    def __init__(self, store: RunStore, pending: Mapping[str, str], records: Sequence[RunRecord]) -> None:
        (run_id, why), *others = pending.items()
        run = store.short_id(run_id)
        more = f"; {amount(len(others), 'more run')}, too" if others else ""
        hint = f"the stop is on record, also after a restart; taorunner attach {run} waits for its end"
        super().__init__(f'run "{run}" {why}{more}', hint=hint)
        self.records = records


def stop_runs(
    store: RunStore,
    run_ids: Sequence[str],
    *,
    only_queued: bool = False,
    answers_within_s: float = ANSWERS_WITHIN_S,
) -> list[RunRecord]:
    """Requests the stop of all runs, then waits until each is over. Idempotent.

    ``only_queued``: a run that starts before the request is handled continues; its current record is returned.
    ``answers_within_s``: how long an engine that does not answer is waited for.

    Raises:
        NotStoppedError: the engine of a run does not answer. The stop is carried out when it does.
        MachineError: no supervisor stays alive to do it.
        RunStateError: a started run cannot be continued, because a file is damaged.
    """
    engines = {run_id: _EngineWords(store, run_id, answers_within_s) for run_id in run_ids}
    for run_id in run_ids:
        store.request_stop(run_id, now(), only_queued=only_queued)
    records = [_wait(store, run_id, engines[run_id], only_queued) for run_id in run_ids]
    pending = {run_id: engine.why for run_id, engine in engines.items() if engine.has_given_up}
    if pending:
        raise NotStoppedError(store, pending, records)
    return records


class _EngineWords:
    """What the supervisor says of the engine of a run since the stop was requested."""

    def __init__(self, store: RunStore, run_id: str, answers_within_s: float) -> None:
        self._store, self._run_id = store, run_id
        self._offset, self._since = _events_size(store, run_id), now()
        self._give_up_s = time.monotonic() + answers_within_s
        self._next_look_s = 0.0
        self.why = ""
        self.has_given_up = False

    def gives_up(self, *, is_supervised: bool) -> bool:
        """Whether the engine has not answered for too long, or its supervisor has given up on it."""
        if time.monotonic() < self._next_look_s:
            return False
        self._next_look_s = time.monotonic() + _LOOK_EVERY_S
        events, self._offset = self._store.read_events(self._run_id, self._offset)
        is_left = False
        for event in events:
            if isinstance(event, Notice) and event.code == STOP_WAITS:
                self.why = event.text
            elif isinstance(event, Notice) and event.code == UNDECIDED and event.at >= self._since:
                self.why, is_left = f"is not stopped yet: {event.text}", not is_supervised
        is_over = is_left or time.monotonic() > self._give_up_s
        self.has_given_up = bool(self.why) and is_over
        return self.has_given_up


def _events_size(store: RunStore, run_id: str) -> int:
    """From where to read events: of a stop that is on record already the whole file, as its notice comes once."""
    paths = store.paths(run_id)
    with suppress(OSError):
        return 0 if paths.stop_request.exists() else paths.events.stat().st_size
    return 0


def _wait(store: RunStore, run_id: str, engine: _EngineWords, only_queued: bool) -> RunRecord:
    attempts = 0
    while True:
        record = store.load(run_id)
        if record.state.is_final or (only_queued and record.state is not RunState.QUEUED):
            return record
        is_owned = is_supervised(store.batch_paths(record.batch))
        if engine.gives_up(is_supervised=is_owned):
            return record
        if not is_owned:
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
