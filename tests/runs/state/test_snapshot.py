import json
import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.events import (
    CheckpointSaved,
    EpochProgress,
    Event,
    ImagePulled,
    ImagePulling,
    LogLine,
    MetricReported,
    Notice,
    RunFinished,
    RunQueued,
    RunStarted,
    RunState,
    RunWaiting,
    from_json_line,
)
from taorunner.runs.state.metric_names import Best, Judged, is_lower_better, kpi_name, loss_name
from taorunner.runs.state.snapshot import Fold, fold

T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


QUEUED = RunQueued(
    run="r1", at=at(0), project="p", experiment="e", action="train", backend="docker", epochs=10
)
STARTED = RunStarted(run="r1", at=at(5), image="tao:5", image_digest="sha256:ab", gpus=("1",), handle="h1")


def epoch_end(epoch: int, seconds: float, **more: object) -> EpochProgress:
    return replace(EpochProgress(run="r1", at=at(seconds), epoch=epoch, completed=True), **more)  # type: ignore[arg-type]


def step(epoch: int, number: int, seconds: float, steps: int = 100) -> EpochProgress:
    return EpochProgress(run="r1", at=at(seconds), epoch=epoch, epochs=10, step=number, steps=steps)


def metric(name: str, value: float, epoch: int | None = None) -> MetricReported:
    return MetricReported(run="r1", at=at(20), name=name, value=value, epoch=epoch)


def test_the_whole_way_gives_the_json_of_the_interface() -> None:
    snapshot = fold(
        [
            QUEUED,
            ImagePulling(run="r1", at=at(1), image="tao:5", layers_done=1, layers=3, bytes_done=5),
            ImagePulled(run="r1", at=at(2), image="tao:5", digest="sha256:ab"),
            STARTED,
            step(1, 50, 10),
            epoch_end(1, 15),
            metric("loss", 0.5, 1),
            metric("loss", math.nan, 2),
            metric("val_mAP", 0.25, 1),
            step(2, 50, 20),
        ]
    )
    body = snapshot.to_json(Path("/w/.taorunner/runs/r1"), now=at(20))
    assert body == {
        "id": "r1",
        "short_id": "r1",
        "project": "p",
        "experiment": "e",
        "action": "train",
        "backend": "docker",
        "state": "RUNNING",
        "waiting": None,
        "reason": None,
        "exit_code": None,
        "image": "tao:5",
        "image_digest": "sha256:ab",
        "gpus": ["1"],
        "epoch": 2,
        "epochs": 10,
        "eta_s": 40.0,
        "metrics": {"loss": "nan", "val_mAP": 0.25},
        "best": {"loss": {"value": 0.5, "epoch": 1}, "val_mAP": {"value": 0.25, "epoch": 1}},
        "measured_by": None,
        "queued_at": "2026-03-01T12:00:00+00:00",
        "started_at": "2026-03-01T12:00:05+00:00",
        "finished_at": None,
        "directory": "/w/.taorunner/runs/r1",
    }
    json.dumps(body, allow_nan=False)


def test_a_late_completion_does_not_move_the_position_back_but_is_measured() -> None:
    snapshot = fold([QUEUED, STARTED, step(1, 1, 10), step(2, 30, 22), epoch_end(1, 20)])
    assert (snapshot.epoch, snapshot.epoch_completed, snapshot.step) == (2, False, 30)
    assert snapshot.timing.epoch_durations_s == (10.0,)


def test_the_same_events_twice_give_the_same_snapshot() -> None:
    events: list[Event] = [
        QUEUED,
        STARTED,
        step(1, 50, 10),
        epoch_end(1, 15),
        metric("loss", 1.0, 1),
        CheckpointSaved(run="r1", at=at(15), path="m/epoch_001.pth", epoch=1),
        Notice(run="r1", at=at(16), level="warning", code="shm-small", text="64 MiB of shared memory"),
        step(2, 50, 20),
        RunFinished(run="r1", at=at(30), state=RunState.FAILED, reason="out of memory", exit_code=1),
    ]
    assert fold([*events, *events]) == fold(events)


