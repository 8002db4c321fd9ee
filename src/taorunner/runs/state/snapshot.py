"""RunSnapshot: the current state of a run, computed from its events. All views use it, so they agree.

Events may be repeated, late, out of order or missing (a truncated record, a status file read after the console, a clock
set back). The fold never raises and the position never moves backwards. Reads no files and no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from taorunner import events as ev
from taorunner.events import Event, ImagePulling, Notice, RunState
from taorunner.runs.state.lookup.short_ids import LENGTH
from taorunner.runs.state.metric_names import Best, BestOverEpochs, Judged, is_lower_better
from taorunner.values.value import MutableValue, Value, field, replace

EPOCHS_MEASURED = STEPS_MEASURED = 5
"""The number of completed epochs averaged for the ETA; it includes validations that run every few epochs."""
NOTICES_KEPT = 50


class Timing(Value):
    """What the ETA is computed from. ``epoch_durations_s`` are the last few completed epochs, oldest first.

    ``epoch_began_at`` is the start of the current epoch: the end of the previous one, or its first event.
    ``first_step`` and ``last_step`` are (step, time) within it. ``claimed_eta_s`` is the ETA reported by TAO.
    """

    epoch_durations_s: tuple[float, ...] = ()
    epoch_began_at: datetime | None = None
    first_step: tuple[int, datetime] | None = None
    last_step: tuple[int, datetime] | None = None
    claimed_eta_s: float | None = None
    claimed_at: datetime | None = None

    @property
    def epoch_s(self) -> float | None:
        """The measured mean duration of an epoch."""
        times = self.epoch_durations_s
        return sum(times) / len(times) if times else None

    @property
    def step_s(self) -> float | None:
        """The measured mean duration of a step of this epoch."""
        if self.first_step is None or self.last_step is None:
            return None
        steps = self.last_step[0] - self.first_step[0]
        seconds = (self.last_step[1] - self.first_step[1]).total_seconds()
        return seconds / steps if steps > 0 and seconds > 0 else None

    def steady_step_s(self, steps: int) -> float | None:
        """``step_s``, once enough of an epoch's ``steps`` are measured: the first ones are slow."""
        seen = self.last_step[0] - self.first_step[0] if self.first_step and self.last_step else 0
        return self.step_s if seen >= min(STEPS_MEASURED, steps // 2) else None


class RunSnapshot(MutableValue):
    """A run at one moment. ``epoch`` is 1-based, the last one if ``epoch_completed``. ``metrics``: newest values,
    ``best`` the best finite ones, ``judged`` their meaning; ``measured_by``: ``runs.state.host_figures``. ``pull`` is
    set during an image pull, ``waiting`` only in WAITING. ``requeued_at``: when the engine put it back into its queue;
    ``requeues`` counts the starts after that. Immutable: ``Fold.snapshot`` returns a copy.
    """

    id: str
    project: str = ""
    experiment: str = ""
    action: str = ""
    backend: str = ""
    state: RunState = RunState.QUEUED
    waiting: str | None = None
    reason: str | None = None
    hint: str | None = None
    exit_code: int | None = None
    image: str | None = None
    image_digest: str | None = None
    gpus: tuple[str, ...] = ()
    handle: str = ""
    where: str | None = None
    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    epoch_completed: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, Best] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)
    measured_by: str | None = None
    checkpoints: int = 0
    last_checkpoint: str | None = None
    notices: tuple[Notice, ...] = ()
    queued_at: datetime | None = None
    started_at: datetime | None = None
    requeued_at: datetime | None = None
    requeues: int = 0
    finished_at: datetime | None = None
    last_event_at: datetime | None = None
    pull: ImagePulling | None = None
    timing: Timing = field(default_factory=Timing)

    @property
    def epochs_done(self) -> int:
        if self.epoch is None:
            return 0
        return self.epoch if self.epoch_completed else self.epoch - 1

    def elapsed_s(self, now: datetime) -> float | None:
        """Seconds since the process started, until its end if it has one. None before it started."""
        if self.started_at is None:
            return None
        return _seconds(self.started_at, self.finished_at or now)

    def waited_s(self, now: datetime) -> float | None:
        """Seconds from being queued to being started (or to ``now``, or to an end without a start).

        For a run that waits again: seconds since the engine requeued it.
        """
        if self.requeued_at is not None:
            return _seconds(self.requeued_at, self.finished_at or now)
        if self.queued_at is None:
            return None
        return _seconds(self.queued_at, self.started_at or self.finished_at or now)

    def fraction(self, now: datetime) -> float | None:
        """The completed fraction, 0..1; None if unknown. Between steps it is interpolated by time."""
        if self.state is RunState.SUCCEEDED:
            return 1.0
        if self.epoch is None or not self.epochs:
            return None
        done = float(self.epochs_done)
        done += self._fraction_of_epoch(now)
        return min(1.0, max(0.0, done / self.epochs))

    def eta_s(self, now: datetime) -> float | None:
        """Seconds until the last epoch is complete: from measured epochs, else steps, else TAO's estimate.

        None for a run that is not running or has no measurements yet.
        """
        if self.state is not RunState.RUNNING:
            return None
        if self.epoch is not None and self.epochs:
            if self.epochs_done >= self.epochs:
                return 0.0
            left = self.epochs - self.epochs_done
            epoch_s = self.timing.epoch_s
            if epoch_s is not None:
                spent = _seconds(self.timing.epoch_began_at, now) if self.timing.epoch_began_at else 0.0
                return (left - 1) * epoch_s + max(0.0, epoch_s - spent)
            step_s = self.timing.steady_step_s(self.steps) if self.steps else None
            if step_s is not None and self.steps and self.timing.last_step is not None:
                step, at = self.timing.last_step
                in_epoch = max(0.0, (self.steps - step) * step_s - _seconds(at, now))
                return (left - 1) * self.steps * step_s + in_epoch
        if self.timing.claimed_eta_s is not None and self.timing.claimed_at is not None:
            return max(0.0, self.timing.claimed_eta_s - _seconds(self.timing.claimed_at, now))
        return None

    def to_json(
        self, directory: Path, now: datetime | None = None, short_id: str | None = None
    ) -> dict[str, object]:
        """The stable shape of ``ps``, ``runs list`` and ``runs show``: strict JSON.

        Not-a-number and infinite metrics are the strings ``nan``, ``inf`` and ``-inf``, as in events.jsonl: a
        diverged loss stays visible. ``best`` maps a name to ``{"value", "epoch"}``. ``now`` is for ``eta_s``.
        ``short_id`` is by default the last six characters of the id, which are almost always unique.
        """
        eta_s = self.eta_s(_aware(now or ev.now()))
        return {
            "id": self.id,
            "short_id": short_id or self.id[-LENGTH:],
            "project": self.project,
            "experiment": self.experiment,
            "action": self.action,
            "backend": self.backend,
            "state": self.state.value,
            "waiting": self.waiting,
            "reason": self.reason,
            "exit_code": self.exit_code,
            "image": self.image,
            "image_digest": self.image_digest,
            "gpus": list(self.gpus),
            "epoch": self.epoch,
            "epochs": self.epochs,
            "eta_s": round(eta_s, 1) if eta_s is not None else None,
            "metrics": {name: _strict(value) for name, value in self.metrics.items()},
            "best": {name: {"value": b.value, "epoch": b.epoch} for name, b in self.best.items()},
            "measured_by": self.measured_by,
            "queued_at": _iso(self.queued_at),
            "started_at": _iso(self.started_at),
            "finished_at": _iso(self.finished_at),
            "directory": str(directory),
        }

    def _fraction_of_epoch(self, now: datetime) -> float:
        if self.step is not None and self.steps and not self.epoch_completed:
            return min(1.0, self.step / self.steps)
        epoch_s = self.timing.epoch_s
        if not epoch_s or self.timing.epoch_began_at is None or self.state is not RunState.RUNNING:
            return 0.0
        return min(0.95, _seconds(self.timing.epoch_began_at, now) / epoch_s)


