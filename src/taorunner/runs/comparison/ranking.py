"""Puts runs in the order of a metric, and finds the best run of some trainings with its checkpoint. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taorunner.errors import RunStateError, UsageError
from taorunner.runs.comparison.compare import Comparison, compare, of_runs
from taorunner.runs.comparison.metrics import ComparedMetric
from taorunner.runs.comparison.read_run import ranking_metric
from taorunner.runs.control.ending import run_results, set_aside_in
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.text import printable
from taorunner.values.value import Value, replace


class BestRun(Value):
    """``epoch`` is 1-based, None where the metric has none. ``checkpoint`` is that of the epoch, in its place or where
    it was set aside; None where there is none."""

    run: RunRecord
    metric: str
    value: float
    epoch: int | None
    checkpoint: Path | None

    def to_json(self, short_id: str) -> dict[str, object]:
        return {
            "run": self.run.id, "short_id": short_id, "project": self.run.project, "experiment": self.run.experiment,
            "metric": self.metric, "value": self.value, "epoch": self.epoch,
            "checkpoint": str(self.checkpoint) if self.checkpoint is not None else None,
        }  # fmt: skip


def in_order_of(comparison: Comparison, metric: ComparedMetric | None, top: int | None = None) -> Comparison:
    """With the best run first, then those without a value; at most ``top``. Without a direction the order stays."""
    order = list(range(len(comparison.runs)))
    if metric is not None and metric.direction is not None:
        sign = -1.0 if metric.direction == "up" else 1.0
        bests = [one.best for one in metric.values]
        order.sort(key=lambda place: (bests[place] is None, sign * (bests[place] or 0.0)))
    return of_runs(tuple(comparison.runs[place] for place in order[:top]))


def best_of(store: RunStore, records: Sequence[RunRecord], metric: str | None = None) -> BestRun:
    """Of several runs with the same value the newest.

    Raises:
        UsageError: no run has the metric, or it has no direction.
        RunStateError: no run has a metric that runs are ranked by.
    """
    comparison = compare(store, records)
    name = metric or ranking_metric(comparison.runs)
    if name is None:
        raise RunStateError(
            "none of these runs has a metric that says which is the best",
            hint="--metric NAME chooses one; taorunner runs show RUN lists the metrics of a run",
        )
    found = comparison.metric(name)
    if found.direction is None:
        raise UsageError(
            f'whether more or less of "{printable(name)}" is better is not known', hint="choose another one"
        )
    known = [(one.best, place) for place, one in enumerate(found.values) if one.best is not None]
    if not known:
        raise RunStateError(f'no run has a finite value of "{printable(name)}"')
    sign = -1.0 if found.direction == "up" else 1.0
    value, place = min(known, key=lambda one: (sign * one[0], one[1]))
    run, epoch = comparison.runs[place].record, found.values[place].epoch
    return BestRun(run, name, value, epoch, checkpoint_of(store, run, epoch))


def checkpoint_of(store: RunStore, record: RunRecord, epoch: int | None) -> Path | None:
    """The checkpoint of an epoch, where it is now."""
    if epoch is None:
        return None
    results = run_results(store, record)
    own = next((one.path for one in results.checkpoints if one.epoch == epoch), None)
    return own if own is not None else _moved(store, record, epoch)


def _moved(store: RunStore, record: RunRecord, epoch: int) -> Path | None:
    from taorunner.runs.outputs.recorded import recorded_results

    aside, recorded = set_aside_in(store, record), recorded_results(store, record.id)
    if aside is None or recorded is None or record.results_dir is None:
        return None
    for one in recorded.checkpoints:
        if one.epoch == epoch and one.path.is_relative_to(record.results_dir):
            moved = replace(one, path=aside / one.path.relative_to(record.results_dir))
            return moved.path if moved.is_there else None
    return None
