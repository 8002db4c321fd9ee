"""Axes: from values to pixels, linear or logarithmic, with round numbers at their ticks. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from taorunner.values.value import Value

LOG_FROM = 100.0
"""From this ratio between the greatest and the least value on an axis is logarithmic."""
_TICKS = 4
_STEPS = (1, 2, 2.5, 5, 10)
_MOST_DECADES = 5


class Tick(Value):
    """``at`` in pixels."""

    at: float
    text: str


class Axis(Value):
    """``low`` and ``high`` are values, drawn at the pixels ``start`` and ``end``."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a finite value; beyond the ends that of the end."""
        low, high = _quarter(self.low, self.is_log), _quarter(self.high, self.is_log)
        if self.is_log and value <= 0:
            return self.start
        part = (_quarter(value, self.is_log) - low) / (high - low)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, part))

    def ticks(self) -> list[Tick]:
        values = _decades(self.low, self.high) if self.is_log else _round_steps(self.low, self.high)
        texts = [tick_text(value) for value in values] if self.is_log else _texts(values)
        return [Tick(self.at(value), text) for value, text in zip(values, texts, strict=True)]


def axis_of(values: Iterable[float], start: float, end: float, *, may_be_log: bool = True) -> Axis | None:
    """Around the finite values, None without one."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    is_log = may_be_log and low > 0 and high / LOG_FROM > low
    if not is_log:
        if not low / 4 < high / 4:
            around = abs(low) / 10 or 1.0
            low, high = low - around, high + around
        margin = (high / 4 - low / 4) * 0.16
        low, high = low - margin, high + margin
    most = 1.7e308
    return Axis(max(low, -most), min(high, most), start, end, is_log)


def epoch_axis(first: float, last: float, start: float, end: float) -> Axis:
    return Axis(first, last, start, end) if last > first else Axis(first - 1, first + 1, start, end)


def epoch_ticks(axis: Axis) -> list[Tick]:
    """Whole numbers alone."""
    return [
        Tick(axis.at(value), f"{value:,.0f}")
        for value in _round_steps(axis.low, axis.high, whole=True)
        if value == int(value)
    ]


def _quarter(value: float, is_log: bool) -> float:
    """A quarter, so that the difference of two values is a number, however far apart they are."""
    return (math.log10(value) if is_log else value) / 4


def _round_steps(low: float, high: float, *, whole: bool = False) -> list[float]:
    span = high / 4 - low / 4
    if not span > 0:
        return [low]
    rough = span / _TICKS * 4 if math.isfinite(span / _TICKS * 4) else span
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * one for one in _STEPS if unit * one >= rough * 0.999)
    step = max(1.0, math.ceil(step)) if whole else step
    number = math.ceil(low / step - 1e-9)
    found: list[float] = []
    while number * step <= high + step * 1e-9 and len(found) < 12:
        found.append(number * step)
        number += 1
    return found


def _decades(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    apart = max(1, -(-(last - first + 1) // _MOST_DECADES))
    return [10.0**power for power in range(first, last + 1, apart)]


def _texts(values: Sequence[float]) -> list[str]:
    """With as many decimals as the distance of the ticks has."""
    if len(values) < 2:
        return [tick_text(value) for value in values]
    step, most = abs(values[1] - values[0]), max(abs(value) for value in values)
    if most >= 1e6 or step < 1e-4:
        return [tick_text(value) for value in values]
    decimals = next((one for one in range(8) if abs(round(step, one) - step) < step * 1e-6), 8)
    return [f"{value:,.{decimals}f}" if abs(value) > step / 2 else "0" for value in values]


def tick_text(value: float) -> str:
    """``0.01``, ``100``, ``1e-4``."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        mantissa, _, power = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    return f"{value:.4g}"
