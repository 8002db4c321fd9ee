"""What happens, as one plain line each: for pipes, log files and CI, where nothing can be redrawn.

No control characters, every line written at once. Epochs, not steps; metrics that come together share a line;
a pull speaks every few seconds. Log lines are not repeated here: ``taorunner logs`` has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TextIO

from taorunner import events as ev
from taorunner.console.cells import clean, metric_label, number, of
from taorunner.events import Event, RunState
from taorunner.runs.snapshot import Fold, RunSnapshot
from taorunner.text import duration, size

PULL_EVERY_S = 5.0
_METRICS_ON_A_LINE = 8
_TOGETHER_S = 2.0
"""Metrics of one record have one time; what comes later is another record's."""


class PlainView:
    """Writes events to ``stream``. ``zone`` is the time zone of the prefix, the machine's own by default."""

    def __init__(
        self, stream: TextIO, *, zone: tzinfo | None = None, pull_every_s: float = PULL_EVERY_S
    ) -> None:
        self._stream = stream
        self._zone = zone
        self._pull_every_s = pull_every_s
        self._runs: dict[str, _Run] = {}

    def show(self, event: Event) -> None:
        """Writes the line of ``event``, if it deserves one; the metrics that waited go first."""
        run = self._runs.setdefault(event.run, _Run(event.run))
        for other in self._runs.values():
            if other.metrics and not _belongs(event, other.metrics):
                self._write_metrics(other)
        run.fold.apply(event)
        if isinstance(event, ev.MetricReported):
            run.metrics.append(event)
            return
        text = self._text(run, event)
        if text is not None:
            self._write(run, event.at, text)

    def flush(self) -> None:
        """Writes the metrics that wait for company. For quiet moments, and for the end."""
        for run in self._runs.values():
            if run.metrics:
                self._write_metrics(run)

    def _text(self, run: _Run, event: Event) -> str | None:
        if isinstance(event, ev.EpochProgress):
            return _epoch_text(run, event)
        if isinstance(event, ev.ImagePulling):
            if run.pull_at is not None and 0 <= (event.at - run.pull_at).total_seconds() < self._pull_every_s:
                return None
            run.pull_at = event.at
            return _pull_text(event)
        if isinstance(event, ev.RunQueued):
            return f"queued on {event.backend}"
        if isinstance(event, ev.ImagePulled):
            digest = f" {event.digest}" if event.digest else ""
            return f"image {event.image}{digest} is here"
        if isinstance(event, ev.RunStarted):
            return f"started{_gpu_text(event.gpus)}"
        if isinstance(event, ev.CheckpointSaved):
            return f"checkpoint {event.path}"
        if isinstance(event, ev.Notice):
            return f"{event.level}: {event.text} [{event.code}]"
        if isinstance(event, ev.RunFinished):
            return _end_text(event, run.fold.snapshot)
        return None

    def _write_metrics(self, run: _Run) -> None:
        waiting, run.metrics = run.metrics, []
        values = "  ".join(f"{metric_label(m.name)} {number(m.value)}" for m in waiting)
        epoch = f"epoch {of(waiting[-1].epoch, run.fold.snapshot.epochs)}  " if waiting[-1].epoch else ""
        self._write(run, waiting[-1].at, epoch + values)

    def _write(self, run: _Run, at: datetime, text: str) -> None:
        snapshot = run.fold.snapshot
        name = f"{snapshot.experiment} {snapshot.action}" if snapshot.experiment else snapshot.id
        line = clean(f"{at.astimezone(self._zone):%H:%M:%S} {name}: {text}")
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        self._stream.flush()


def _belongs(event: Event, waiting: Sequence[ev.MetricReported]) -> bool:
    """True when waiting metrics may wait on: ``event`` is one more of them, or another run's soon after."""
    last = waiting[-1]
    if abs((event.at - last.at).total_seconds()) > _TOGETHER_S:
        return False
    if event.run != last.run:
        return True
    alike = isinstance(event, ev.MetricReported) and event.epoch == last.epoch
    return alike and len(waiting) < _METRICS_ON_A_LINE


class _Run:
    def __init__(self, run: str) -> None:
        self.fold = Fold(run)
        self.metrics: list[ev.MetricReported] = []
        self.pull_at: datetime | None = None
        self.epoch_begun = 0
        self.epoch_told = 0


def _epoch_text(run: _Run, event: ev.EpochProgress) -> str | None:
    """A line when an epoch is complete; when one begins only if its end will not be told."""
    snapshot = run.fold.snapshot
    where = f"epoch {of(event.epoch, snapshot.epochs)}"
    if event.completed:
        if event.epoch <= run.epoch_told:
            return None
        run.epoch_told = run.epoch_begun = event.epoch
        took = snapshot.timing.epoch_durations_s[-1:]
        eta_s = snapshot.eta_s(event.at)
        spent = f" in {duration(took[0])}" if took else ""
        return f"{where} complete{spent}" + (f", {duration(eta_s)} left" if eta_s else "")
    if event.epoch <= run.epoch_begun:
        return None
    ends_are_told = run.epoch_told == event.epoch - 1 and run.epoch_told > 0
    run.epoch_begun = event.epoch
    return None if ends_are_told else f"{where} begins"


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
        if event.state is RunState.FAILED and event.exit_code is not None
        else ""
    )
    hint = f"; {event.hint}" if event.hint else ""
    return f"{event.state.value.lower()}{took}: {event.reason}{code}{hint}"
