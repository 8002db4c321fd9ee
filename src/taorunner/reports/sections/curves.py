"""The curves: a chart for each metric, with the same colours in all of them, and the legend that hides runs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from taorunner.console.base.formatting import clean, number
from taorunner.page_frame.frame import as_html
from taorunner.reports.charts.colours import MOST, style_of
from taorunner.reports.charts.line_chart import Line, line_chart
from taorunner.reports.contents import Contents, best_places
from taorunner.reports.sections.words import in_order, metric_text, shortened
from taorunner.runs.comparison.metrics import ComparedMetric
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taorunner.page_frame.frame import Html

MOST_CHARTS = 24
_RATES = frozenset({"lr", "rate"})


class Panel(Value):
    """``note`` says which run is the best of this metric, and that the axis is logarithmic."""

    title: str
    best: str
    is_log: bool
    svg: Html


class Entry(Value):
    """One checkbox of the legend. ``key`` is the class that it hides."""

    key: str
    style: str
    name: str
    full_name: str
    run: str
    is_unlike: bool


class Curves(Value):
    """``others``: so many runs are grey, and have one checkbox."""

    panels: tuple[Panel, ...]
    legend: tuple[Entry, ...]
    others: int
    left_out: int
    rules: Html


def curves_of(contents: Contents, ids: Mapping[str, str]) -> Curves:
    runs = contents.comparison.runs
    charts = [
        metric
        for metric in in_order(contents.comparison.metrics)
        if any(epoch is not None for run in runs for epoch in run.metrics.history.get(metric.name, {}))
    ]
    panels = []
    for metric in charts[:MOST_CHARTS]:
        chart = line_chart(
            metric_text(metric), _lines(contents, metric, ids), steps=_is_rate(metric),
            may_be_log=metric.direction != "up",
        )  # fmt: skip
        if chart is None:
            panels.append(Panel(metric_text(metric), "no finite value", False, as_html("")))
        else:
            panels.append(
                Panel(metric_text(metric), _best(contents, metric), chart.is_log, as_html(chart.svg))
            )
    legend = [
        Entry(f"r{place}", style_of(place), shortened(run.record.experiment, 32), clean(run.record.experiment),
              clean(ids[run.record.id]), place >= contents.ranked)
        for place, run in enumerate(runs[:MOST])
    ]  # fmt: skip
    keys = [one.key for one in legend] + (["rest"] if len(runs) > MOST else [])
    rules = "".join(f"body:has(#show-{key}:not(:checked)) .{key}{{display:none}}" for key in keys)
    return Curves(
        tuple(panels),
        tuple(legend),
        max(0, len(runs) - MOST),
        max(0, len(charts) - MOST_CHARTS),
        as_html(rules),
    )


def _lines(contents: Contents, metric: ComparedMetric, ids: Mapping[str, str]) -> list[Line]:
    """Of the runs that have the metric; the best one has a thick line."""
    best = best_places(metric, contents.ranked)
    lines = []
    for place, run in enumerate(contents.comparison.runs):
        history = run.metrics.history.get(metric.name, {})
        points = {epoch: value for epoch, value in history.items() if epoch is not None}
        if not points:
            continue
        style = style_of(place) if place >= MOST else f"r{place} {style_of(place)}"
        name = f"{shortened(run.record.experiment)} {clean(ids[run.record.id])}"
        value = metric.values[place]
        if value.best is not None:
            at = f" at {value.epoch}" if value.epoch is not None else ""
            name += f": best {number(value.best)}{at}"
        lines.append(Line(
            name, f"{style} best" if place in best else style, points, contents.restarts[place],
            coarse=place >= MOST,
        ))  # fmt: skip
    return lines


def _best(contents: Contents, metric: ComparedMetric) -> str:
    places = best_places(metric, contents.ranked)
    if len(places) != 1:
        return ""
    (place,) = places
    value, record = metric.values[place], contents.comparison.runs[place].record
    at = f" at {value.epoch}" if value.epoch is not None else ""
    return f"best {number(value.best or 0.0)}{at}, {shortened(record.experiment, 24)}"


def _is_rate(metric: ComparedMetric) -> bool:
    """A learning rate holds from one step to the next."""
    words = set(re.findall(r"[a-z]+", metric.name[:200].lower()))
    return metric.direction is None and bool(_RATES & words)