def test_eta_is_the_mean_of_measured_epochs_less_the_time_in_this_one() -> None:
    snapshot = fold([QUEUED, STARTED, step(1, 1, 10), epoch_end(1, 20), epoch_end(2, 40), step(3, 1, 41)])
    assert snapshot.timing.epoch_durations_s == (10.0, 20.0)
    assert snapshot.eta_s(at(45)) == 7 * 15 + (15 - 5)
    assert snapshot.eta_s(at(500)) == 7 * 15


def test_only_the_last_epochs_count_for_the_eta() -> None:
    ends = [epoch_end(n, 100 * n) for n in range(1, 4)] + [epoch_end(n, 300 + n) for n in range(4, 10)]
    snapshot = fold([QUEUED, STARTED, *ends])
    assert snapshot.timing.epoch_durations_s == (1.0, 1.0, 1.0, 1.0, 1.0)


def test_within_the_first_epoch_the_eta_comes_from_the_step_rate() -> None:
    snapshot = fold([QUEUED, STARTED, step(1, 10, 10), step(1, 30, 20)])
    assert snapshot.eta_s(at(20)) == 9 * 100 * 0.5 + 70 * 0.5


def test_taos_claim_is_used_when_nothing_is_measured_and_it_runs_down() -> None:
    claim = EpochProgress(run="r1", at=at(10), epoch=1, eta_s=100)
    snapshot = fold([STARTED, claim])
    assert (snapshot.eta_s(at(10)), snapshot.eta_s(at(40)), snapshot.eta_s(at(999))) == (100, 70, 0)


def test_a_clock_set_back_gives_no_negative_duration() -> None:
    snapshot = fold([QUEUED, STARTED, epoch_end(1, 100), epoch_end(2, 50), epoch_end(3, 60)])
    assert snapshot.timing.epoch_durations_s == (10.0,)
    assert snapshot.eta_s(at(0)) == 70.0
    assert snapshot.elapsed_s(at(-50)) == 0.0


def test_epochs_caught_up_in_one_moment_take_as_long_as_tao_says() -> None:
    ends = [epoch_end(n, 100, epoch_s=30.0) for n in range(1, 5)]
    assert fold([QUEUED, STARTED, *ends]).eta_s(at(100)) == 6 * 30.0


def test_eta_is_nothing_before_the_start_and_after_the_end() -> None:
    running = [QUEUED, STARTED, epoch_end(1, 10), epoch_end(2, 20)]
    end = RunFinished(run="r1", at=at(30), state=RunState.STOPPED, reason="stopped by you")
    assert fold([QUEUED]).eta_s(at(1)) is None
    assert fold(running).eta_s(at(20)) == 80.0
    assert fold([*running, end]).eta_s(at(31)) is None


@pytest.mark.parametrize(
    ("before", "end", "shown"),
    [
        ([step(1, 70, 10)], epoch_end(1, 20), (100, 100)),
        ([step(1, 70, 10, steps=0)], epoch_end(1, 20), (70, None)),
        ([], epoch_end(1, 20, step=9, steps=9), (9, 9)),
        ([], epoch_end(1, 20), (None, None)),
        ([step(1, 70, 10), step(1, 60, 11)], step(1, 80, 12), (80, 100)),
        ([step(1, 70, 10), epoch_end(1, 20)], step(1, 80, 21), (100, 100)),  # printed late
        ([step(1, 70, 10), epoch_end(1, 20)], step(2, 5, 21), (5, 100)),
        ([step(2, 5, 10)], step(1, 80, 11), (5, 100)),  # of an epoch that is over
    ],
)
def test_a_completed_epoch_is_at_its_last_step(
    before: list[EpochProgress], end: EpochProgress, shown: tuple[int | None, int | None]
) -> None:
    snapshot = fold([QUEUED, STARTED, *before, end])
    assert (snapshot.step, snapshot.steps) == shown


def test_the_fraction_follows_steps_and_between_them_the_clock() -> None:
    assert fold([QUEUED, STARTED]).fraction(at(6)) is None
    assert fold([QUEUED, STARTED, step(3, 50, 10)]).fraction(at(10)) == 0.25
    by_clock = fold([QUEUED, STARTED, epoch_end(1, 10), epoch_end(2, 20)])
    assert by_clock.fraction(at(25)) == 0.25
    assert by_clock.fraction(at(1000)) == pytest.approx(0.295)


