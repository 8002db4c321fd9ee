"""Prints events as plain lines, for pipes, log files and CI.

One line per epoch, written when its metrics have arrived, and a line every few seconds during a pull. Lines have no
control characters and are written immediately. Log lines are left to ``taorunner logs``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TextIO

from taorunner import events as ev
from taorunner.console.base.formatting import beside_success, clean, metric_label, number, of, shown_path
from taorunner.console.live.run_view import short_id
from taorunner.events import Event, RunState
from taorunner.progress.causes.cause import LAST_LINES_HINT
from taorunner.runs.state.metric_names import Judged, is_lower_better, kpi_name, loss_name
from taorunner.runs.state.snapshot import Fold, RunSnapshot
from taorunner.text import duration, size

PULL_EVERY_S = 5.0
_COMPANY_S = 1.0
"""How long a complete epoch waits for its metrics, which TAO writes right after, and metrics for further ones."""
_TICK_S = 0.1
"""Waiting lines are looked through at this interval, and not for each of a hundred thousand events."""
_SIGN_OF_LIFE_S = 60.0
"""A longer epoch prints its progress at this interval."""
_METRICS_ON_A_LINE = 8
_EPOCHS_KEPT = 4
"""Number of epochs whose printed metrics are remembered, so that a repeated metric is not printed again."""


class PlainView:
    """Writes events to ``stream``. ``zone`` is the time zone of the prefix, the machine's own by default. Paths below
    ``here`` are relative."""

    def __init__(
        self, stream: TextIO, *, zone: tzinfo | None = None, pull_every_s: float = PULL_EVERY_S,
        here: Path = Path("/"),
    ) -> None:  # fmt: skip
        self._stream, self._here = stream, here
        self._zone = zone
        self._pull_every_s = pull_every_s
        self._runs: dict[str, _Run] = {}
        self._lines: deque[_Line] = deque()
        self._ticked_at: datetime | None = None

    def show(self, event: Event) -> None:
        """Writes the line of ``event``, if it has one, after those that still wait for metrics."""
        if self._ticked_at is None or abs((event.at - self._ticked_at).total_seconds()) >= _TICK_S:
            self.tick(event.at)
        run = self._runs.get(event.run)
        if run is None:
            run = self._runs[event.run] = _Run(event.run)
        run.fold.apply(event)
        if isinstance(event, ev.MetricReported):
            self._metric(run, event)
        elif isinstance(event, ev.EpochProgress):
            self._progress(run, event)
        else:
            if isinstance(event, (ev.RunFinished, ev.RunWaiting)):
                self._close(run)
            if isinstance(event, ev.RunWaiting):
                run.last_epoch = 0  # a run that its engine requeues begins again
                run.epoch_lines.clear()
            text = self._text(run, event)
            if text is not None:
                self._lines.append(_Line(run, event.at, text=text))
        self._write_ready()

    def tick(self, at: datetime) -> None:
        """Writes lines that have waited long enough at the time ``at``. Call it when no event arrives."""
        self._ticked_at = at
        for line in self._lines:
            if line.waits and (at - line.at).total_seconds() > _COMPANY_S:
                line.waits = False
        self._write_ready()

    def flush(self) -> None:
        """Writes all waiting lines, at the end."""
        for run in self._runs.values():
            self._close(run)
        for line in self._lines:
            line.waits = False
        self._write_ready()

    def _progress(self, run: _Run, event: ev.EpochProgress) -> None:
        self._end_epochs_before(run, event.epoch, event.at)
        if event.epoch <= run.last_epoch:
            return
        epoch = run.open.setdefault(event.epoch, _Epoch(event.epoch, event.at))
        if event.completed:
            self._end(run, epoch, event.at)
            return
        if event.step is not None:
            epoch.step = f"step {of(event.step, event.steps)}"
        self._sign_of_life(run, epoch, event.at)

    def _metric(self, run: _Run, event: ev.MetricReported) -> None:
        if event.epoch is None:
            self._loose(run, event)
            return
        self._end_epochs_before(run, event.epoch, event.at)
        line = run.epoch_lines.get(event.epoch)
        if line is not None and line.waits:
            line.metrics[event.name] = event.value
        elif event.epoch > run.last_epoch:
            epoch = run.open.setdefault(event.epoch, _Epoch(event.epoch, event.at))
            epoch.metrics[event.name] = event.value
            self._sign_of_life(run, epoch, event.at)
        elif line is None or event.name not in line.metrics:  # too late for the line of the epoch
            self._loose(run, event)

    def _loose(self, run: _Run, event: ev.MetricReported) -> None:
        """Metrics without an epoch, as of an evaluation: together on one line."""
        line = run.loose
        full = line is not None and (event.epoch != line.epoch or len(line.metrics) >= _METRICS_ON_A_LINE)
        if line is None or full or not line.waits:
            if line is not None:
                line.waits = False
            run.loose = line = _Line(run, event.at, epoch=event.epoch, waits=True)
            self._lines.append(line)
        line.metrics[event.name] = event.value

    def _end_epochs_before(self, run: _Run, number: int, at: datetime) -> None:
        """Progress of a later epoch ends the earlier ones, even if TAO does not report their end."""
        for epoch in sorted(run.open):
            if epoch < number:
                ended = run.open[epoch]
                self._end(run, ended, at)
        for epoch, line in run.epoch_lines.items():
            if epoch < number and line.metrics:
                line.waits = False

    def _end(self, run: _Run, epoch: _Epoch, at: datetime) -> None:
        eta_s = run.fold.current.eta_s(at)
        left = f"{duration(eta_s)} left" if eta_s else ""
        line = _Line(run, at, epoch=epoch.number, metrics=epoch.metrics, waits=True, end=left)
        self._lines.append(line)
        run.epoch_lines[epoch.number] = line
        while len(run.epoch_lines) > _EPOCHS_KEPT:
            del run.epoch_lines[min(run.epoch_lines)]
        run.last_epoch = max(run.last_epoch, epoch.number)
        run.open.pop(epoch.number, None)
        run.spoke_at = at

    def _sign_of_life(self, run: _Run, epoch: _Epoch, at: datetime) -> None:
        since = run.spoke_at or run.fold.current.started_at or epoch.began_at
        if (at - since).total_seconds() >= _SIGN_OF_LIFE_S:
            run.spoke_at = at
            self._lines.append(_Line(run, at, epoch.step, epoch=epoch.number, metrics=dict(epoch.metrics)))

    def _close(self, run: _Run) -> None:
        """When the process has ended, writes epochs that were never completed if they have any metrics."""
        for epoch in list(run.open.values()):
            if epoch.metrics:
                self._lines.append(
                    _Line(run, run.fold.current.last_event_at or epoch.began_at, epoch.step,
                          epoch=epoch.number, metrics=epoch.metrics)
                )  # fmt: skip
        run.open.clear()
        for line in self._lines:
            if line.run is run:
                line.waits = False

    def _text(self, run: _Run, event: Event) -> str | None:
        if isinstance(event, ev.ImagePulling):
            if run.pull_at is not None and 0 <= (event.at - run.pull_at).total_seconds() < self._pull_every_s:
                return None
            run.pull_at = event.at
            return _pull_text(event)
        if isinstance(event, ev.RunQueued):
            return f"queued on {event.backend}"
        if isinstance(event, ev.ImagePulled):
            digest = f" {event.digest}" if event.digest else ""
            return f"image {event.image}{digest} present"
        if isinstance(event, ev.RunWaiting):
            return f"waiting: {event.reason}"
        if isinstance(event, ev.RunStarted):
            return f"started{_gpu_text(event.gpus)}"
        if isinstance(event, ev.CheckpointSaved):
            return f"checkpoint {shown_path(Path(event.path), self._here)}"
        if isinstance(event, ev.Notice):
            return event.text if event.level == "info" else f"{event.level}: {event.text} [{event.code}]"
        if isinstance(event, ev.RunFinished):
            return _end_text(event, run.fold.snapshot)
        return None

    def _write_ready(self) -> None:
        """Writes in order: a waiting line holds back the later ones."""
        while self._lines and not self._lines[0].waits:
            line = self._lines.popleft()
            fold = line.run.fold
            run = fold.current  # a snapshot is a copy of every metric
            name = f"{run.experiment} {run.action} {short_id(run.id)}" if run.experiment else run.id
            text = clean(
                f"{line.at.astimezone(self._zone):%H:%M:%S} {name}: {line.shown(run.epochs, fold.judged)}"
            )
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()


@dataclass(slots=True)
class _Line:
    """A line with its time. ``waits`` until its metrics have arrived."""

    run: _Run
    at: datetime
    text: str = ""
    epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    waits: bool = False
    end: str = ""

    def shown(self, epochs: int | None, judged: Mapping[str, Judged]) -> str:
        where = f"epoch {of(self.epoch, epochs)}" if self.epoch is not None else ""
        return "  ".join(
            part
            for part in (where, self.text, *self.run.metric_texts(self.metrics, judged), self.end)
            if part
        )


@dataclass(slots=True)
class _Epoch:
    """An epoch that is not complete."""

    number: int
    began_at: datetime
    step: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


class _Run:
    def __init__(self, run: str) -> None:
        self.fold = Fold(run)
        self.open: dict[int, _Epoch] = {}
        self.epoch_lines: dict[int, _Line] = {}
        self.last_epoch = 0
        self.loose: _Line | None = None
        self.pull_at: datetime | None = None
        self.spoke_at: datetime | None = None
        self._ordered_for: object = None
        self._ordered: list[str] = []

    def metric_texts(self, metrics: Mapping[str, float], judged: Mapping[str, Judged]) -> Iterable[str]:
        """Names and values. Epochs have the same metrics mostly, whose order is kept: finding it takes longer than all
        else."""
        these = (*metrics, *(judged.get(name) for name in metrics))
        if these != self._ordered_for:
            self._ordered_for, self._ordered = these, _ordered(metrics, judged)
        for name in self._ordered[:_METRICS_ON_A_LINE]:
            yield f"{metric_label(name)} {number(metrics[name])}"
        if len(metrics) > _METRICS_ON_A_LINE:
            yield f"and {len(metrics) - _METRICS_ON_A_LINE} more"


def _ordered(metrics: Mapping[str, float], judged: Mapping[str, Judged]) -> list[str]:
    """The training loss and the KPI first, then losses, validation before training; learning rates and counts last."""
    first = (loss_name(metrics), kpi_name(metrics, judged))

    def rank(name: str) -> tuple[int, bool, bool, bool]:
        lower = name.lower()
        is_loss = "loss" in lower
        return (
            first.index(name) if name in first else len(first),
            is_lower_better(name, judged) is None,
            is_loss,
            is_loss and not lower.startswith(("val", "test")),
        )

    return sorted(metrics, key=rank)


def _pull_text(event: ev.ImagePulling) -> str:
    total = f" of {size(event.bytes_total)}" if event.bytes_total else ""
    left = f", {duration(event.eta_s)} left" if event.eta_s is not None else ""
    layers = of(event.layers_done, event.layers or None)
    return f"pulling {event.image}: {layers} layers, {size(event.bytes_done)}{total}{left}"


def _gpu_text(gpus: tuple[str, ...]) -> str:
    if not gpus:
        return ""
    return f" on GPU {gpus[0]}" if len(gpus) == 1 else f" on GPUs {', '.join(gpus)}"


def _end_text(event: ev.RunFinished, snapshot: RunSnapshot) -> str:
    elapsed_s = snapshot.elapsed_s(event.at)
    took = f" after {duration(elapsed_s)}" if elapsed_s is not None else ""
    code = (
        f" (exit code {event.exit_code})"
        if event.state is RunState.FAILED and event.exit_code is not None and "exit code" not in event.reason
        else ""
    )
    hint = f"; {event.hint}" if event.hint and event.hint != LAST_LINES_HINT else ""
    reason = beside_success(event.reason) if event.state is RunState.SUCCEEDED else event.reason
    return f"{event.state.value.lower()}{took}{': ' if reason else ''}{reason}{code}{hint}"
