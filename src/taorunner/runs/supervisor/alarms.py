"""Alarms: a run without progress, and a disk that will be full before the next checkpoint is written.

One ``Alarms`` belongs to one attempt. Times are parameters, in seconds of a monotonic clock. Each alarm is raised once,
and again only after its cause has ended. ``RunMonitor`` holds the alarms of a batch and implements ``--stop-on-nan``.
It runs in the runner's thread and decides; the runner records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from taorunner.events import CheckpointSaved, EpochProgress, Event, MetricReported, Notice, now
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.far_results import results_of
from taorunner.runs.results import ResultsAccess
from taorunner.runs.state.record import RunRecord
from taorunner.text import duration, size
from taorunner.values.value import replace

SILENT_EPOCHS = 3.0
"""The alarm is raised after this many epoch durations without progress."""
SILENT_AT_LEAST_S = 120.0
"""The minimum, in seconds: a validation, a checkpoint or an export may follow a short epoch."""
SILENT_UNMEASURED_S = 600.0
"""Used before an epoch is measured: frameworks read and cache the dataset without output."""
DISK_CHECKPOINTS = 2.0
DISK_AT_LEAST_BYTES = 1 << 30
DISK_EVERY_S = 30.0
_REARM = 1.2
_EPOCHS_MEASURED = 5
_LOOK_EVERY_S = 1.0


class Alarms:
    """``results`` is by default that of the plan."""

    def __init__(
        self, plan: RunPlan, run_id: str, started_s: float, results: ResultsAccess | None = None
    ) -> None:
        self._results = results or results_of(plan)
        self._plan, self._run = plan, run_id
        self._trains = plan.contract.action in ("train", "distill")
        self._moved_s = started_s
        self._epoch: int | None = None
        self._epoch_ended_s: float | None = None
        self._epoch_times_s: list[float] = []
        self._is_silent = False
        self._is_disk_reported = False
        self._disk_looked_s = started_s - DISK_EVERY_S

    def observe(self, events: Iterable[Event], at_s: float) -> None:
        """Updates the alarms with new events of the run."""
        for event in events:
            if isinstance(event, (EpochProgress, MetricReported, CheckpointSaved)):
                self._moved_s, self._is_silent = at_s, False
            if isinstance(event, EpochProgress) and event.completed:
                self._measure(event, at_s)

    def printed(self, at_s: float) -> None:
        """Counts any output as progress until the first epoch, and for actions without epochs."""
        if not self._trains or self._epoch is None:
            self._moved_s, self._is_silent = at_s, False

    def check(self, at_s: float, at: datetime) -> list[Notice]:
        """The new alarms. Cheap when called often."""
        texts = [("silent", self._silence(at_s)), ("disk-nearly-full", self._disk(at_s))]
        return [
            Notice(run=self._run, at=at, level="warning", code=code, text=text)
            for code, text in texts
            if text
        ]

    @property
    def silent_after_s(self) -> float:
        times = self._epoch_times_s
        if not times:
            return SILENT_UNMEASURED_S
        return max(SILENT_AT_LEAST_S, SILENT_EPOCHS * sum(times) / len(times))

    def _measure(self, event: EpochProgress, at_s: float) -> None:
        if self._epoch is not None and event.epoch <= self._epoch:
            return
        took_s = event.epoch_s or 0.0
        if self._epoch_ended_s is not None:
            took_s = max(took_s, at_s - self._epoch_ended_s)
        self._epoch, self._epoch_ended_s = event.epoch, at_s
        if took_s > 0:
            self._epoch_times_s = [*self._epoch_times_s, took_s][-_EPOCHS_MEASURED:]

    def _silence(self, at_s: float) -> str | None:
        silent_s = at_s - self._moved_s
        if self._is_silent or silent_s < self.silent_after_s:
            return None
        self._is_silent = True
        times = self._epoch_times_s
        usual = f"; an epoch takes {duration(sum(times) / len(times))}" if times else ""
        return f"no progress for {duration(silent_s)}{usual}; taorunner logs shows its last lines"

    def _disk(self, at_s: float) -> str | None:
        if not self._trains or at_s - self._disk_looked_s < DISK_EVERY_S:
            return None
        self._disk_looked_s = at_s
        try:
            largest = max(map(self._results.size, self._results.checkpoints()), default=0)
            free = self._results.free_bytes()
        except OSError:
            return None
        needed = max(DISK_CHECKPOINTS * largest, DISK_AT_LEAST_BYTES)
        if free >= needed * (_REARM if self._is_disk_reported else 1):
            self._is_disk_reported = False
            return None
        if self._is_disk_reported:
            return None
        self._is_disk_reported = True
        grown = f", and a checkpoint takes {size(largest)}" if largest else ""
        return (
            f"only {size(free)} are free in {self._plan.results_dir}{grown}: the next one may fail; make room"
        )


class RunMonitor:
    """``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._alarms: dict[str, Alarms] = {}
        self._looked_s = 0.0

    def begin(self, run_id: str, plan: RunPlan) -> list[Event]:
        """Starts monitoring an attempt, new or continued from an earlier supervisor."""
        self._alarms[run_id] = Alarms(plan, run_id, self._clock())
        if plan.resume is None:
            return []
        text = f"this training {plan.resume.text}"
        return [Notice(run=run_id, at=now(), level="info", code="resuming", text=text)]

    def resume(self, run_id: str, plan: RunPlan) -> None:
        """Monitors a run again that was started after it had waited in its engine (``end``)."""
        if run_id not in self._alarms:
            self._alarms[run_id] = Alarms(plan, run_id, self._clock())

    def printed(self, run_id: str) -> None:
        if run_id in self._alarms:
            self._alarms[run_id].printed(self._clock())

    def saw(self, record: RunRecord, events: Sequence[Event]) -> RunRecord | None:
        """The changed record if these events mean that the run must be stopped, else None."""
        alarms = self._alarms.get(record.id)
        if alarms is not None:
            alarms.observe(events, self._clock())
        if not record.stop_on_nan or record.stop_requested_at is not None or record.state.is_final:
            return None
        for event in events:
            if isinstance(event, Notice) and event.code == "nan-loss":
                return replace(
                    record, stop_requested_at=now(), stop_reason=f"stopped by --stop-on-nan: {event.text}"
                )
        return None

    def look(self) -> list[Event]:
        """The new alarms of all runs. Cheap enough for every iteration of the loop."""
        moment = self._clock()
        events: list[Event] = []
        if moment - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = moment
            for alarms in self._alarms.values():
                events += alarms.check(moment, now())
        return events

    def end(self, run_id: str) -> None:
        """Stops monitoring a run that is over, or waits in its engine or for its next attempt."""
        self._alarms.pop(run_id, None)
