"""What differs between the runs: metrics, then what they were made from, a run a column."""

from __future__ import annotations

from collections.abc import Mapping

from taorunner.console.base.formatting import clean
from taorunner.console.comparison.values_text import metric_text as value_of_metric
from taorunner.console.comparison.values_text import value_text
from taorunner.reports.charts.colours import MOST, style_of
from taorunner.reports.contents import Contents, best_places
from taorunner.reports.sections.words import in_order, metric_text, shortened
from taorunner.text import amount
from taorunner.values.value import Value

_MOST_ROWS = 60
_LONGEST = 40


class Cell(Value):
    """``is_same``: as that of the first run. ``full`` is the whole value where ``text`` is shortened, else empty."""

    text: str
    full: str = ""
    is_best: bool = False
    is_same: bool = False


class Row(Value):
    kind: str
    key: str
    cells: tuple[Cell, ...]


class Head(Value):
    style: str
    name: str
    full_name: str
    run: str


class SideBySide(Value):
    """Of more runs than ``heads`` the first ones are shown. ``same`` says in words what is the same."""

    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    left_out: int
    hidden_runs: int
    same: str
    not_on_record: str


def side_by_side_of(contents: Contents, ids: Mapping[str, str]) -> SideBySide:
    comparison = contents.comparison
    shown = comparison.runs[:MOST]
    heads = [
        Head(style_of(place), shortened(run.record.experiment, 24), clean(run.record.experiment),
             clean(ids[run.record.id]))
        for place, run in enumerate(shown)
    ]  # fmt: skip
    rows = [*_metrics(contents, len(shown)), *_inputs(contents, len(shown))]
    same = ", ".join(_same(kind, count) for kind, count in comparison.same.items())
    unknown = ", ".join(clean(ids[run.record.id]) for run in comparison.not_on_record[:MOST])
    return SideBySide(
        tuple(heads), tuple(rows[:_MOST_ROWS]), max(0, len(rows) - _MOST_ROWS),
        len(comparison.runs) - len(shown), same if len(shown) > 1 else "", unknown,
    )  # fmt: skip


def _same(kind: str, count: int) -> str:
    if kind == "spec":
        return amount(count, "spec key")
    return {"gpus": "GPUs", "data": amount(count, "dataset")}.get(kind, kind)


def _metrics(contents: Contents, columns: int) -> list[Row]:
    rows = []
    for metric in in_order(contents.comparison.metrics):
        best = best_places(metric, contents.ranked)
        cells = [
            Cell(value_of_metric(metric.values[place], metric, place), is_best=place in best)
            for place in range(columns)
        ]
        rows.append(
            Row("best" if metric.direction is not None else "last", metric_text(metric), tuple(cells))
        )
    return [row for row in rows if any(cell.text for cell in row.cells)][: _MOST_ROWS // 2]


def _inputs(contents: Contents, columns: int) -> list[Row]:
    rows = []
    for row in contents.comparison.differences:
        texts = [value_text(row, place) for place in range(columns)]
        cells = [
            Cell(
                shortened(text, _LONGEST),
                text if len(text) > _LONGEST else "",
                is_same=place > 0 and text == texts[0],
            )
            for place, text in enumerate(texts)
        ]
        rows.append(Row(row.kind, shortened(row.key, 60), tuple(cells)))
    return rows
