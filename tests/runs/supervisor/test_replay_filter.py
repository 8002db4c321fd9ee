"""What a supervisor that continues a run does not emit again."""

from __future__ import annotations

from datetime import datetime, timezone

from taorunner.events import EpochProgress, MetricReported, RunStarted
from taorunner.runs.supervisor.replay_filter import ReplayFilter

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
STARTED = RunStarted(run="r", at=AT, handle="one")
AGAIN = RunStarted(run="r", at=AT, handle="two")
EPOCH = EpochProgress(run="r", at=AT, epoch=1, completed=True)
LOSS = MetricReported(run="r", at=AT, name="val_loss", value=float("nan"), epoch=1)


def test_what_this_attempt_emitted_is_left_out() -> None:
    replay = ReplayFilter([STARTED, EPOCH, LOSS])
    assert replay.new_ones([EPOCH, LOSS]) == []
    assert (replay.handle, replay.waiting) == ("one", None)


def test_what_an_earlier_attempt_emitted_is_new_again() -> None:
    replay = ReplayFilter([STARTED, EPOCH, LOSS, AGAIN])
    assert replay.new_ones([EPOCH, LOSS]) == [EPOCH, LOSS]
    assert (replay.handle, replay.waiting) == ("two", None)
