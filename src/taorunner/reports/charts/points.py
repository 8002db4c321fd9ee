"""Which points of a curve are drawn: at most two in a column of pixels, its least and its greatest. Pure.

So a curve of a million steps takes as much room as one of a thousand, and no peak is lost.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from taorunner.values.value import Value

Point = tuple[float, float]
"""Epoch or step, and value."""


class Segments(Value):
    """``lines`` are drawn without a gap. ``lost`` are the places of values that are not finite."""

    lines: tuple[tuple[Point, ...], ...]
    lost: tuple[Point, ...]


def segments(
    points: Sequence[Point], columns: int, ends: tuple[float, float], restarts: Collection[float] = ()
) -> Segments:
    """``points`` in the order of their x. ``ends`` are the first and the last x of the chart. A line ends before a
    value that is not finite, and before each x in ``restarts``."""
    first, span = ends[0], max(ends[1] - ends[0], 1e-9)
    lines: list[list[Point]] = [[]]
    lost: list[Point] = []
    column: list[Point] = []
    at = -1
    for x, y in points:
        place = int((x - first) / span * columns)
        is_lost = not math.isfinite(y)
        if place != at or is_lost or x in restarts:
            lines[-1] += _kept(column)
            column, at = [], place
        if (is_lost or x in restarts) and lines[-1]:
            lines.append([])
        if is_lost:
            lost.append((x, y))
        else:
            column.append((x, y))
    lines[-1] += _kept(column)
    return Segments(tuple(tuple(line) for line in lines if line), tuple(_thinned(lost, columns, first, span)))


def _kept(column: list[Point]) -> list[Point]:
    if len(column) < 3:
        return column
    least = min(range(len(column)), key=lambda place: column[place][1])
    greatest = max(range(len(column)), key=lambda place: column[place][1])
    return [column[place] for place in sorted({least, greatest})]


def _thinned(lost: Sequence[Point], columns: int, first: float, span: float) -> list[Point]:
    """One of each column."""
    return list({int((x - first) / span * columns): (x, y) for x, y in reversed(lost)}.values())[::-1]
