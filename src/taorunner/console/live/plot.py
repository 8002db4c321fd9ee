"""A curve as lines of text: in dots of braille where the encoding has them, else in ASCII.

Reads nothing. Of many values at most two are drawn in a column of dots, the least and the greatest, so that a peak is
never lost.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from taorunner.console.base.formatting import number
from taorunner.console.base.theme import Symbols

HEIGHT = 12
LEAST_WIDTH = 40
_LOG_FROM = 100.0
"""From this ratio between the greatest and the least value on the axis is logarithmic."""
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of braille by column and row of a cell."""
_BRAILLE = 0x2800

Point = tuple[int, float]
"""Epoch and value."""


def plot_lines(points: Sequence[Point], width: int, symbols: Symbols, height: int = HEIGHT) -> list[str]:
    """The chart of a curve in at most ``width`` columns, oldest epoch left; none without a finite value. A value that
    is not finite is a gap, and said below."""
    finite = [(epoch, value) for epoch, value in points if math.isfinite(value)]
    if not finite:
        return []
    values = [value for _, value in finite]
    is_log = min(values) > 0 and max(values) / min(values) >= _LOG_FROM
    least, greatest = _ends(values, is_log)
    labels = _labels(least, greatest, height, is_log)
    margin = max(map(len, labels)) + 2
    grid = _Grid(max(8, max(LEAST_WIDTH, width) - margin), height, is_fine=symbols.is_unicode)
    _draw(grid, points, (least, greatest), is_log)
    side, corner, edge = ("│", "└", "─") if grid.is_fine else ("|", "+", "-")
    lines = [
        f"{label:>{margin - 2}} {side}{row}".rstrip() for label, row in zip(labels, grid.rows(), strict=True)
    ]
    first, last = points[0][0], points[-1][0]
    lines.append(" " * (margin - 1) + corner + edge * grid.columns)
    ends = str(first) if first == last else f"{first}{str(last).rjust(grid.columns - len(str(first)))}"
    lines.append(" " * margin + ends)
    return [*lines, *_notes(points, is_log, margin)]


class _Grid:
    """Dots, row 0 at the top: two by four in a cell of braille, one in a cell of ASCII."""

    def __init__(self, columns: int, lines: int, *, is_fine: bool) -> None:
        self.columns, self._lines, self.is_fine = columns, lines, is_fine
        self.across, self.down = (2, 4) if is_fine else (1, 1)
        self._set: set[tuple[int, int]] = set()

    @property
    def size(self) -> tuple[int, int]:
        return self.columns * self.across, self._lines * self.down

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            part = step / steps
            self._set.add((
                round(start[0] + (end[0] - start[0]) * part), round(start[1] + (end[1] - start[1]) * part),
            ))  # fmt: skip

    def rows(self) -> list[str]:
        cells: dict[tuple[int, int], int] = {}
        for x, y in self._set:
            place = (x // self.across, y // self.down)
            cells[place] = cells.get(place, 0) | _DOTS[x % self.across][y % self.down]
        return [
            "".join(self._shown(cells.get((x, y), 0)) for x in range(self.columns))
            for y in range(self._lines)
        ]

    def _shown(self, bits: int) -> str:
        if not bits:
            return " "
        return chr(_BRAILLE + bits) if self.is_fine else "*"


def _draw(grid: _Grid, points: Sequence[Point], ends: tuple[float, float], is_log: bool) -> None:
    across, down = grid.size
    first, span = points[0][0], max(1, points[-1][0] - points[0][0])
    scale = math.log10 if is_log else float
    # a quarter of each: their difference is a number, however far apart they are
    low, high = scale(ends[0]) / 4, scale(ends[1]) / 4

    def place(epoch: int, value: float) -> tuple[int, int]:
        part = (scale(value) / 4 - low) / (high - low)
        return round((epoch - first) / span * (across - 1)), round((1 - part) * (down - 1))

    before: tuple[int, int] | None = None
    for column in _columns(points, first, span, across):
        if column is None:
            before = None
            continue
        for epoch, value in column:
            here = place(epoch, value)
            grid.line(before or here, here)
            before = here


def _columns(points: Sequence[Point], first: int, span: int, across: int) -> list[list[Point] | None]:
    """The values that are drawn, in groups of one column of dots: the least and the greatest of each. None is a gap."""
    groups: list[list[Point] | None] = []
    current: list[Point] = []
    at = -1
    for epoch, value in points:
        column = round((epoch - first) / span * (across - 1))
        if not math.isfinite(value):
            groups += [current, None] if current else [None]
            current, at = [], -1
            continue
        if column != at and current:
            groups.append(current)
            current = []
        at = column
        current = _kept([*current, (epoch, value)])
    return [*groups, current] if current else groups


def _kept(points: list[Point]) -> list[Point]:
    if len(points) < 3:
        return points
    ends = {min(points, key=lambda one: one[1]), max(points, key=lambda one: one[1])}
    return [point for point in points if point in ends][:2]


def _ends(values: Sequence[float], is_log: bool) -> tuple[float, float]:
    """The ends of the axis; of equal values somewhat around them."""
    least, greatest = min(values), max(values)
    if least / 4 < greatest / 4:
        return least, greatest
    around = abs(least) / 10 or 1.0
    low, high = (least * 0.9, least * 1.1) if is_log else (least - around, greatest + around)
    return max(low, -sys.float_info.max), min(high, sys.float_info.max)


def _labels(least: float, greatest: float, height: int, is_log: bool) -> list[str]:
    """A number at the top, in the middle and at the bottom."""
    middle = height // 2
    part = 1 - middle / (height - 1)
    scale = math.log10 if is_log else float
    mean = scale(least) * (1 - part) + scale(greatest) * part
    between = 10**mean if is_log else mean
    shown = {0: greatest, middle: between, height - 1: least}
    return [number(shown[row]) if row in shown else "" for row in range(height)]


def _notes(points: Sequence[Point], is_log: bool, margin: int) -> list[str]:
    notes = ["logarithmic"] if is_log else []
    lost = [str(epoch) for epoch, value in points if not math.isfinite(value)]
    if lost:
        shown = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        notes.append(f"not finite at {shown}")
    return [" " * margin + "; ".join(notes)] if notes else []
