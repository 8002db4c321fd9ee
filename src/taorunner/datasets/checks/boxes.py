"""Checks of one box: the order of its corners, its area, its size, and whether it lies inside the image.

The one rule for all commands: a box without area is left out, one that is partly outside is clipped, both with a
warning; swapped corners and a box outside of its image are mistakes, which stop.
"""

from __future__ import annotations

from dataclasses import dataclass

from taorunner.datasets.model.boxes import Columns
from taorunner.errors import Severity

Corners = tuple[float, float, float, float]
"""``(x_min, y_min, x_max, y_max)`` in absolute pixels, origin top left."""

_SLACK_PIXELS = 1.0  # tools end the last pixel at width or at width - 1; TAO clips both


@dataclass(frozen=True, slots=True)
class Fault:
    """``is_removed``: nothing of the box can be learnt. ``clipped`` is the part inside the image."""

    severity: Severity
    code: str
    message: str
    is_removed: bool = False
    clipped: Corners | None = None


def are_sound(boxes: Columns, size: tuple[int, int], min_pixels: float) -> bool:
    """Whether ``faults_of`` finds nothing, without saying what. ``min_pixels`` is 2 or more."""
    least, right, bottom = -_SLACK_PIXELS, size[0] + _SLACK_PIXELS, size[1] + _SLACK_PIXELS
    for x_min, y_min, x_max, y_max in zip(*boxes, strict=True):
        is_large = x_max - x_min >= min_pixels and y_max - y_min >= min_pixels
        if is_large and x_min >= least and y_min >= least and x_max <= right and y_max <= bottom:
            continue
        return False
    return True


def faults_of(box: Corners, size: tuple[int, int] | None, min_pixels: float) -> list[Fault]:
    """All faults of the box. ``size`` is width and height of the image, None when unknown."""
    x_min, y_min, x_max, y_max = box
    shown = " ".join(f"{value:.8g}" for value in box)
    if x_max < x_min or y_max < y_min:
        return [Fault(Severity.ERROR, "box-inverted", f"the box {shown} has its corners swapped")]
    if x_max == x_min or y_max == y_min:
        return [Fault(Severity.WARNING, "box-empty", f"the box {shown} has no area", is_removed=True)]
    faults: list[Fault] = []
    if size is not None:
        width, height = size
        image = f"the image of {width}x{height}"
        if x_min >= width or y_min >= height or x_max <= 0 or y_max <= 0:
            message = f"the box {shown} lies outside {image}"
            return [Fault(Severity.ERROR, "box-outside", message, is_removed=True)]
        slack = _SLACK_PIXELS
        if x_min < -slack or y_min < -slack or x_max > width + slack or y_max > height + slack:
            x_min, y_min = max(0.0, x_min), max(0.0, y_min)
            x_max, y_max = min(float(width), x_max), min(float(height), y_max)
            message = f"the box {shown} reaches beyond {image}"
            clipped = (x_min, y_min, x_max, y_max)
            faults.append(Fault(Severity.WARNING, "box-beyond-edge", message, clipped=clipped))
    if min(x_max - x_min, y_max - y_min) < min_pixels:
        message = f"the box {shown} is narrower than {min_pixels:.3g} pixels"
        faults.append(Fault(Severity.WARNING, "box-tiny", message))
    return faults