def test_more_epochs_than_planned_stay_within_the_whole() -> None:
    snapshot = fold([QUEUED, STARTED, step(12, 5, 10)])
    assert snapshot.fraction(at(10)) == 1.0


def test_success_is_the_whole_even_when_stopped_early() -> None:
    end = RunFinished(run="r1", at=at(30), state=RunState.SUCCEEDED, reason="trained 4 epochs", exit_code=0)
    assert fold([QUEUED, STARTED, step(4, 5, 10), end]).fraction(at(40)) == 1.0


def test_the_first_end_is_the_end_but_a_lost_run_may_be_found() -> None:
    failed = RunFinished(run="r1", at=at(30), state=RunState.FAILED, reason="a", exit_code=1)
    won = RunFinished(run="r1", at=at(31), state=RunState.SUCCEEDED, reason="b", exit_code=0)
    lost = RunFinished(run="r1", at=at(29), state=RunState.LOST, reason="c")
    assert fold([failed, won]).state is RunState.FAILED
    assert (fold([lost, won]).state, fold([lost, won]).reason) == (RunState.SUCCEEDED, "b")


def test_an_end_that_is_no_end_is_ignored() -> None:
    odd = RunFinished(run="r1", at=at(30), state=RunState.RUNNING, reason="?")
    assert fold([STARTED, odd]).finished_at is None


def test_events_after_the_end_do_not_bring_a_run_back() -> None:
    end = RunFinished(run="r1", at=at(30), state=RunState.FAILED, reason="a", exit_code=1)
    snapshot = fold([QUEUED, end, STARTED, step(1, 1, 40), metric("loss", 1.0)])
    assert (snapshot.state, snapshot.epoch, dict(snapshot.metrics)) == (RunState.FAILED, 1, {"loss": 1.0})


def test_progress_without_a_start_means_running() -> None:
    assert fold([QUEUED, step(1, 1, 3)]).state is RunState.RUNNING


def test_another_attempt_begins_at_its_beginning() -> None:
    again = replace(STARTED, at=at(100), handle="h2")
    snapshot = fold([QUEUED, STARTED, epoch_end(5, 50), again, step(1, 10, 110)])
    assert (snapshot.epoch, snapshot.epoch_completed, snapshot.step) == (1, False, 10)
    assert snapshot.started_at == at(5)


WAITING = RunWaiting(run="r1", at=at(60), reason="Preempted")


def test_a_running_run_that_its_engine_requeues_waits_and_keeps_what_it_reached() -> None:
    snapshot = fold([QUEUED, STARTED, epoch_end(5, 50), metric("val_mAP", 0.5, 5), WAITING])
    assert (snapshot.state, snapshot.waiting, snapshot.epoch) == (RunState.WAITING, "Preempted", 5)
    assert (snapshot.started_at, snapshot.eta_s(at(70))) == (at(5), None)
    assert (snapshot.waited_s(at(70)), snapshot.elapsed_s(at(70))) == (10.0, 65.0)
    assert snapshot.to_json(Path("/w"))["waiting"] == "Preempted"


def test_a_requeued_run_begins_again_at_its_next_launch() -> None:
    another = replace(WAITING, at=at(65), reason="Resources")
    again = replace(STARTED, at=at(100))
    before = [
        QUEUED,
        STARTED,
        epoch_end(5, 50),
        metric("acc", 0.5, 5),
        metric("loss", 0.5, 5),
        WAITING,
        another,
    ]
    waiting = fold(before)
    assert (waiting.waiting, waiting.requeued_at) == ("Resources", at(60))
    first = [metric("acc", 0.25, 1), metric("loss", 1.5, 1), metric("loss", 0.25, 1), metric("loss", 0.75, 1)]
    for events in ([again, step(1, 10, 110)], [step(1, 10, 110), again]):  # status.json may be read first
        snapshot = fold([*before, *events, *first])
        assert (snapshot.state, snapshot.waiting, snapshot.started_at) == (RunState.RUNNING, None, at(5))
        assert (snapshot.epoch, snapshot.step, snapshot.requeued_at, snapshot.requeues) == (1, 10, None, 1)
        assert dict(snapshot.metrics) == {"acc": 0.25, "loss": 0.75}
        assert dict(snapshot.best) == {"acc": Best(0.5, 5), "loss": Best(0.5, 5)}


