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


def ran_at(record: RunRecord, moment_s: float, now: datetime, *, exact: bool = False) -> bool:
    """Whether the run was under way at ``moment_s`` (seconds of the epoch), as far as clocks agree.

    With ``exact`` they are taken to agree: of two runs in a row, both can be under way otherwise.
    """
    if record.started_at is None:
        return False
    ended = record.finished_at or now
    slack_s = 0.0 if exact else CLOCK_SLACK_S
    return began_at(record).timestamp() - slack_s <= moment_s <= ended.timestamp() + slack_s
