"""The curves of one metric, a line for each run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from taorunner.page_frame.frame import text
from taorunner.reports.charts.axes import Axis, axis_of, epoch_axis, epoch_ticks
from taorunner.reports.charts.points import segments
from taorunner.reports.charts.svg import TENTHS, grid, path
from taorunner.values.value import Value

WIDTH, HEIGHT = 400, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 384, 10, 184
_LOST = 10
"""Height of the mark of a value that is not finite."""


class Line(Value):
    """``style`` are the classes by which the line has its colour and is hidden. ``points`` are values by epoch;
    the line is broken before each of ``restarts``. ``coarse``: drawn with fewer points, as one of many."""

    name: str
    style: str
    points: Mapping[int, float]
    restarts: Collection[int] = ()
    coarse: bool = False


class Chart(Value):
    svg: str
    is_log: bool


def line_chart(
    title: str, lines: Sequence[Line], *, steps: bool = False, may_be_log: bool = True
) -> Chart | None:
    """None where no value is finite. The lines that come first are drawn last, above the others."""
    epochs = [epoch for line in lines for epoch in (min(line.points), max(line.points)) if line.points]
    down = axis_of(
        (value for line in lines for value in line.points.values()), _BOTTOM, _TOP, may_be_log=may_be_log
    )
    if down is None or not epochs:
        return None
    across = epoch_axis(min(epochs), max(epochs), _LEFT, _RIGHT)
    ticks = [(tick.at, tick.text) for tick in epoch_ticks(across)] if max(epochs) > min(epochs) else [
        (across.at(epochs[0]), str(epochs[0]))
    ]  # fmt: skip
    drawn = "".join(_drawn(line, across, down, steps=steps) for line in reversed(lines))
    return Chart(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(title)}">{grid(across, down, ticks)}'
        f'<g class="lines" transform="scale({1 / TENTHS})">{drawn}</g></svg>',
        down.is_log,
    )


def _drawn(line: Line, across: Axis, down: Axis, *, steps: bool) -> str:
    columns = (_RIGHT - _LEFT) // (4 if line.coarse else 1)
    found = segments(list(line.points.items()), columns, (across.low, across.high), line.restarts)
    title = f"<title>{text(line.name)}</title>"
    long = "".join(path(part, across, down, steps=steps) for part in found.lines if len(part) > 1)
    dots = "".join(path(part, across, down) for part in found.lines if len(part) == 1)
    parts = [f'<path class="{line.style}" d="{long}">{title}</path>'] if long else []
    parts += [f'<path class="{line.style} dot" d="{dots}">{title}</path>'] if dots else []
    for epoch, value in found.lost:
        at, bottom = round(across.at(epoch) * TENTHS), _BOTTOM * TENTHS
        word = "nan" if math.isnan(value) else str(value)
        parts.append(
            f'<path class="{line.style} lost" d="M{at} {bottom}v-{_LOST * TENTHS}">'
            f"<title>{text(line.name)}: {word} at {epoch:g}</title></path>"
        )
    return "".join(parts)


def spark(points: Sequence[tuple[int, float]], low: float, high: float, style: str) -> str:
    """A small curve for a table, between ``low`` and ``high``; "" for fewer than two finite values."""
    finite = [(epoch, value) for epoch, value in points if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    across = epoch_axis(points[0][0], points[-1][0], 2, 98)
    down = axis_of((low, high), 22, 2, may_be_log=False)
    if down is None:
        return ""
    found = segments(points, 48, (across.low, across.high))
    d = "".join(path(part, across, down) for part in found.lines)
    return (
        f'<svg class="spark {style}" viewBox="0 0 100 24" aria-hidden="true">'
        f'<path transform="scale({1 / TENTHS})" d="{d}"/></svg>'
    )
