"""How runs compare by their metrics: the best and the last value of each, and which run wins. Pure.

A metric has a winner only where its direction is known. The direction that the catalog gives decides
which best value wins, as in every other view.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from taorunner.runs.comparison.read_run import ComparedRun, ranking_metric
from taorunner.runs.state.metric_names import Judged, is_lower_better
from taorunner.values.value import Value


class MetricOfRun(Value):
    """``best`` is finite, None where there is none; ``epoch`` is that of it, 1-based. ``last`` may be nan."""

    best: float | None = None
    epoch: int | None = None
    last: float | None = None


class ComparedMetric(Value):
    """``direction`` is ``up``, ``down`` or None; ``scale`` is ``fraction``, ``percent``, ``own`` or None. ``values``
    and ``winner`` are by the place of the run; there is no winner among fewer than two values, and of equal ones."""

    name: str
    direction: str | None
    scale: str | None
    values: tuple[MetricOfRun, ...]
    winner: int | None = None

    def change(self) -> tuple[float, bool | None] | None:
        """From the first run to the last one: the difference, and whether it is better; None without both values.
        Without a direction the last values count, and neither is better."""
        ends = [self.shown(0), self.shown(len(self.values) - 1)]
        if len(self.values) < 2 or any(one is None or not math.isfinite(one) for one in ends):
            return None
        first, last = (one or 0.0 for one in ends)
        is_better = (
            None if self.direction is None or first == last else (last > first) == (self.direction == "up")
        )
        return last - first, is_better

    def shown(self, place: int) -> float | None:
        """The value that the run is judged by: its best, without a direction its last."""
        one = self.values[place]
        return one.last if self.direction is None else one.best


def compared_metrics(runs: Sequence[ComparedRun]) -> tuple[ComparedMetric, ...]:
    """Of all metrics that a run has: the one that ranks the first run, then in the order of their names."""
    judged: dict[str, Judged] = {}
    for run in runs:
        for name, one in run.metrics.judged.items():
            if one.direction is not None or name not in judged:
                judged[name] = one
    names = {name for run in runs for name in run.metrics.last}
    main = ranking_metric(runs)
    in_order = sorted(names, key=lambda name: (name != main, name.lower(), name))
    return tuple(_compared(name, runs, judged) for name in in_order)


def _compared(name: str, runs: Sequence[ComparedRun], judged: Mapping[str, Judged]) -> ComparedMetric:
    lower = is_lower_better(name, judged)
    direction = None if lower is None else "down" if lower else "up"
    values = tuple(_of_run(name, run, direction) for run in runs)
    scale = next((run.scales[name] for run in runs if name in run.scales), None)
    return ComparedMetric(name, direction, scale, values, _winner(values, lower))


def _of_run(name: str, run: ComparedRun, direction: str | None) -> MetricOfRun:
    best = run.metrics.best.get(name) if direction is not None else None
    last = run.metrics.last.get(name)
    return MetricOfRun(last=last) if best is None else MetricOfRun(best.value, best.epoch, last)


def _winner(values: Sequence[MetricOfRun], lower: bool | None) -> int | None:
    known = [(one.best, place) for place, one in enumerate(values) if one.best is not None]
    if lower is None or len(known) < 2:
        return None
    ordered = sorted(known, reverse=not lower)
    return ordered[0][1] if ordered[0][0] != ordered[1][0] else None
