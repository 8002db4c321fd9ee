from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.contracts import (
    CheckpointContract,
    Contract,
    EpochMark,
    Framework,
    GpuUse,
    ProgressContract,
    SpecContract,
    VerdictContract,
)
from taorunner.events import CheckpointSaved, EpochProgress, Event, MetricReported, Notice
from taorunner.progress.status_json import StatusRecord, parse_line
from taorunner.progress.tracker import Tracker

DATA = Path(__file__).parent / "data"
T0 = datetime(2026, 11, 20, 9, 5, tzinfo=timezone.utc)

KERAS = ProgressContract("keras")
DETECTNET = ProgressContract(
    "session_hook", first_epoch=0, epoch_mark=EpochMark.START, percent_metrics=("mean average precision",)
)
LIGHTNING = ProgressContract("lightning", first_epoch=0, max_epoch_is_last=True)


def make(
    progress: ProgressContract,
    planned: int | None = None,
    action: str = "train",
    verdict: VerdictContract | None = None,
    globs: tuple[str, ...] = (),
    keys: Mapping[str, str] | None = None,
) -> Tracker:
    contract = Contract(
        "net", action, "model", Framework.PYT, "5.0.0", None, ("net",), (),
        SpecContract("yaml", ("train",), keys=keys or {}), progress,
        verdict or VerdictContract(success_statuses=("SUCCESS",)), CheckpointContract(globs=globs), GpuUse.MANY,
    )  # fmt: skip
    return Tracker(contract, "r1", planned)


def records(name: str) -> list[StatusRecord]:
    found = [parse_line(line) for line in (DATA / f"{name}.jsonl").read_bytes().splitlines()]
    return [record for record in found if record is not None]


def epoch(
    number: int, of: int | None = None, step: int | None = None, steps: int | None = None, **more: object
) -> Event:
    event = EpochProgress(run="r1", at=T0, epoch=number, epochs=of, step=step, steps=steps)
    return replace(event, **more)


def metric(name: str, value: float, number: int | None = None) -> Event:
    return MetricReported(run="r1", at=T0, name=name, value=value, epoch=number)


def test_both_sources_of_a_keras_run_give_each_thing_once() -> None:
    tracker = make(KERAS, 2)
    console = (
        b"Epoch 1/2\n85/85 [=====] - 18s 210ms/step - loss: 5.1234\nmAP 0.31\nValidation loss: 6.5\n"
        b"Epoch 2/2\n85/85 [=====] - 18s 210ms/step - loss: 4.0000\n"
    )
    events = tracker.feed_console(console, T0) + tracker.feed_status(records("status_ssd_5"), T0)
    events += tracker.feed_status(records("status_ssd_5")[-1:], T0) + tracker.flush(T0)
    assert [event for event in events if not isinstance(event, Notice)] == [
        epoch(1, 2),
        epoch(1, 2, 85, 85, completed=True, epoch_s=18.0),
        metric("loss", 5.1234, 1),
        metric("mAP", 0.31, 1),
        metric("val_loss", 6.5, 1),
        epoch(2, 2),
        epoch(2, 2, 85, 85, completed=True, epoch_s=18.0),
        metric("loss", 4.0, 2),
        metric("AP/car", 0.41, 1),
        metric("learning_rate", 0.01, 1),
        metric("learning_rate", 0.01, 2),
    ]


def test_lightning_status_alone_is_one_based_and_says_sticky_values_once() -> None:
    tracker = make(
        LIGHTNING, verdict=VerdictContract(success_suffix="finished successfully.", failure_is_final=False)
    )
    events = tracker.feed_status(records("status_dino_7"), T0)
    assert events == [
        metric("val_mAP", 0.4, 1),
        metric("val_mAP50", 0.6, 1),
        metric("val_loss", 5.1, 1),
        epoch(1, 2, completed=True, epoch_s=62.5, eta_s=62.0),
        metric("train_loss", 7.2, 1),
        Notice(
            run="r1", at=T0, level="error", code="tao-failure",
            text="TAO: Could not reach the weights cache, going on without it",
        ),
        metric("val_mAP", 0.4, 2),
        metric("val_mAP50", 0.65, 2),
        metric("val_loss", 4.0, 2),
        epoch(2, 2, completed=True, epoch_s=60.0, eta_s=0.0),
        metric("train_loss", 6.1, 2),
    ]  # fmt: skip
    facts = tracker.facts
    assert (facts.success_message, facts.success_is_last, facts.status_records) == (
        "Train finished successfully.",
        True,
        11,
    )
    assert (facts.epochs_planned, facts.epochs_done) == (2, 2)


