"""The table of runs, best first, and the line of facts above it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from taorunner.console.base.formatting import clean, number
from taorunner.page_frame.frame import as_html
from taorunner.reports.charts.colours import style_of
from taorunner.reports.charts.line_chart import spark
from taorunner.reports.contents import Contents, best_places, ranks
from taorunner.reports.sections.words import gpu_hours, metric_text, seconds_of, shortened
from taorunner.text import amount, duration
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taorunner.page_frame.frame import Html


class Row(Value):
    """``rank`` is "≠" for a run that is not ranked, for the ``reasons``. ``style`` has its colour."""

    rank: str
    style: str
    name: str
    full_name: str
    run: str
    value: str
    epoch: str
    change: str
    curve: Html
    duration: str
    gpu_hours: str
    state: str
    reasons: str
    is_best: bool


class Ranking(Value):
    """``metric`` is empty where no run has one that ranks. ``several``: runs are of several projects."""

    metric: str
    rows: tuple[Row, ...]
    has_unlike: bool


class Fact(Value):
    label: str
    value: str
    about: str


def ranking_of(contents: Contents, ids: Mapping[str, str], now: datetime) -> Ranking:
    metric, place_of = contents.metric, ranks(contents)
    best = best_places(metric, contents.ranked) if metric is not None else frozenset()
    low, high = _range(contents)
    rows = []
    for place, run in enumerate(contents.comparison.runs):
        record, reasons = run.record, contents.comparison.unlike[place]
        is_ranked = place < contents.ranked
        own = metric.values[place] if metric is not None else None
        shown = metric.shown(place) if metric is not None else None
        curve = run.metrics.history.get(metric.name, {}) if metric is not None else {}
        points = [(epoch, value) for epoch, value in curve.items() if epoch is not None]
        hours, seconds = gpu_hours(record, now), seconds_of(record, now)
        rows.append(Row(
            str(place_of.get(place, "")) if is_ranked else "≠", style_of(place),
            shortened(record.experiment), clean(record.experiment), clean(ids[record.id]),
            "" if shown is None else number(shown),
            "" if own is None or own.epoch is None or metric is None or metric.direction is None else str(own.epoch),
            _change(contents, place) if is_ranked else "",
            as_html(spark(points, low, high, style_of(place))),
            "" if seconds is None else duration(seconds), "" if hours is None else f"{hours:,.1f}",
            record.state.value.lower(), clean("; ".join(reasons)) if not is_ranked else "", place in best,
        ))  # fmt: skip
    return Ranking(
        metric_text(metric) if metric is not None else "", tuple(rows), contents.ranked < len(rows)
    )


def facts_of(contents: Contents, ids: Mapping[str, str], now: datetime) -> list[Fact]:
    runs, metric = contents.comparison.runs, contents.metric
    facts = []
    value = metric.values[0].best if metric is not None and metric.direction is not None else None
    if metric is not None and value is not None:
        first = runs[0].record
        at = f" at epoch {metric.values[0].epoch}" if metric.values[0].epoch is not None else ""
        facts.append(
            Fact(f"best {metric_text(metric)}", number(value), f"{shortened(first.experiment, 28)}{at}")
        )
    failed = len(contents.failures)
    facts.append(Fact("runs", str(len(runs)), f"{failed} failed" if failed else "none failed"))
    hours = [gpu_hours(run.record, now) for run in runs]
    known = [one for one in hours if one is not None]
    if known:
        unknown = len(hours) - len(known)
        about = f"of {amount(len(known), 'run')}" if unknown else "GPUs × time"
        facts.append(Fact("GPU hours", f"{sum(known):,.1f}", about))
    networks = sorted({run.network for run in runs if run.network is not None})
    if networks:
        facts.append(
            Fact("networks" if len(networks) > 1 else "network", shortened(", ".join(networks), 28), "")
        )
    return facts


def _change(contents: Contents, place: int) -> str:
    """The difference to the first run."""
    metric = contents.metric
    if metric is None or place == 0:
        return ""
    first, value = metric.shown(0), metric.shown(place)
    if first is None or value is None or not math.isfinite(value - first):
        return ""
    return (
        f"{value - first:+.4f}" if abs(value - first) >= 1e-3 or value == first else f"{value - first:+.1e}"
    )


def _range(contents: Contents) -> tuple[float, float]:
    """The least and the greatest value of all curves, so that they can be compared."""
    metric = contents.metric
    values = [
        value
        for run in contents.comparison.runs
        for epoch, value in run.metrics.history.get(metric.name if metric is not None else "", {}).items()
        if epoch is not None and math.isfinite(value)
    ]
    return (min(values), max(values)) if values else (0.0, 1.0)