def test_an_ended_run_does_not_wait() -> None:
    end = RunFinished(run="r1", at=at(70), state=RunState.STOPPED, reason="stopped")
    assert fold([QUEUED, STARTED, WAITING, end, WAITING]) == replace(
        fold([QUEUED, STARTED, WAITING, end]), last_event_at=at(70)
    )
    assert fold([QUEUED, STARTED, WAITING, end]).waiting is None


def test_events_of_another_run_and_log_lines_change_nothing() -> None:
    base = fold([QUEUED, STARTED])
    other = replace(STARTED, run="r2", gpus=("7",), at=at(99))
    line = LogLine(run="r1", at=at(98), text="hello")
    assert fold([QUEUED, STARTED, other, line]) == base


def test_the_pull_is_there_only_while_it_lasts() -> None:
    pulling = ImagePulling(run="r1", at=at(2), image="tao:5", layers_done=2, layers=9, bytes_done=10)
    older = replace(pulling, at=at(1), layers_done=1)
    snapshot = fold([QUEUED, pulling, older])
    assert (snapshot.state, snapshot.pull) == (RunState.STARTING, pulling)
    assert fold([QUEUED, pulling, ImagePulled(run="r1", at=at(3), image="tao:5")]).pull is None
    assert fold([QUEUED, STARTED, pulling]).state is RunState.RUNNING


def test_best_knows_the_direction_and_never_takes_a_nan() -> None:
    snapshot = fold(
        [
            metric("val_mAP", math.nan, 1),
            metric("val_mAP", 0.4, 2),
            metric("val_mAP", 0.3, 3),
            metric("val_loss", 2.0, 2),
            metric("val_loss", math.inf, 3),
            metric("learning_rate", 0.1, 1),
        ]
    )
    assert dict(snapshot.best) == {"val_mAP": Best(0.4, 2), "val_loss": Best(2.0, 2)}
    assert dict(snapshot.metrics) == {"val_mAP": 0.3, "val_loss": math.inf, "learning_rate": 0.1}


def test_the_direction_that_an_event_names_counts_before_its_name() -> None:
    """A rate of errors whose name no rule knows, a count that sounds like a score, and a metric of a record of 0.1.0."""
    said = [
        replace(metric(name, value, epoch), direction=direction, rank=rank)
        for epoch in (1, 2)
        for name, value, direction, rank in (
            ("val_miss", 0.1 * epoch, "down", 1), ("val_mAP", 0.2 * epoch, "up", 0),
            ("MulticlassAccuracy", 0.0, "none", None), ("val_acc", 0.3 * epoch, None, None),
        )
    ]  # fmt: skip
    snapshot = fold(said)
    assert dict(snapshot.best) == {
        "val_miss": Best(0.1, 1), "val_mAP": Best(0.4, 2), "val_acc": Best(0.6, 2),
    }  # fmt: skip
    assert kpi_name(snapshot.best, snapshot.judged) == "val_mAP"
    assert kpi_name(["MulticlassAccuracy"], snapshot.judged) is None
    assert kpi_name(["val_miss", "val_acc"], snapshot.judged) == "val_miss"


def test_the_metric_that_ranks_may_be_a_loss() -> None:
    judged = {"train_loss": Judged("down", 0), "lr": Judged("none")}
    assert kpi_name(["lr", "train_loss"], judged) == "train_loss"


def test_of_an_epoch_the_last_value_counts() -> None:
    """Values within an epoch are no results: the best loss of a training that diverged is none of a step."""
    steps = [
        metric("loss", 0.5, 1),
        metric("loss", 2.0, 1),
        metric("loss", 1.5, 2),
        metric("loss", math.nan, 2),
    ]
    assert fold(steps[:1]).best["loss"] == Best(0.5, 1)
    assert fold(steps[:2]).best["loss"] == Best(2.0, 1)
    assert fold(steps).best["loss"] == Best(2.0, 1)
    assert "loss" not in fold(steps[3:]).best