def test_lightning_bars_run_ahead_of_a_slowly_read_status() -> None:
    tracker = make(LIGHTNING)
    bars = "".join(f"\rEpoch {e}:  50%|█| {s}/4 [00:01<00:01]\r" for e in (0, 1) for s in (2, 4)).encode()
    assert tracker.feed_console(bars, T0) == [
        epoch(1, None, 2, 4),
        epoch(1, None, 4, 4, completed=True),
        epoch(2, None, 2, 4),
        epoch(2, None, 4, 4),
    ]
    assert tracker.feed_status(records("status_dino_7")[2:5], T0) == [
        metric("val_mAP", 0.4, 1),
        metric("val_mAP50", 0.6, 1),
        metric("val_loss", 5.1, 1),
        metric("train_loss", 7.2, 1),
    ]


def test_a_resumed_run_begins_where_it_resumed() -> None:
    tracker = make(LIGHTNING)
    first = StatusRecord(
        "RUNNING", message="Resuming training from checkpoint: /r/train/dino_model_latest.pth"
    )
    assert tracker.feed_status([first], T0) == [
        Notice(
            run="r1", at=T0, level="info", code="resumed",
            text="resuming training from checkpoint: /r/train/dino_model_latest.pth",
        )
    ]  # fmt: skip
    tracker.feed_console(b"\rEpoch 4:  50%|x| 2/4 [00:01<00:01]\r", T0)
    evaluated = StatusRecord("RUNNING", message="Eval metrics generated.", metrics={"val_mAP": 0.5})
    assert tracker.feed_status([evaluated], T0) == [metric("val_mAP", 0.5, 5)]
    assert tracker.facts.resumed


def test_detectnet_marks_the_beginning_of_epochs_and_percent_becomes_a_share() -> None:
    tracker = make(DETECTNET, 3)
    events = tracker.feed_status(records("status_detectnet_v2"), T0)
    assert events == [
        epoch(1, 3, eta_s=3 * 86400 + 7384.0),
        metric("loss", 0.005, 1),
        metric("learning_rate", 0.0005, 1),
        epoch(1, 3, completed=True, epoch_s=41.2, eta_s=60.0),
        epoch(2, 3, eta_s=60.0),
        metric("loss", 0.004, 2),
        metric("learning_rate", 0.0005, 2),
        epoch(2, 3, completed=True, epoch_s=41.2, eta_s=60.0),
        epoch(3, 3, eta_s=60.0),
        metric("loss", 0.003, 3),
        metric("learning_rate", 0.0005, 3),
        metric("mAP", 0.455, 3),
        epoch(3, 3, completed=True, eta_s=60.0),
    ]


def test_both_sources_of_a_detectnet_run() -> None:
    tracker = make(DETECTNET, 3, globs=("model.epoch-*.hdf5",))
    console = (DATA / "session_hook_detectnet_v2_train.log").read_bytes()
    events = tracker.feed_console(console, T0) + tracker.feed_status(records("status_detectnet_v2"), T0)
    done = [event.epoch for event in events if isinstance(event, EpochProgress) and event.completed]
    assert done == [1, 2, 3]
    assert [event for event in events if isinstance(event, CheckpointSaved)] == [
        CheckpointSaved(run="r1", at=T0, path="model.epoch-2.hdf5", epoch=2)
    ]
    assert [event for event in events if isinstance(event, MetricReported) and event.name == "mAP"] == [
        metric("mAP", 0.455, 2)
    ]


