"""Trails: what a viewer remembers of the events of its runs, beside their snapshots.

Curves of metrics, the time of the last progress, attempts, and since when an engine has not answered. Reads no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from taorunner.events import (
    ANSWERS_AGAIN,
    UNDECIDED,
    CheckpointSaved,
    EpochProgress,
    Event,
    LogLine,
    MetricReported,
    Notice,
    RunFinished,
    RunStarted,
    RunWaiting,
)

SILENT, ENGINE, RETRY = "silent", "engine", "retry"
_SIGNS_OF_ENGINE = (EpochProgress, MetricReported, CheckpointSaved, RunStarted, RunWaiting, RunFinished)


@dataclass(slots=True)
class _Trail:
    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    sorted_curves: dict[str, list[float]] = field(default_factory=dict)
    moved_at: datetime | None = None
    stall: Notice | None = None
    retries: int = 0
    retry: Notice | None = None
    engine_silent_since: datetime | None = None


class Trails:
    """The trails of several runs. ``add`` every event once, in order."""

    def __init__(self) -> None:
        self._trails: dict[str, _Trail] = {}

    def add(self, event: Event) -> None:
        """Takes one event of any run."""
        if isinstance(event, LogLine):
            return
        trail = self._trails.setdefault(event.run, _Trail())
        if isinstance(event, MetricReported):
            if event.epoch is not None:
                trail.curves.setdefault(event.name, {})[event.epoch] = event.value
                trail.sorted_curves.pop(event.name, None)
        elif isinstance(event, Notice):
            self._notice(trail, event)
            return
        if isinstance(event, _SIGNS_OF_ENGINE):
            trail.engine_silent_since = None
        if isinstance(event, (EpochProgress, MetricReported, CheckpointSaved, RunStarted)):
            trail.moved_at, trail.stall = event.at, None
        if isinstance(event, (RunStarted, RunFinished)):
            trail.retry = None

    def curve(self, run_id: str, metric: str) -> list[float]:
        """The values of a metric by epoch, the oldest first; the last value of each epoch."""
        trail = self._trail(run_id)
        values = trail.curves.get(metric)
        if not values:
            return []
        if metric not in trail.sorted_curves:
            trail.sorted_curves[metric] = [values[epoch] for epoch in sorted(values)]
        return trail.sorted_curves[metric]

    def stall(self, run_id: str) -> Notice | None:
        """The alarm of a run that has made no progress since it was raised."""
        return self._trail(run_id).stall

    def moved_at(self, run_id: str) -> datetime | None:
        """The time of the last progress."""
        return self._trail(run_id).moved_at

    def retry(self, run_id: str) -> Notice | None:
        """Why the run waits for its next attempt."""
        return self._trail(run_id).retry

    def retries(self, run_id: str) -> int:
        """How many further attempts these events show."""
        return self._trail(run_id).retries

    def engine_silent_since(self, run_ids: Sequence[str]) -> datetime | None:
        """Since when the engine of any of these runs has not answered; None when all answer."""
        times = [self._trail(run_id).engine_silent_since for run_id in run_ids]
        return min((at for at in times if at is not None), default=None)

    def _trail(self, run_id: str) -> _Trail:
        return self._trails.get(run_id) or _Trail()

    def _notice(self, trail: _Trail, event: Notice) -> None:
        if event.code == SILENT:
            trail.stall = event
        elif event.code == RETRY:
            trail.retry, trail.stall = event, None
            trail.retries += 1
        elif event.code == UNDECIDED:
            trail.engine_silent_since = trail.engine_silent_since or event.at
        elif event.code == ENGINE:
            answers = event.text.endswith(ANSWERS_AGAIN)
            trail.engine_silent_since = None if answers else trail.engine_silent_since or event.at
