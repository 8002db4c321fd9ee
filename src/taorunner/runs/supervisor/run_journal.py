"""Journal: the state of each run of a batch, and the only writer of it.

Writes records and events to disk in the order of the runner's decisions, then passes the events to the sinks.
RunMonitor decides on alarms and NaN stops.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from taorunner.backends.masking import Masking
from taorunner.errors import RunStateError
from taorunner.events import Event, Notice, now
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.state.flushing import Flusher
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.alarms import RunMonitor
from taorunner.runs.supervisor.sinks import EventSinks
from taorunner.values.value import names_of, replace


class Journal:
    """``records`` and ``plans`` by run id, as they are on disk; ``maskings`` of runs that were started."""

    def __init__(self, store: RunStore, monitor: RunMonitor, sinks: EventSinks) -> None:
        self._store, self._monitor, self._sinks = store, monitor, sinks
        self.records: dict[str, RunRecord] = {}
        self.plans: dict[str, RunPlan] = {}
        self.maskings: dict[str, Masking] = {}
        self._flusher = Flusher()

    def open(self, run_id: str, batch_id: str) -> bool:
        """Loads a run of the batch. False, and the run is skipped, if it is missing, damaged or of another batch."""
        try:
            record, plan = self._store.load(run_id), self._store.load_plan(run_id)
        except (RunStateError, OSError, ValueError, KeyError, TypeError) as error:
            sys.stderr.write(f"{run_id} is skipped: {error}\n")  # the supervisor's log
            return False
        if record.batch != batch_id:
            sys.stderr.write(f"{run_id} is skipped: it belongs to batch {record.batch}\n")
            return False
        self.records[run_id], self.plans[run_id] = record, plan
        return True

    def known(self, run_id: str) -> tuple[RunRecord, RunPlan]:
        return self.records[run_id], self.plans[run_id]

    def save(self, record: RunRecord) -> None:
        """A final record is on disk on return, others soon after; see ``wait_for_disk``."""
        self.records[record.id] = record
        self._store.save(record)
        if not record.state.is_final:
            paths = self._store.paths(record.id)
            self._flusher.begin(record.id, (paths.record, paths.directory))

    def flush_output(self, run_id: str) -> None:
        """Begins to flush what the run printed and reported. Returns at once."""
        paths = self._store.paths(run_id)
        written = (paths.console, paths.events, paths.history)
        self._flusher.begin(run_id, (path for path in written if path.exists()))

    def wait_for_disk(self, run_id: str) -> None:
        """Blocks until all that was saved or flushed of the run is on disk. Thread-safe. Raises OSError."""
        self._flusher.wait(run_id)

    def save_plan(self, run_id: str, plan: RunPlan) -> None:
        self.plans[run_id] = plan
        self._store.save_plan(run_id, plan)

    def emit(self, run_id: str, events: Sequence[Event]) -> None:
        """Appends the events of one run in one write, and passes them to the sinks. Secrets in them are masked."""
        if not events:
            return
        masking = self.maskings.get(run_id)
        if masking is not None and masking.has_secrets:
            events = [_masked(event, masking) for event in events]
        self._store.append_events(run_id, events)
        self._sinks.write(run_id, events)
        to_stop = self._monitor.saw(self.records[run_id], events)
        if to_stop is not None:
            self.save(to_stop)

    def masked(self, run_id: str, text: str) -> str:
        """``text`` without the secrets of the run."""
        masking = self.maskings.get(run_id)
        return text if masking is None else masking.masked_text(text)

    def emit_each(self, events: Sequence[Event]) -> None:
        """Emits events of different runs."""
        for event in events:
            self.emit(event.run, [event])

    def notice(self, run_id: str, code: str, text: str, *, level: str = "warning") -> None:
        self.emit(run_id, [Notice(run=run_id, at=now(), level=level, code=code, text=text)])


def _masked(event: Event, masking: Masking) -> Event:
    """What programs report may name a secret: their messages, names of metrics, paths."""
    texts = {name: getattr(event, name) for name in names_of(event) if name != "run"}
    changed = {
        name: masked
        for name, text in texts.items()
        if type(text) is str and (masked := masking.masked_text(text)) != text
    }
    return replace(event, **changed) if changed else event
