"""The values of trials in their order, and the best one so far as a line of steps."""

from __future__ import annotations

from collections.abc import Sequence

from taorunner.page_frame.frame import text
from taorunner.reports.charts.axes import axis_of, epoch_axis, epoch_ticks
from taorunner.reports.charts.svg import TENTHS, grid, path
from taorunner.values.value import Value

WIDTH, HEIGHT = 400, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 384, 10, 200


class Dot(Value):
    """``style`` has its colour."""

    number: int
    value: float
    name: str
    style: str


def history_chart(title: str, dots: Sequence[Dot], best_so_far: Sequence[tuple[int, float]]) -> str:
    """ "" without a dot."""
    down = axis_of((dot.value for dot in dots), _BOTTOM, _TOP, may_be_log=False)
    if down is None:
        return ""
    numbers = [dot.number for dot in dots]
    across = epoch_axis(min(numbers), max(numbers), _LEFT, _RIGHT)
    ticks = [(tick.at, tick.text) for tick in epoch_ticks(across)]
    line = f'<path class="c0" d="{path(best_so_far, across, down, steps=True)}"><title>best so far</title></path>'
    drawn = line + "".join(
        f'<path class="{dot.style} dot" d="{path([(dot.number, dot.value)], across, down)}">'
        f"<title>{text(dot.name)}</title></path>"
        for dot in dots
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(title)}">{grid(across, down, ticks)}'
        f'<text class="x" x="{(_LEFT + _RIGHT) / 2:g}" y="{HEIGHT - 8}">trial</text>'
        f'<g class="lines" transform="scale({1 / TENTHS})">{drawn}</g></svg>'
    )
