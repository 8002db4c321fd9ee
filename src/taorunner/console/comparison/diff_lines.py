"""The lines of ``runs diff``: what differs, from top to bottom, one value a line, the runs side by side.

Plain texts with the name of a style for each cell, so that a pipe needs no terminal library.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from taorunner.console.base.columns import Column, cut
from taorunner.console.base.formatting import age, clean, metric_label
from taorunner.console.base.theme import Symbols, state_style
from taorunner.console.comparison.values_text import change_text, metric_change, metric_text, value_text
from taorunner.console.live.sparkline import sparkline
from taorunner.events import RunState
from taorunner.runs.comparison.compare import Comparison
from taorunner.runs.comparison.metrics import ComparedMetric
from taorunner.runs.state.record import RunRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

Cell = tuple[str, str]
"""A text and its style."""
METRICS = 12
"""Metrics that are shown at most; per class there are hundreds."""
_CURVE = 8
_KEY, _VALUE = 12, 12


def diff_cells(
    comparison: Comparison, short_ids: Mapping[str, str], now: datetime, symbols: Symbols, width: int, *,
    everything: bool, with_curves: bool,
) -> tuple[list[Column], list[tuple[Cell, ...]]]:  # fmt: skip
    """Columns and rows; the last column is what changed from the first run to the last."""
    records = [run.record for run in comparison.runs]
    heads = [_head(record, short_ids, now) for record in records]
    rows: list[tuple[Cell, ...]] = []
    shown = ""
    for row in comparison.rows if everything else comparison.differences:
        texts = [(symbols.shown(value_text(row, place)), "") for place in range(len(records))]
        kind, shown = ("" if row.kind == shown else row.kind), row.kind
        rows.append(((kind, "label"), (clean(row.key), ""), *texts, (change_text(row), "")))
    columns = [Column(""), Column(""), *(Column(text) for text, _ in heads), Column("")]
    titles = [text for text, _ in heads]
    for curves in (True, False) if with_curves and symbols.is_unicode else (False,):
        metrics = [
            _metric_row(metric, comparison, symbols, "" if place else "best", with_curves=curves)
            for place, metric in enumerate(shown_metrics(comparison, everything=everything))
        ]
        least = _least_widths(rows, metrics, titles)
        if not curves or sum(least) + 2 * (len(least) - 1) <= width:
            break
    return columns, _fitted([*rows, *metrics], least, titles, width, symbols)


def shown_metrics(comparison: Comparison, *, everything: bool) -> list[ComparedMetric]:
    """The one that ranks runs, and those whose values differ, up to ``METRICS``; all of them with ``everything``."""
    if everything:
        return list(comparison.metrics)
    return [
        one for place, one in enumerate(comparison.metrics)
        if place == 0 or len({(value.best, value.epoch, str(value.last)) for value in one.values}) > 1
    ][:METRICS]  # fmt: skip


def same_line(comparison: Comparison) -> str:
    """``same: image, weights, 311 spec keys (--all shows them)``; empty where nothing is the same."""
    differing = {row.kind for row in comparison.differences}
    parts = [
        f"{count} spec {'key' if count == 1 else 'keys'}" if kind == "spec" else kind
        for kind, count in comparison.same.items()
        if kind == "spec" or (kind not in differing and kind != "measure")
    ]
    parts.sort(key=lambda part: "spec key" in part)
    return f"same: {', '.join(parts)} (--all shows them)" if parts else ""


def arrow(metric: ComparedMetric, symbols: Symbols) -> str:
    return symbols.better(metric.direction == "down" if metric.direction is not None else None)


def _metric_row(
    metric: ComparedMetric, comparison: Comparison, symbols: Symbols, label: str, *, with_curves: bool
) -> tuple[Cell, ...]:
    cells = []
    for place, value in enumerate(metric.values):
        curve = sparkline(comparison.runs[place].curve(metric.name), _CURVE) if with_curves else ""
        text = metric_text(value, metric, place)
        style = "best" if metric.winner == place else "severity.error" if text == "nan" else ""
        cells.append((f"{curve} {text}".strip(), style))
    name = f"{symbols.shown(clean(metric_label(metric.name)))} {arrow(metric, symbols)}".rstrip()
    return ((label, "label"), (name, ""), *cells, (metric_change(metric), ""))


def _head(record: RunRecord, short_ids: Mapping[str, str], now: datetime) -> Cell:
    """``a8f310, 1d ago``; with the state of a run that did not succeed."""
    state = "" if record.state is RunState.SUCCEEDED else f" {record.state.value.lower()}"
    at = record.started_at or record.queued_at
    return f"{clean(short_ids[record.id])}{state}, {age(at, now)}", state_style(record.state)


def _least_widths(
    rows: Sequence[tuple[Cell, ...]], metrics: Sequence[tuple[Cell, ...]], heads: Sequence[str]
) -> list[int]:
    """The least width of each column: a number of a metric loses no digit."""
    ends = [max((len(row[place][0]) for row in (*rows, *metrics)), default=0) for place in (0, -1)]
    names = max((len(row[1][0]) for row in metrics), default=0)
    values = (
        max([_VALUE, len(head), *(len(row[2 + place][0]) for row in metrics)])
        for place, head in enumerate(heads)
    )
    return [ends[0], max(_KEY, names), *values, ends[1]]


def _fitted(
    rows: Sequence[tuple[Cell, ...]], least: Sequence[int], heads: Sequence[str], width: int, symbols: Symbols
) -> list[tuple[Cell, ...]]:
    """Values lose their middle until a line fits, and keys their start; kinds, metrics and changes stay."""
    if not rows:
        return []
    widest = [max(len(row[place][0]) for row in rows) for place in range(len(rows[0]))]
    for place, head in enumerate(heads):
        widest[2 + place] = max(widest[2 + place], len(head))
    for _ in range(sum(widest) + 2 * (len(widest) - 1) - width):
        able = [place for place in range(1, len(widest) - 1) if widest[place] > least[place]]
        if not able:
            break
        widest[max(able, key=lambda place: widest[place])] -= 1
    return [
        tuple(
            (
                _cut_key(text, room, symbols)
                if place == 1
                else cut(text, room, symbols.ellipsis, middle=True),
                style,
            )
            for place, ((text, style), room) in enumerate(zip(row, widest, strict=True))
        )
        for row in rows
    ]


def _cut_key(key: str, room: int, symbols: Symbols) -> str:
    """The end of a dotted key: keys of one section begin alike."""
    return cut(key[::-1], room, symbols.ellipsis[::-1])[::-1]