@pytest.mark.parametrize(
    ("progress", "written", "expected"),
    [
        (ProgressContract("keras"), (3, 10), (3, 10)),
        (ProgressContract("lightning", first_epoch=0, max_epoch_is_last=True), (2, 9), (3, 10)),
        (ProgressContract("lightning", first_epoch=0), (2, 10), (3, 10)),
        (ProgressContract("lightning", first_epoch=1, max_epoch_is_last=True), (3, 10), (3, 10)),
        (ProgressContract("keras"), (11, 10), (10, 10)),
        (ProgressContract("keras"), (0, 10), (1, 10)),
    ],
)
def test_epochs_are_one_based_and_clamped_whatever_tao_writes(
    progress: ProgressContract, written: tuple[int, int], expected: tuple[int, int]
) -> None:
    record = StatusRecord("RUNNING", epoch=written[0], max_epoch=written[1])
    assert make(progress).feed_status([record], T0) == [epoch(*expected, completed=True)]


def test_bevfusion_writes_its_iteration_into_epoch() -> None:
    tracker = make(ProgressContract("mmengine", epoch_is_iteration=True), 6)
    line = b"2026/11/20 - mmengine - INFO - Epoch(train)  [2][  50/100]  lr: 1e-5  eta: 0:10:00  loss: 5.5\n"
    assert tracker.feed_console(line, T0) == [epoch(2, 6, 50, 100, eta_s=600.0)]
    record = StatusRecord("RUNNING", epoch=60, eta_s=590.0, own_metrics={"loss": 5.4})
    later = T0 + timedelta(seconds=1)
    assert tracker.feed_status([record], later) == [
        epoch(2, 6, 60, 100, at=later, eta_s=590.0),
        replace(metric("loss", 5.4, 2), at=later),
    ]


def test_an_evaluation_has_no_epochs() -> None:
    tracker = make(LIGHTNING, action="evaluate")
    record = StatusRecord("RUNNING", message="Test metrics generated.", metrics={"test_mAP": 0.41})
    again = StatusRecord("RUNNING", message="Evaluate finished successfully.", metrics={"test_mAP": 0.41})
    table = "│         test_mAP          │    0.4100000286102295     │\n".encode()
    assert tracker.feed_status([record, again], T0) + tracker.feed_console(table, T0) == [
        metric("test_mAP", 0.41)
    ]
    bar = "\rTesting DataLoader 0:  40%|████      | 4/10 [00:00<00:01,  9.00it/s]\r".encode()
    assert tracker.feed_console(bar, T0) == [epoch(1, 1, 4, 10)]


def test_steps_are_reported_at_most_twice_a_second_and_the_last_one_at_the_end() -> None:
    tracker = make(LIGHTNING)
    seen: list[Event] = []
    for step in range(1000):
        bar = f"\rEpoch 0:  1%|█| {step}/1000 [00:01<00:01, train_loss_step={7 - step / 1000:.3f}]\r".encode()
        seen += tracker.feed_console(bar, T0 + timedelta(milliseconds=10 * step))
    assert 18 <= sum(isinstance(event, EpochProgress) for event in seen) <= 22
    assert len(seen) <= 44
    last = tracker.flush(T0 + timedelta(seconds=10))
    assert [(event.step, event.steps) for event in last if isinstance(event, EpochProgress)] == [(999, 1000)]
    assert tracker.flush(T0 + timedelta(seconds=20)) == []


def test_a_clock_set_back_does_not_silence_the_steps() -> None:
    tracker = make(LIGHTNING)
    tracker.feed_console(b"\rEpoch 0:  1%|x| 1/9 [0]\rEpoch 0:  1%|x| 2/9 [0]\r", T0)
    earlier = T0 - timedelta(hours=1)
    assert tracker.feed_console(b"\rEpoch 0:  1%|x| 3/9 [0]\r", earlier) == [epoch(1, None, 3, 9, at=earlier)]


