"""A curve in one line of blocks: ``▁▂▄▆█``."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """``values`` as at most ``width`` blocks between their least and their greatest; "" for fewer than two of them.

    More values than blocks are averaged in groups. A value that is not finite is a blank.
    """
    finite = [value for value in values if math.isfinite(value)]
    if width < 2 or len(finite) < 2:
        return ""
    shown = list(values) if len(values) <= width else _grouped(values, width)
    known = [value for value in shown if math.isfinite(value)]
    least, span = min(known), max(known) - min(known)
    if not math.isfinite(span):
        return ""
    top = len(_BLOCKS) - 1
    return "".join(
        " "
        if not math.isfinite(value)
        else _BLOCKS[round((value - least) / span * top)]
        if span
        else _BLOCKS[top // 2]
        for value in shown
    )


def _grouped(values: Sequence[float], width: int) -> list[float]:
    groups = [values[i * len(values) // width : (i + 1) * len(values) // width] for i in range(width)]
    means = []
    for group in groups:
        finite = [value for value in group if math.isfinite(value)]
        means.append(sum(finite) / len(finite) if finite else math.nan)
    return means
