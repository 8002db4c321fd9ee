"""Precision over recall, a line for each class."""

from __future__ import annotations

from collections.abc import Sequence

from taorunner.page_frame.frame import text
from taorunner.reports.charts.axes import Axis
from taorunner.reports.charts.svg import TENTHS, grid, path
from taorunner.values.value import Value

WIDTH, HEIGHT = 400, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 384, 10, 262


class PrLine(Value):
    """``points`` are recall and precision, by recall."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


def pr_chart(title: str, lines: Sequence[PrLine]) -> str:
    """The lines that come first are drawn last, above the others."""
    across, down = Axis(0, 1, _LEFT, _RIGHT), Axis(0, 1.02, _BOTTOM, _TOP)
    ticks = [(tick.at, tick.text) for tick in across.ticks()]
    drawn = "".join(
        f'<path class="{line.style}" d="{path(line.points, across, down)}"><title>{text(line.name)}</title></path>'
        for line in reversed(lines)
        if line.points
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(title)}">{grid(across, down, ticks)}'
        f'<text class="x" x="{(_LEFT + _RIGHT) / 2:g}" y="{HEIGHT - 6}">recall</text>'
        f'<text class="y turned" x="{-(_TOP + _BOTTOM) / 2:g}" y="12" transform="rotate(-90)">precision</text>'
        f'<g class="lines" transform="scale({1 / TENTHS})">{drawn}</g></svg>'
    )
