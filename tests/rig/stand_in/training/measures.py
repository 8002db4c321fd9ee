"""Numbers that look like a training: losses that fall, precision that rises, durations as TAO prints them."""

from __future__ import annotations

from datetime import timedelta


def loss(epoch: int, step: int, steps: int, is_nan: bool) -> float:
    """``epoch`` counts from 1."""
    return float("nan") if is_nan and epoch > 1 else round(2.0 / (epoch + step / max(steps, 1)), 5)


def precision(epoch: int) -> float:
    return round(1 - 1 / (epoch + 1), 5)


def span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds, 6)))