def test_a_figure_that_the_console_rounded_gives_way_to_the_exact_one() -> None:
    snapshot = fold([metric("AP", 0.0009, 1), metric("AP", 0.001, 2), metric("AP", 0.00095, 2)])
    assert snapshot.best["AP"] == Best(0.00095, 2)


def test_the_first_of_equal_values_is_the_best() -> None:
    assert fold([metric("val_acc", 0.5, 1), metric("val_acc", 0.5, 2)]).best["val_acc"] == Best(0.5, 1)


def test_an_older_metric_that_comes_late_is_not_the_newest() -> None:
    snapshot = fold([metric("acc", 0.5, 4), metric("acc", 0.9, 3)])
    assert (snapshot.metrics["acc"], snapshot.best["acc"]) == (0.5, Best(0.9, 3))


def test_a_snapshot_is_not_changed_by_later_events() -> None:
    folding = Fold("r1")
    folding.apply(metric("loss", 2.0, 1))
    before = folding.snapshot
    folding.apply(metric("loss", 1.0, 2))
    assert (dict(before.metrics), dict(before.best)) == ({"loss": 2.0}, {"loss": Best(2.0, 1)})


def test_the_same_checkpoint_written_again_counts_once() -> None:
    one = CheckpointSaved(run="r1", at=at(1), path="latest.pth")
    two = CheckpointSaved(run="r1", at=at(2), path="epoch_002.pth")
    snapshot = fold([one, one, two])
    assert (snapshot.checkpoints, snapshot.last_checkpoint) == (2, "epoch_002.pth")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss", True),
        ("loss(cross_entropy)", True),
        ("validation_loss", True),
        ("val/epe", True),
        ("fid50k_full", True),
        ("abs_rel", True),
        ("mse", True),
        ("time_per_step", None),
        ("inference time", True),
        ("val_mAP50", False),
        ("mean average precision", False),
        ("mIoU", False),
        ("test_acc", False),
        ("hmean", False),
        ("timestep_accuracy", False),
        ("learning_rate", None),
        ("lr", None),
        ("", False),
        ("val_2DMPE", True),
        ("train_fpr", True),
        ("test_fnr", True),
        ("val/i2t_MedR", True),
        ("val/t2i_MeanR", True),
        ("val/bp2", True),
        ("img_bbox/mATE", True),
        ("mAAE", True),
        ("validation cost", True),
        ("evaluation_cost ", True),
        ("seen_images", None),
        ("Number of objects", None),
        ("temperature_accuracy", False),
        ("val_3DIoU", False),
    ],
)
def test_direction_of_metrics(name: str, expected: bool | None) -> None:
    assert is_lower_better(name) is expected


@pytest.mark.parametrize(
    ("names", "kpi", "loss"),
    [
        (["val_mAP50", "val_mAP", "train_loss", "val_loss", "lr"], "val_mAP", "train_loss"),
        (["loss", "validation_loss", "mean average precision", "AP_car"], "mean average precision", "loss"),
        (["training_accuracy", "validation_accuracy", "loss"], "validation_accuracy", "loss"),
        (["val_miou", "val_acc"], "val_miou", None),
        (["val/epe"], "val/epe", None),
        (["val_loss"], None, "val_loss"),
        ([], None, None),
    ],
)
def test_the_loss_and_the_kpi_among_many_metrics(names: list[str], kpi: str | None, loss: str | None) -> None:
    assert (kpi_name(names), loss_name(names)) == (kpi, loss)