def test_nan_is_reported_once() -> None:
    tracker = make(KERAS, 3)
    console = b"Epoch 1/3\n 1/85 [>...] - ETA: 9s - loss: nan\n 2/85 [>...] - ETA: 9s - loss: nan\n"
    notices = [event for event in tracker.feed_console(console, T0) if isinstance(event, Notice)]
    assert notices == [
        Notice(run="r1", at=T0, level="warning", code="nan-loss", text="loss became nan at epoch 1")
    ]
    again = StatusRecord("RUNNING", epoch=1, max_epoch=3, metrics={"loss": math.nan})
    assert [e for e in tracker.feed_status([again], T0) if isinstance(e, Notice)] == []
    assert (tracker.facts.nan_seen, tracker.facts.nan_epoch) == (True, 1)


def test_what_training_survived_is_no_reason_for_its_end() -> None:
    tracker = make(KERAS, 9, keys={"batch_size": "training_config.batch_size_per_gpu"})
    survived = b"Traceback (most recent call last):\n  File x\nMemoryError: too much\n"
    tracker.feed_console(b"Epoch 1/9\n" + survived + b"x\n" * 300 + b"Epoch 2/9\n", T0)
    facts = tracker.facts
    assert (facts.traceback, facts.batch_key) == (None, "training_config.batch_size_per_gpu")


def test_an_epoch_that_status_json_reports_late_does_not_hide_the_error() -> None:
    """Without live bars, status.json is read just after the console has reported the end."""
    tracker = make(LIGHTNING)
    error = b"Traceback (most recent call last):\n  File x\nKeyError: 'boxes'\n"
    record = StatusRecord("RUNNING", epoch=3, max_epoch=11)
    tracker.feed_console(error, T0)
    tracker.feed_status([record], T0 + timedelta(seconds=1))
    assert tracker.facts.traceback == "KeyError: 'boxes'"
    tracker.feed_status([replace(record, epoch=4)], T0 + timedelta(minutes=5))
    assert tracker.facts.traceback is None


def test_facts_find_causes_in_the_last_lines_too() -> None:
    tracker = make(ProgressContract("plain"))
    tracker.feed_console((DATA / "hydra_unknown_key.log").read_bytes(), T0)
    facts = tracker.facts
    assert [seen.reason() for seen in facts.causes] == ['the spec has an unknown key "num_epoch"']
    assert facts.footer_passed is False
    assert facts.last_lines[-1] == "Execution status: FAIL"


def test_the_interruption_of_a_stop_is_no_error_in_the_events() -> None:
    """The end of the run says whether the stop was asked for."""
    for message, level in (("User/System interruption: SIGTERM", "info"), ("CUDA out of memory", "error")):
        events = make(LIGHTNING).feed_status([StatusRecord("FAILURE", "ERROR", message)], T0)
        assert [(event.level, event.text) for event in events if isinstance(event, Notice)] == [
            (level, f"TAO: {message}")
        ]


def test_a_new_start_takes_an_earlier_success_back() -> None:
    tracker = make(KERAS)
    done, started = (
        StatusRecord("SUCCESS", message="done"),
        StatusRecord("STARTED", message="Starting Training Loop."),
    )
    tracker.feed_status([done, started], T0)
    assert tracker.facts.success_message is None


def test_a_failure_after_a_success_is_the_last_word() -> None:
    tracker = make(KERAS)
    tracker.feed_status(
        [StatusRecord("SUCCESS", message="done"), StatusRecord("FAILURE", message="boom")], T0
    )
    facts = tracker.facts
    assert (facts.success_message, facts.failure_message, facts.success_is_last) == ("done", "boom", False)


def test_mask_rcnn_metrics_belong_to_the_finished_epoch() -> None:
    tracker = make(ProgressContract("tf_step"), 10)
    records = [
        StatusRecord("RUNNING", epoch=1, max_epoch=10),
        StatusRecord("RUNNING", message="Evaluation metrics generated.", metrics={"AP": 0.3}),
    ]
    assert tracker.feed_status(records, T0)[-1] == metric("AP", 0.3, 1)


