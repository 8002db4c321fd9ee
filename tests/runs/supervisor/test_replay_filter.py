"""What a supervisor that continues a run does not emit again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from taorunner.events import EpochProgress, MetricReported, RunQueued, RunStarted, RunWaiting
from taorunner.runs.supervisor.replay_filter import ReplayFilter

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
STARTED = RunStarted(run="r", at=AT, handle="one")
AGAIN = RunStarted(run="r", at=AT, handle="two")
WAITING = RunWaiting(run="r", at=AT, reason="Preempted")
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


def test_what_a_requeued_run_emitted_is_new_again_from_the_moment_it_waits() -> None:
    replay = ReplayFilter([STARTED, EPOCH, LOSS, WAITING, replace(WAITING, reason="Resources")])
    assert replay.new_ones([EPOCH, LOSS]) == [EPOCH, LOSS]
    assert (replay.handle, replay.waiting) == ("one", "Resources")


def test_what_was_read_before_the_next_start_was_reported_is_left_out() -> None:
    replay = ReplayFilter([STARTED, EPOCH, WAITING, LOSS, STARTED])
    assert replay.new_ones([EPOCH, LOSS]) == [EPOCH]
    assert (replay.handle, replay.waiting) == ("one", None)


def test_a_crash_may_keep_the_waiting_from_being_emitted() -> None:
    replay = ReplayFilter([STARTED, EPOCH])
    replay.begin_launch()
    assert replay.new_ones([EPOCH]) == [EPOCH]


def test_a_run_that_waits_for_its_next_attempt_does_not_wait_in_its_engine() -> None:
    queued = RunQueued(run="r", at=AT, project="p", experiment="e", action="train", backend="spot")
    assert ReplayFilter([STARTED, WAITING, queued]).waiting is None
