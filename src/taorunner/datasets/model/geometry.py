"""Says what the corners of an object form."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]
_SLACK_PIXELS = 0.5


def is_upright(points: Sequence[Point]) -> bool:
    """True when every point is a corner of the bounding box of all, within half a pixel."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return all(
        min(x - min(xs), max(xs) - x) < _SLACK_PIXELS and min(y - min(ys), max(ys) - y) < _SLACK_PIXELS
        for x, y in points
    )


def is_rectangle(points: Sequence[Point]) -> bool:
    """True for four corners with right angles, within a pixel or a hundredth of the diagonals."""
    if len(points) != 4:
        return False
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
    first, second = math.hypot(cx - ax, cy - ay), math.hypot(dx - bx, dy - by)
    slack = 2 * max(1.0, first / 100)
    is_centred = abs(ax + cx - bx - dx) <= slack and abs(ay + cy - by - dy) <= slack
    return is_centred and abs(first - second) <= slack and first > 0
