"""Parallel coordinates: an axis for each key and one for the value, a line for each trial."""

from __future__ import annotations

from collections.abc import Sequence

from taorunner.page_frame.frame import text
from taorunner.reports.charts.axes import Axis, axis_of, tick_text
from taorunner.reports.charts.svg import TENTHS
from taorunner.values.value import Value

WIDTH, HEIGHT = 820, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 760, 34, 226
_MOST_WORDS = 12


class Scale(Value):
    """One axis: of numbers between ``low`` and ``high``, or of ``words``, which are evenly apart."""

    name: str
    low: float = 0
    high: float = 1
    is_log: bool = False
    words: tuple[str, ...] = ()

    def at(self, value: float | str) -> float | None:
        """The pixel of a value; None for a word that the axis does not have."""
        if self.words:
            if value not in self.words:
                return None
            part = self.words.index(str(value)) / max(1, len(self.words) - 1)
            return _BOTTOM + (_TOP - _BOTTOM) * part
        return None if isinstance(value, str) else self._axis.at(value)

    @property
    def _axis(self) -> Axis:
        found = axis_of((self.low, self.high), _BOTTOM, _TOP, may_be_log=False)
        if found is None or self.low < self.high:
            return Axis(self.low, self.high, _BOTTOM, _TOP, self.is_log)
        return found

    def labels(self) -> list[tuple[float, str]]:
        if self.words:
            shown = self.words if len(self.words) <= _MOST_WORDS else (self.words[0], self.words[-1])
            return [(at, word) for word in shown if (at := self.at(word)) is not None]
        return [(self._axis.at(value), tick_text(value)) for value in dict.fromkeys((self.low, self.high))]


class TrialLine(Value):
    """``values`` has one for each axis, None where the trial has none."""

    name: str
    style: str
    values: tuple[float | str | None, ...]


def parallel_chart(title: str, scales: Sequence[Scale], lines: Sequence[TrialLine]) -> str:
    """The lines that come first are drawn last, above the others. "" with fewer than two axes, or without a line."""
    if len(scales) < 2 or not lines:
        return ""
    apart = (_RIGHT - _LEFT) / (len(scales) - 1)
    parts = []
    for place, scale in enumerate(scales):
        x = _LEFT + place * apart
        parts.append(
            f'<path class="base" d="M{x:.1f} {_TOP}V{_BOTTOM}"/>'
            f'<text class="x" x="{x:.1f}" y="16">{text(scale.name)}</text>'
        )
        parts += [
            f'<text class="x" x="{x:.1f}" y="{_label_at(at):.1f}">{text(word)}</text>'
            for at, word in scale.labels()
        ]
    drawn = "".join(_drawn(line, scales, apart) for line in reversed(lines))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(title)}">{"".join(parts)}'
        f'<g class="lines" transform="scale({1 / TENTHS})">{drawn}</g></svg>'
    )


def _label_at(at: float) -> float:
    """Below the lower end, above the upper one, beside what is between."""
    if at >= _BOTTOM - 1:
        return at + 15
    return at - 5


def _drawn(line: TrialLine, scales: Sequence[Scale], apart: float) -> str:
    d, is_down = "", False
    for place, (scale, value) in enumerate(zip(scales, line.values, strict=True)):
        at = None if value is None else scale.at(value)
        if at is None:
            is_down = False
            continue
        d += f"{'L' if is_down else 'M'}{round((_LEFT + place * apart) * TENTHS)} {round(at * TENTHS)}"
        is_down = True
    return f'<path class="{line.style}" d="{d}"><title>{text(line.name)}</title></path>' if d else ""
