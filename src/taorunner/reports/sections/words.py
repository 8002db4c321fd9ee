"""Names and figures of runs as short texts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from taorunner.console.base.formatting import clean, metric_label
from taorunner.runs.comparison.metrics import ComparedMetric
from taorunner.runs.state.record import RunRecord

LONGEST_NAME = 48


def shortened(name: str, most: int = LONGEST_NAME) -> str:
    """The name, without its middle where it is long."""
    name = clean(name)
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[: most - 1 - half]}…{name[-half:]}"


def metric_text(metric: ComparedMetric) -> str:
    """``val_mAP50 ↑``"""
    arrow = {"up": " ↑", "down": " ↓"}.get(metric.direction or "", "")
    return f"{shortened(metric_label(metric.name))}{arrow}"


def in_order(metrics: Iterable[ComparedMetric]) -> list[ComparedMetric]:
    """Those without a direction last."""
    return sorted(metrics, key=lambda one: one.direction is None)


def seconds_of(record: RunRecord, now: datetime) -> float | None:
    """From its first start to its end, or to ``now``."""
    if record.started_at is None:
        return None
    return max(0.0, ((record.finished_at or now) - record.started_at).total_seconds())


def gpu_hours(record: RunRecord, now: datetime) -> float | None:
    """None where it is not on record how many GPUs it had."""
    seconds = seconds_of(record, now)
    count = len(record.gpus) * (record.nodes or 1)
    return seconds * count / 3600 if seconds is not None and count else None
