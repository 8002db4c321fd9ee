"""RunView: everything that the lines of one run are made of. Plain values, so that a view can be drawn in a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from taorunner.console.base.theme import Symbols
from taorunner.events import STOP_WAITS, Notice, RunState
from taorunner.runs.state.lookup.short_ids import LENGTH
from taorunner.runs.state.metric_names import kpi_name, loss_name
from taorunner.runs.state.snapshot import RunSnapshot

TRAININGS = ("train", "distill")
_OF_THE_RUNNING = frozenset({
    "engine", "undecided", "silent", "retry", "resuming", "gpu-wait", "gpu-shared", "set-aside", "put-back",
    "long-wait", STOP_WAITS,
})  # fmt: skip
"""Notices about how a run is operated, which say nothing about its result."""


@dataclass(frozen=True, slots=True)
class GpuReading:
    """The state of one GPU; None where the driver reports no value. ``load_percent`` is 0..100.

    ``processes`` are the pids of what computes on it.
    """

    index: str
    name: str = ""
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    load_percent: int | None = None
    processes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RunNotes:
    """What a viewer knows of a run beside its snapshot.

    ``queue`` is why it is queued, ``stall`` the alarm of a run without progress since ``moved_at``. ``curves`` are the
    values of each metric by epoch, the oldest first. ``gpu_count`` is that of one node.
    """

    queue: str = ""
    stall: Notice | None = None
    moved_at: datetime | None = None
    attempt: int = 1
    nodes: int = 1
    gpu_count: int | None = None
    cluster: str | None = None
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunView:
    """The input of the lines of one run. ``tail`` are its last log lines, ``gpus`` readings by host id.

    ``has_all_metrics``: all metrics are shown, with their names in full.
    """

    run: RunSnapshot
    label: str
    tail: Sequence[str]
    gpus: Mapping[str, GpuReading]
    now: datetime
    symbols: Symbols
    notes: RunNotes = RunNotes()
    is_selected: bool = False
    has_all_metrics: bool = False

    @property
    def engine(self) -> str:
        """The cluster of the run, else its backend."""
        return self.notes.cluster or self.run.backend

    @cached_property
    def shown_metrics(self) -> Sequence[str]:
        """The names of the metrics that a panel has room for, the main one first."""
        return shown_metrics(self.run)

    @property
    def short_id(self) -> str:
        """The end of the run's id, as tables show it."""
        return short_id(self.run.id)

    @property
    def trains(self) -> bool:
        """Whether this action has epochs."""
        return self.run.action in TRAININGS

    @property
    def stalled_s(self) -> float | None:
        """Seconds without progress of a run whose alarm was raised; None while it goes on."""
        stall, run = self.notes.stall, self.run
        if stall is None or run.state is not RunState.RUNNING:
            return None
        return max(0.0, (self.now - (self.notes.moved_at or stall.at)).total_seconds())

    @property
    def caution(self) -> Notice | None:
        """What casts doubt on a success."""
        return caution_of(self.run)


def caution_of(run: RunSnapshot) -> Notice | None:
    """What casts doubt on a success: the newest warning about the result."""
    if run.state is not RunState.SUCCEEDED:
        return None
    doubts = [n for n in run.notices if n.level == "warning" and n.code not in _OF_THE_RUNNING]
    return doubts[-1] if doubts else None


def short_id(run_id: str) -> str:
    """``a57ce4`` of ``20261128-222200-rtdetr_01-train-a57ce4``."""
    return run_id.rpartition("-")[2][-LENGTH:]


def shown_metrics(run: RunSnapshot) -> list[str]:
    """The KPI and the loss, or the first metric if there is neither."""
    shown = [name for name in (kpi_name(run.metrics, run.judged), loss_name(run.metrics)) if name is not None]
    return list(dict.fromkeys(shown)) or list(run.metrics)[:1]
