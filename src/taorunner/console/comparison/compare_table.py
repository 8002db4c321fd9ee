"""The table of ``runs compare``: a run a line, best first, with the keys in which they differ; and the same as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TextIO

from taorunner.console.base.columns import Column, cut
from taorunner.console.base.formatting import clean, metric_label, number
from taorunner.console.base.theme import Symbols, state_style
from taorunner.console.comparison.diff_lines import Cell, arrow
from taorunner.console.comparison.values_text import spec_text, value_text
from taorunner.console.live.sparkline import sparkline
from taorunner.runs.comparison.compare import Comparison
from taorunner.runs.comparison.differences import UNKNOWN, Difference, NoValue
from taorunner.runs.comparison.metrics import ComparedMetric
from taorunner.runs.state.record import RunRecord
from taorunner.sweeps.names import trial_title

_CURVE = 12
_MOST_KEYS = 6
_VALUE = 24


def compare_cells(
    comparison: Comparison, metric: ComparedMetric | None, short_ids: Mapping[str, str], symbols: Symbols, *,
    everything: bool, with_curves: bool, with_project: bool,
) -> tuple[list[Column], list[tuple[Cell, ...]], int]:  # fmt: skip
    """Columns, rows, and how many keys in which the runs differ are not among them. ``metric`` is the one that the runs
    are in the order of."""
    rows = comparison.differences
    keys = rows if everything else [row for row in rows if row.kind == "spec"][:_MOST_KEYS]
    name = (
        "" if metric is None else f"{symbols.shown(clean(metric_label(metric.name)))}{arrow(metric, symbols)}"
    )
    columns = [
        Column("", right=True), Column("run"), Column("project", drop=_MOST_KEYS + 2),
        Column("experiment", shrinks_to=10), Column("state"), Column(""), Column(name, right=True),
        Column("at", right=True), Column("curve", drop=_MOST_KEYS + 1),
        *(Column(_key(row, keys), None if everything else _MOST_KEYS - place, right=_is_number(row), shrinks_to=8,
                 middle=True)
          for place, row in enumerate(keys)),
    ]  # fmt: skip
    cells = []
    place_of = _places(metric)
    for place, run in enumerate(comparison.runs):
        record = run.record
        is_over = record.state.value == "SUCCEEDED"
        curve = run.curve(metric.name) if metric is not None and with_curves and symbols.is_unicode else []
        value = metric.shown(place) if metric is not None else None
        epoch = metric.values[place].epoch if metric is not None and metric.direction is not None else None
        cells.append((
            (str(place_of[place]) if place in place_of else "", "quiet"),
            (clean(short_ids[record.id]), ""),
            (clean(record.project) if with_project else "", ""),
            (clean(trial_title(record.results_dir) or record.experiment), "name"),
            ("" if is_over else record.state.value.lower(), state_style(record.state)),
            (symbols.unlike if comparison.unlike[place] else "", "severity.warning"),
            ("" if value is None else number(value), "best" if metric is not None and metric.winner == place else ""),
            ("" if epoch is None else str(epoch), ""),
            (sparkline(curve, _CURVE), ""),
            *((cut(symbols.shown(value_text(row, place)), _VALUE, symbols.ellipsis, middle=True), "") for row in keys),
        ))  # fmt: skip
    return columns, cells, len(rows) - len(keys)


def unlike_lines(comparison: Comparison, short_ids: Mapping[str, str], symbols: Symbols) -> list[str]:
    """``≠ c11e07: other data (480 images)``"""
    return [
        f"{symbols.unlike} {clean(short_ids[run.record.id])}: {clean('; '.join(reasons))}"
        for run, reasons in zip(comparison.runs, comparison.unlike, strict=True)
        if reasons
    ]


def write_csv(comparison: Comparison, now: datetime, stream: TextIO) -> None:
    """A line for each run: all metrics, then everything in which the runs differ. Numbers have all their digits."""
    writer = csv.writer(stream, lineterminator="\n")
    metrics = comparison.metrics
    rows = comparison.differences
    heads = ["run", "project", "experiment", "action", "state", "started_at", "duration_s", "unlike", "trial"]
    heads += [f"{one.name} {what}".strip() for one in metrics for what in ("best", "epoch", "last")]
    writer.writerow([*heads, *(f"{row.kind} {row.key}".strip() for row in rows)])
    for place, run in enumerate(comparison.runs):
        record = run.record
        seconds = _seconds(record, now)
        line: list[object] = [
            record.id, record.project, record.experiment, record.action, record.state.value,
            record.started_at.isoformat() if record.started_at is not None else "",
            "" if seconds is None else round(seconds, 1), "; ".join(comparison.unlike[place]),
            trial_title(record.results_dir) or "",
        ]  # fmt: skip
        for one in metrics:
            value = one.values[place]
            line += ["" if found is None else found for found in (value.best, value.epoch, value.last)]
        writer.writerow(list(map(_harmless, [*line, *(_csv_value(row, place) for row in rows)])))


def _seconds(record: RunRecord, now: datetime) -> float | None:
    if record.started_at is None:
        return None
    return max(0.0, ((record.finished_at or now) - record.started_at).total_seconds())


def _harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def _csv_value(row: Difference, place: int) -> str:
    value = row.values[place]
    if value is UNKNOWN:
        return ""
    if row.kind == "spec" and not isinstance(value, NoValue):
        return spec_text(value)
    if row.kind in ("data", "weights") and isinstance(value, dict):
        return str(value.get("fingerprint") or value.get("sha256") or value_text(row, place))
    return value_text(row, place)


def _places(metric: ComparedMetric | None) -> dict[int, int]:
    """The rank of each run that has a value, 1 for the best; equal ones have the same. Empty without a direction."""
    if metric is None or metric.direction is None:
        return {}
    known = {place: one.best for place, one in enumerate(metric.values) if one.best is not None}
    ordered = sorted(set(known.values()), reverse=metric.direction == "up")
    return {place: 1 + ordered.index(value) for place, value in known.items()}


def _key(row: Difference, keys: Sequence[Difference]) -> str:
    """The last part of a dotted key where no other ends like it."""
    if row.kind != "spec":
        return clean(f"{row.kind} {row.key}".strip())
    last = row.key.rpartition(".")[2]
    return clean(last if sum(one.key.rpartition(".")[2] == last for one in keys) == 1 else row.key)


def _is_number(row: Difference) -> bool:
    known = [value for value in row.values if not isinstance(value, NoValue)]
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known)
