"""Lines as SVG. Coordinates are tenths of a pixel in whole numbers, from point to point, which takes the least room."""

from __future__ import annotations

from collections.abc import Sequence

from taorunner.page_frame.frame import text
from taorunner.reports.charts.axes import Axis
from taorunner.reports.charts.points import Point

TENTHS = 10


def path(line: Sequence[Point], across: Axis, down: Axis, *, steps: bool = False) -> str:
    """The ``d`` of a path. ``steps``: each value holds until the next one. A single point is a dot for round line
    ends."""
    places = [(round(across.at(x) * TENTHS), round(down.at(y) * TENTHS)) for x, y in line]
    (x, y), parts = places[0], []
    for next_x, next_y in places[1:]:
        dx, dy = next_x - x, next_y - y
        if steps:
            parts.append(f"h{dx}v{dy}" if dy else f"h{dx}")
        else:
            parts.append(f"{'' if not parts or dx < 0 else ' '}{dx}{'' if dy < 0 else ' '}{dy}")
        x, y = next_x, next_y
    start = f"M{places[0][0]} {places[0][1]}"
    if not parts:
        return f"{start}h0"
    return start + "".join(parts) if steps else f"{start}l{''.join(parts)}"


def grid(across: Axis, down: Axis, across_ticks: Sequence[tuple[float, str]]) -> str:
    """The lines and numbers of both axes."""
    left, right, bottom = across.start, across.end, down.start
    parts = []
    for tick in down.ticks():
        parts.append(
            f'<path class="grid" d="M{left:g} {tick.at:.1f}H{right:g}"/>'
            f'<text class="y" x="{left - 6:g}" y="{tick.at + 3.5:.1f}">{text(tick.text)}</text>'
        )
    parts.append(f'<path class="base" d="M{left:g} {bottom:g}H{right:g}"/>')
    for at, label in across_ticks:
        parts.append(f'<text class="x" x="{at:.1f}" y="{bottom + 15:g}">{text(label)}</text>')
    return "".join(parts)
