"""Values of a comparison as short texts: of specs, datasets, weights, images and metrics."""

from __future__ import annotations

from taorunner.console.base.formatting import clean, number
from taorunner.runs.comparison.differences import UNKNOWN, UNSET, Difference
from taorunner.runs.comparison.metrics import ComparedMetric, MetricOfRun
from taorunner.text import amount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_ON_RECORD = "not on record"
DEFAULT = "default"
_DIGEST = 6


def value_text(row: Difference, place: int) -> str:
    """The value of the run at ``place``: whole, in one line."""
    value = row.values[place]
    if value is UNKNOWN:
        return NOT_ON_RECORD
    if value is UNSET:
        return DEFAULT if row.kind == "spec" else "none"
    if row.kind == "data":
        count = amount(value["images"], "image") if value["images"] else amount(value["files"], "file")
        return f"{count} {_short(value['fingerprint'])}".rstrip()
    if row.kind == "weights":
        return f"{clean(value['path'].rpartition('/')[2])} {_short(value['sha256'])}".rstrip()
    if row.kind == "image":
        digest = _short((value["digest"] or "").removeprefix("sha256:"))
        return f"{clean(value['name'].rpartition('/')[2])} {digest}".rstrip()
    return clean(spec_text(value))


def spec_text(value: Any) -> str:
    """As a spec has it: ``[0, 1]``, ``true``, ``null``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(map(spec_text, value))}]"
    return str(value)


def change_text(row: Difference) -> str:
    """``+14``: how many images or files more the last run read than the first; else empty."""
    first, last = row.values[0], row.values[-1]
    if row.kind != "data" or not isinstance(first, dict) or not isinstance(last, dict):
        return ""
    unit = "images" if first["images"] and last["images"] else "files"
    more = last[unit] - first[unit]
    return f"{more:+,}" if more else ""


def metric_text(value: MetricOfRun, metric: ComparedMetric, place: int) -> str:
    """``0.7120 at 31``; the last value where no direction is known."""
    shown = metric.shown(place)
    if shown is None:
        return number(value.last) if value.last is not None else ""
    at = f" at {value.epoch}" if metric.direction is not None and value.epoch is not None else ""
    return f"{number(shown)}{at}"


def metric_change(metric: ComparedMetric) -> str:
    """``+0.0360 better``"""
    found = metric.change()
    if found is None:
        return ""
    difference, is_better = found
    if difference == 0:
        return "same"
    word = "" if is_better is None else " better" if is_better else " worse"
    return f"{'+' if difference > 0 else ''}{number(difference)}{word}"


def _short(digest: str | None) -> str:
    return digest[:_DIGEST] if digest else ""
