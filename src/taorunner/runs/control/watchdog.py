"""Restarts a supervisor that died while a viewer is attached, and completes the events of a run that has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from taorunner.errors import MachineError
from taorunner.runs.control.recovery import adopt, batches_of, refuse_without_room
from taorunner.runs.state.batch_lock import is_orphan, is_supervised
from taorunner.runs.state.lookup.unusable import fault_of, refusal_of
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.run_repair import complete_end
from taorunner.runs.state.store import RunStore

_LOOK_EVERY_S = 1.0
_START_WITHIN_S = 5.0
_ATTEMPTS = 5


class Watchdog:
    """``is_owned`` reports whether the supervisor that the caller started is alive.

    Times are parameters, in seconds of a monotonic clock.
    """

    def __init__(
        self, store: RunStore, run_ids: Sequence[str], is_owned: Callable[[], bool] = lambda: False
    ) -> None:
        self._store = store
        self._run_ids = run_ids
        self._is_owned = is_owned
        self._next_look_s = 0.0
        self._starting_until_s = 0.0
        self._attempts = 0
        self._completed: dict[str, RunRecord] = {}
        self._batches: tuple[str, ...] = ()
        self.without_end: list[RunRecord] = []
        """Ended runs whose last event is missing and cannot be added here, or was added and cannot be read."""

    def keep(self, at_s: float) -> None:
        """Checks at most once a second, so it can be called often.

        Raises:
            MachineError: restarted supervisors exited again, or the disk is full.
            RunStateError: no run that has not ended can be continued, because a file is damaged.
        """
        if at_s < self._next_look_s:
            return
        self._next_look_s = at_s + _LOOK_EVERY_S
        if self._is_owned() or at_s < self._starting_until_s:
            return
        if self._batches and all(
            is_supervised(self._store.batch_paths(batch)) for batch in self._batches
        ):  # who owns them completes what has ended
            self._attempts = 0
            return
        records = [self._store.load(run_id) for run_id in self._run_ids]
        self._batches = tuple(dict.fromkeys(record.batch for record in records))
        self._complete(records)
        batches = batches_of(records)
        orphans = [batch for batch in batches if is_orphan(self._store, batch)]
        if not orphans:
            self._attempts = 0
            return
        self._refuse_unusable(records)
        refuse_without_room(self._store)
        if self._attempts == _ATTEMPTS:
            raise MachineError(
                "the supervisor process exits at start; the runs themselves may still be running",
                hint=f"see {self._store.batch_paths(orphans[0]).supervisor_log}",
            )
        self._attempts += 1
        self._starting_until_s = at_s + _START_WITHIN_S
        for batch in orphans:
            adopt(self._store, batch)

    def _refuse_unusable(self, records: Iterable[RunRecord]) -> None:
        left = [record for record in records if not record.state.is_final]
        faults = [fault_of(self._store, record, is_thorough=True) for record in left]
        if faults and faults[0] is not None and all(faults):
            raise refusal_of(self._store, left[0], faults[0])

    def _complete(self, records: Iterable[RunRecord]) -> None:
        """A supervisor that was killed after it wrote a record did not write the last event."""
        self.without_end = list(
            self._completed.values()
        )  # of earlier looks: who can read the event has done so
        for record in records:
            if record.state.is_final and record.id not in self._completed:
                is_complete = complete_end(self._store, record)
                if is_complete is not None:
                    self._completed[record.id] = record
                if is_complete is False:
                    self.without_end.append(record)