class Fold:
    """Applies the events of one run one by one; events of other runs are ignored.

    An empty ``run`` is set by the first event. Applying is cheap; ``snapshot`` makes the copy. ``current`` has state
    and position without a copy, and no metrics.
    """

    def __init__(self, run: str = "") -> None:
        self.current = RunSnapshot(id=run)
        self._metrics: dict[str, float] = {}
        self._metric_epochs: dict[str, int] = {}
        self._best: dict[str, Best] = {}
        self._best_epochs: dict[str, BestOverEpochs] = {}
        self.judged: dict[str, Judged] = {}
        self._is_lower_better: dict[str, bool | None] = {}
        self._checkpoints: set[str] = set()
        self._epoch_begins: dict[int, datetime] = {}
        self._epoch_ends: dict[int, datetime] = {}

    @property
    def snapshot(self) -> RunSnapshot:
        return replace(
            self.current, metrics=dict(self._metrics), best=dict(self._best), judged=dict(self.judged)
        )

    def apply(self, event: Event) -> None:
        if isinstance(event, ev.LogLine):  # not in events.jsonl: a snapshot from disk must be equal
            return
        s = self.current
        if not s.id:
            s.id = event.run
        elif event.run != s.id:
            return
        at = _aware(event.at)
        s.last_event_at = max(s.last_event_at, at) if s.last_event_at else at
        if isinstance(event, ev.EpochProgress):
            self._progress(event, at)
        elif isinstance(event, ev.MetricReported):
            self._metric(event)
        elif isinstance(event, ev.CheckpointSaved):
            self._checkpoints.add(event.path)
            s.checkpoints, s.last_checkpoint = len(self._checkpoints), event.path
        elif isinstance(event, ev.Notice):
            if event.code == "engine" or all((event.code, event.text) != (n.code, n.text) for n in s.notices):
                s.notices = (*s.notices[-NOTICES_KEPT + 1 :], event)
        elif isinstance(event, ev.ImagePulling):
            if s.state in (RunState.QUEUED, RunState.STARTING) and (not s.pull or _aware(s.pull.at) <= at):
                s.state, s.pull, s.image = RunState.STARTING, event, s.image or event.image
        elif isinstance(event, ev.ImagePulled):
            s.pull, s.image, s.image_digest = None, event.image, event.digest or s.image_digest
            s.state = RunState.STARTING if s.state is RunState.QUEUED else s.state
        elif isinstance(event, ev.RunQueued):
            s.project, s.experiment, s.action, s.backend = (
                event.project, event.experiment, event.action, event.backend
            )  # fmt: skip
            if s.queued_at is not None and at > s.queued_at and not s.state.is_final:
                s.state = RunState.QUEUED  # it waits for its next attempt
                s.waiting = s.requeued_at = None
            s.queued_at = s.queued_at or at
            s.epochs = s.epochs or _count(event.epochs)
        elif isinstance(event, ev.RunWaiting):
            if not s.state.is_final:
                s.requeued_at = at if s.state is RunState.RUNNING else s.requeued_at
                s.state, s.waiting, s.pull = RunState.WAITING, event.reason, None
        elif isinstance(event, ev.RunStarted):
            self._started(event, at)
        elif isinstance(event, ev.RunFinished):
            self._finished(event, at)

    def _started(self, event: ev.RunStarted, at: datetime) -> None:
        s = self.current
        if s.requeued_at is not None or (s.started_at is not None and event.handle != s.handle):
            self._start_from_zero()
        s.started_at = s.started_at or at
        s.handle, s.gpus, s.where = event.handle, tuple(event.gpus), event.where
        s.pull = s.waiting = None
        s.image, s.image_digest = event.image or s.image, event.image_digest or s.image_digest
        if not s.state.is_final:
            s.state = RunState.RUNNING

    def _start_from_zero(self) -> None:
        """The position of a new attempt, or of a run that its engine starts again."""
        s = self.current
        s.requeues += s.requeued_at is not None
        s.epoch = s.step = s.steps = s.requeued_at = None
        s.epoch_completed, s.timing = False, Timing()
        self._metric_epochs.clear()
        for best in self._best_epochs.values():
            best.begin_again()
        self._epoch_begins.clear()
        self._epoch_ends.clear()

    def _finished(self, event: ev.RunFinished, at: datetime) -> None:
        s = self.current
        if not event.state.is_final or (s.state.is_final and s.state is not RunState.LOST):
            return  # the first end counts; only a LOST run may be found again
        s.state, s.reason, s.hint, s.exit_code = event.state, event.reason, event.hint, event.exit_code
        s.finished_at, s.pull, s.waiting, s.requeued_at = at, None, None, None

    def _progress(self, event: ev.EpochProgress, at: datetime) -> None:
        s = self.current
        epoch = _count(event.epoch)
        if epoch is None:
            return
        if not s.state.is_final:
            if s.requeued_at is not None:  # status.json is read before the engine reports the start
                self._start_from_zero()
            s.state, s.waiting = RunState.RUNNING, None
        s.epochs = _count(event.epochs) or s.epochs
        claimed_s = _time(event.eta_s)
        if claimed_s is not None:
            s.timing = replace(s.timing, claimed_eta_s=claimed_s, claimed_at=at)
        if event.completed:
            self._epoch_done(epoch, event.epoch_s, at)
        if s.epoch is None or epoch > s.epoch:
            s.epoch, s.epoch_completed, s.step = epoch, False, None
            began = self._epoch_ends.get(epoch - 1) or at
            self._epoch_begins[epoch] = began
            s.timing = replace(s.timing, epoch_began_at=began, first_step=None, last_step=None)
        elif epoch < s.epoch:
            return
        s.steps = _count(event.steps) or s.steps
        step = _count(event.step)
        if step is not None and (s.step is None or step > s.step) and not s.epoch_completed:
            s.step = step
            s.timing = replace(s.timing, first_step=s.timing.first_step or (step, at), last_step=(step, at))
        if event.completed:
            s.epoch_completed = True
            s.step = s.steps or s.step
            s.timing = replace(s.timing, epoch_began_at=self._epoch_ends[epoch])

    def _epoch_done(self, epoch: int, reported_s: float | None, at: datetime) -> None:
        if epoch in self._epoch_ends:
            return
        s = self.current
        began = self._epoch_ends.get(epoch - 1) or self._epoch_begins.get(epoch)
        self._epoch_ends[epoch] = at
        # Not shorter than TAO's value: a replayed record has many epochs in one second.
        measured_s = (at - began).total_seconds() if began else 0.0
        seconds = max(measured_s, _time(reported_s) or 0.0)
        if seconds > 0:
            durations = (*s.timing.epoch_durations_s, seconds)[-EPOCHS_MEASURED:]
            s.timing = replace(s.timing, epoch_durations_s=durations)

    def _metric(self, event: ev.MetricReported) -> None:
        epoch = _count(event.epoch)
        if epoch is None or epoch >= self._metric_epochs.get(event.name, 0):
            self._metrics[event.name] = event.value
        if epoch is not None:
            self._metric_epochs[event.name] = max(epoch, self._metric_epochs.get(event.name, 0))
        if event.direction is not None or event.name not in self.judged:
            self.judged[event.name] = Judged(event.direction, event.rank)
            self._is_lower_better[event.name] = is_lower_better(event.name, self.judged)
        lower = self._is_lower_better[event.name]
        if lower is None:
            return
        known = self._best_epochs.setdefault(event.name, BestOverEpochs())
        best = known.after(event.value, epoch, lower)
        if best is not None:
            self._best[event.name] = best
        else:
            self._best.pop(event.name, None)


def fold(events: Iterable[Event], run: str = "") -> RunSnapshot:
    """The snapshot after all of ``events``."""
    folding = Fold(run)
    for event in events:
        folding.apply(event)
    return folding.snapshot


def _count(value: object) -> int | None:
    """A 1-based number; None for an invalid value."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) and value >= 0 else None


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)


def _seconds(start: datetime, end: datetime) -> float:
    """The duration in seconds; zero if the clock was set back."""
    return max(0.0, (_aware(end) - start).total_seconds())


def _strict(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
