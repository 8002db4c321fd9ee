"""Which files are those of a run, by their times."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taorunner.events import RunState
from taorunner.runs.outputs.run_times import ran_at
from taorunner.runs.state.record import RunRecord

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def minutes(number: float) -> datetime:
    return AT + timedelta(minutes=number)


@pytest.mark.parametrize(
    ("facts", "first", "last"),
    [
        ({"launched_at": minutes(10), "started_at": minutes(12), "finished_at": minutes(20)}, 10, 20),
        ({"launched_at": minutes(10), "started_at": minutes(12)}, 10, 30),  # under way
        ({"launched_at": minutes(15), "started_at": minutes(16), "retries_made": 1}, 0, 30),
        ({"started_at": minutes(12), "finished_at": minutes(20)}, 0, 20),
        ({"launched_at": minutes(16), "started_at": minutes(10), "finished_at": minutes(20)}, 10, 20),
    ],
)
def test_a_run_wrote_from_its_first_launch_to_its_end(facts: dict[str, Any], first: int, last: int) -> None:
    record = RunRecord("r", "b", "p", "e", "train", "local", RunState.RUNNING, AT, **facts)
    wrote = [at for at in range(-5, 40) if ran_at(record, minutes(at).timestamp(), minutes(30))]
    assert wrote == list(range(first, last + 1))


def test_a_run_that_never_started_wrote_nothing() -> None:
    record = RunRecord("r", "b", "p", "e", "train", "local", RunState.QUEUED, AT)
    assert not ran_at(record, AT.timestamp(), minutes(30))
