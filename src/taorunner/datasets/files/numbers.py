"""Numbers and points as annotation files give them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def number(value: Any) -> float | None:
    """A finite number, possibly from text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def bounding_box(points: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """The bounding box of ``points``, which must not be empty."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)