_numbers = st.one_of(st.none(), st.integers(-3, 300), st.floats(), st.text(max_size=2))
_times = st.integers(-5000, 5000).map(at)
_events = st.one_of(
    st.builds(
        EpochProgress, run=st.just("r1"), at=_times, epoch=_numbers, epochs=_numbers, step=_numbers,
        steps=_numbers, completed=st.booleans(), epoch_s=_numbers, eta_s=_numbers,
    ),
    st.builds(MetricReported, run=st.just("r1"), at=_times, name=st.text(max_size=5), value=st.floats()),
    st.builds(RunFinished, run=st.just("r1"), at=_times, state=st.sampled_from(RunState), reason=st.just("")),
    st.builds(RunStarted, run=st.just("r1"), at=_times, handle=st.sampled_from(["h1", "h2"])),
    st.builds(
        ImagePulling, run=st.just("r1"), at=_times, image=st.just("i"), layers_done=st.just(0),
        layers=st.just(0), bytes_done=st.just(0),
    ),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(_events, max_size=30), _times)
def test_any_events_in_any_order_give_a_consistent_snapshot(events: list[Event], now: datetime) -> None:
    snapshot = fold(events, "r1")
    fraction, eta_s, elapsed_s = snapshot.fraction(now), snapshot.eta_s(now), snapshot.elapsed_s(now)
    assert fraction is None or 0.0 <= fraction <= 1.0
    assert eta_s is None or (eta_s >= 0 and math.isfinite(eta_s))
    assert elapsed_s is None or elapsed_s >= 0
    json.dumps(snapshot.to_json(Path("/r"), now), allow_nan=False)


def test_metrics_of_a_record_of_0_1_0_are_judged_by_their_names() -> None:
    line = '{"event": "MetricReported", "run": "r1", "at": "2026-03-01T12:00:00+00:00", "name": "%s", "value": %s, "epoch": 1}'
    events = [from_json_line(line % said) for said in (("val_mAP", 0.5), ("val_loss", 2.0), ("lr", 0.1))]
    snapshot = fold([event for event in events if event is not None])
    assert dict(snapshot.best) == {"val_mAP": Best(0.5, 1), "val_loss": Best(2.0, 1)}
    assert kpi_name(snapshot.best, snapshot.judged) == "val_mAP"


def test_a_run_that_waits_for_its_next_attempt_is_queued_again_and_an_ended_one_is_not() -> None:
    again = replace(QUEUED, at=at(80))
    retried = fold([QUEUED, STARTED, WAITING, again])
    assert (retried.state, retried.waiting, retried.queued_at) == (RunState.QUEUED, None, at(0))
    assert fold([QUEUED, STARTED, QUEUED]).state is RunState.RUNNING  # the same event, read twice
    end = RunFinished(run="r1", at=at(70), state=RunState.FAILED, reason="killed")
    assert fold([QUEUED, STARTED, end, again]).state is RunState.FAILED


def test_a_waiting_run_that_was_not_running_was_not_requeued() -> None:
    waiting = fold([QUEUED, WAITING])
    assert (waiting.state, waiting.requeued_at) == (RunState.WAITING, None)
    pulled = ImagePulling(run="r1", at=at(2), image="tao:5", layers_done=1, layers=3, bytes_done=5)
    assert fold([QUEUED, pulled, WAITING]).pull is None


def test_without_any_measurement_and_claim_there_is_no_eta() -> None:
    assert fold([QUEUED, STARTED]).eta_s(at(10)) is None
    assert fold([QUEUED, STARTED, step(1, 10, 10)]).eta_s(at(20)) is None
    assert fold([QUEUED, STARTED, *(epoch_end(n, 10.0 * n) for n in range(1, 11))]).eta_s(at(200)) == 0.0


def test_the_first_steps_say_nothing_about_the_end() -> None:
    """The first step of a training takes long: compiling, filling caches."""

    def after(step: int, seconds: float) -> float | None:
        events = [
            RunStarted(run="r", at=T0, handle="h"),
            EpochProgress(run="r", at=T0, epoch=1, epochs=10, step=1, steps=100),
            EpochProgress(
                run="r", at=T0 + timedelta(seconds=seconds), epoch=1, epochs=10, step=step, steps=100
            ),
        ]
        return fold(events).eta_s(T0 + timedelta(seconds=seconds))

    assert after(2, 30) is None
    assert after(5, 32) is None
    assert after(6, 33) == pytest.approx((94 + 900) * 33 / 5)
