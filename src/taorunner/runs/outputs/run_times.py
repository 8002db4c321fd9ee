"""When a run could write: whether a file in the results is its own, by the time of the file."""

from __future__ import annotations

from datetime import datetime

from taorunner.runs.results import CLOCK_SLACK_S
from taorunner.runs.state.record import RunRecord


def began_at(record: RunRecord) -> datetime:
    """The time after which files in the results count as written by the run, over all its attempts."""
    if record.retries_made or record.launched_at is None:
        return record.queued_at
    return min(record.started_at or record.launched_at, record.launched_at)


def ran_at(record: RunRecord, moment_s: float, now: datetime) -> bool:
    """Whether the run was under way at ``moment_s`` (seconds of the epoch), as far as clocks agree."""
    if record.started_at is None:
        return False
    ended = record.finished_at or now
    return began_at(record).timestamp() - CLOCK_SLACK_S <= moment_s <= ended.timestamp() + CLOCK_SLACK_S