_LINES = st.sampled_from(
    [line + b"\n" for path in sorted(DATA.glob("*.log")) for line in path.read_bytes().split(b"\n")[:60]]
)
_RECORDS = st.builds(
    StatusRecord,
    st.sampled_from(["SUCCESS", "FAILURE", "STARTED", "RUNNING"]),
    message=st.sampled_from(
        ["", "Eval metrics generated.", "Train finished successfully.", "Training was interrupted"]
    ),
    epoch=st.none() | st.integers(0, 12),
    max_epoch=st.none() | st.integers(0, 12),
    eta_s=st.none() | st.floats(0, 1e6),
    metrics=st.dictionaries(st.sampled_from(["loss", "mAP", "a/b"]), st.floats(), max_size=2),
)
_CONTRACTS = st.builds(
    ProgressContract,
    st.sampled_from(
        ["keras", "session_hook", "tf_step", "unet", "lightning", "mmengine", "pointpillars", "plain"]
    ),
    first_epoch=st.integers(0, 1),
    epoch_mark=st.sampled_from(EpochMark),
    max_epoch_is_last=st.booleans(),
    epoch_is_iteration=st.booleans(),
    percent_metrics=st.sampled_from([(), ("m*",)]),
)


@settings(max_examples=150, deadline=None)
@given(
    _CONTRACTS,
    st.lists(_LINES | _RECORDS, max_size=25),
    st.none() | st.integers(1, 12),
    st.randoms(use_true_random=False),
)
def test_progress_never_goes_backwards_and_no_metric_is_said_twice_in_a_row(
    progress: ProgressContract, feed: list[bytes | StatusRecord], planned: int | None, chance: random.Random
) -> None:
    tracker = make(progress, planned)
    at = T0
    events: list[Event] = []
    for piece in feed:
        at += timedelta(seconds=chance.random())
        events += (
            tracker.feed_console(piece, at) if isinstance(piece, bytes) else tracker.feed_status([piece], at)
        )
    events += tracker.flush(at)
    places = [(e.epoch, e.completed, e.step or 0) for e in events if isinstance(e, EpochProgress)]
    assert places == sorted(places)
    assert all(e.epoch >= 1 for e in events if isinstance(e, EpochProgress))
    done = [e.epoch for e in events if isinstance(e, EpochProgress) and e.completed]
    assert len(done) == len(set(done))
    reported: dict[str, tuple[str, int | None]] = {}
    for event in events:
        if isinstance(event, MetricReported) and not math.isfinite(event.value):
            reported.pop(event.name, None)  # a value after it is news, also an old one
        elif isinstance(event, MetricReported):
            new = (repr(event.value), event.epoch)
            assert reported.get(event.name) != new or event.name in ("loss", "train_loss")
            reported[event.name] = new
    assert tracker.facts.status_records == sum(isinstance(piece, StatusRecord) for piece in feed)


def test_an_eta_of_nothing_is_unknown_until_the_last_epoch_is_done() -> None:
    tracker = make(DETECTNET, 2)
    hook = "INFO: Epoch {}/2: loss: 0.06 learning rate: 1.2e-05 Time taken: 0:00:{} ETA: {}\n"
    said = [hook.format(0, "00", "0:00:00"), hook.format(1, "41", "0:00:41"), hook.format(2, "41", "0:00:00")]
    events = [event for line in said for event in tracker.feed_console(line.encode(), T0)]
    assert [event for event in events if isinstance(event, EpochProgress)] == [
        epoch(1, 2),
        epoch(1, 2, completed=True, epoch_s=41.0, eta_s=41.0),
        epoch(2, 2, eta_s=41.0),
        epoch(2, 2, completed=True, epoch_s=41.0, eta_s=0.0),
    ]
    one = make(LIGHTNING, 1).feed_console(b"\rEpoch 0:  50%|x| 2/4 [00:01<00:00]\r", T0)
    assert [event.eta_s for event in one if isinstance(event, EpochProgress)] == [None]
