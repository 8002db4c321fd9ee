import io
import re
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.console.runs.plain_view import PlainView
from taorunner.events import (
    CheckpointSaved,
    EpochProgress,
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
)
from taorunner.runs.state.snapshot import Fold

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def queued(run, name):
    return RunQueued(
        run=run, at=at(0), project="p", experiment=name, action="train", backend="docker", epochs=3
    )


def pulling(seconds, done):
    return ImagePulling(
        run="a", at=at(seconds), image="nvcr.io/t:5", layers_done=done, layers=9,
        bytes_done=done * 2**20, bytes_total=9 * 2**20, eta_s=9.0 - done,
    )  # fmt: skip


def shown(events, flush=True, encoding="utf-8", here=Path("/")):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    view = PlainView(stream, zone=timezone.utc, here=here)
    for event in events:
        view.show(event)
    if flush:
        view.flush()
    return raw.getvalue().decode(encoding).splitlines()


def test_the_whole_way_of_a_run_line_by_line():
    events = [
        queued("a", "exp_01"),
        queued("b", "exp_02"),
        *(pulling(1 + n, n) for n in range(10)),
        ImagePulled(run="a", at=at(12), image="nvcr.io/t:5", digest="sha256:ab"),
        RunStarted(run="a", at=at(13), gpus=("0", "2"), handle="h"),
        LogLine(run="a", at=at(13), text="not repeated"),
        EpochProgress(run="a", at=at(14), epoch=1, step=1, steps=9),
        EpochProgress(run="a", at=at(15), epoch=1, step=5, steps=9),
        EpochProgress(run="a", at=at(24), epoch=1, completed=True),
        MetricReported(run="a", at=at(24), name="loss", value=0.5, epoch=1),
        MetricReported(run="a", at=at(24), name="mean average precision", value=0.25, epoch=1),
        EpochProgress(run="a", at=at(25), epoch=2, step=1, steps=9),
        CheckpointSaved(run="a", at=at(26), path="m/e.pth"),
        Notice(run="a", at=at(27), level="warning", code="shm", text="64 MiB of shared memory"),
        EpochProgress(run="a", at=at(34), epoch=2, completed=True),
        EpochProgress(run="a", at=at(35), epoch=2, completed=True),
        RunFinished(
            run="a",
            at=at(40),
            state=RunState.FAILED,
            reason="out of memory",
            exit_code=1,
            hint="lower batch_size",
        ),
    ]
    assert shown(events) == [
        "12:00:00 exp_01 train a: queued on docker",
        "12:00:00 exp_02 train b: queued on docker",
        "12:00:01 exp_01 train a: pulling nvcr.io/t:5: 0/9 layers, 0 B of 9.0 MiB, 9s left",
        "12:00:06 exp_01 train a: pulling nvcr.io/t:5: 5/9 layers, 5.0 MiB of 9.0 MiB, 4s left",
        "12:00:12 exp_01 train a: image nvcr.io/t:5 sha256:ab present",
        "12:00:13 exp_01 train a: started on GPUs 0, 2",
        "12:00:24 exp_01 train a: epoch 1/3  loss 0.5000  mAP 0.2500  20s left",
        "12:00:26 exp_01 train a: checkpoint m/e.pth",
        "12:00:27 exp_01 train a: warning: 64 MiB of shared memory [shm]",
        "12:00:34 exp_01 train a: epoch 2/3  10s left",
        "12:00:40 exp_01 train a: failed after 27s: out of memory (exit code 1); lower batch_size",
    ]


def test_a_run_that_waits_in_its_engine_says_why():
    events = [queued("a", "exp_01"), RunWaiting(run="a", at=at(5), reason="Priority,\x1b[2J job 48213")]
    assert shown(events) == [
        "12:00:00 exp_01 train a: queued on docker",
        "12:00:05 exp_01 train a: waiting: Priority, job 48213",
    ]


def epoch(seconds, number, *, run="a", completed=True, **fields):
    return EpochProgress(run=run, at=at(seconds), epoch=number, epochs=3, completed=completed, **fields)


def metric(seconds, name, value, number, run="a"):
    return MetricReported(run=run, at=at(seconds), name=name, value=value, epoch=number)


def test_an_epoch_is_one_line_whatever_comes_first():
    events = [
        queued("a", "e"),
        epoch(0, 1, completed=False, step=1, steps=4),
        metric(2, "val_loss", 4.75, 1),
        metric(2, "val_mAP50", 0.35, 1),
        epoch(2, 1),
        CheckpointSaved(run="a", at=at(2.1), path="m/1.pth"),
        metric(2.2, "train_loss", 5.25, 1),
        epoch(2.3, 2, completed=False, step=1, steps=4),
        epoch(4, 2),
        metric(4.9, "train_loss", 4.25, 2),
        metric(4.9, "train_loss", 4.5, 2),
        epoch(6, 3),
        metric(6.5, "lr", 0.001, 3),
        metric(6.5, "train_loss", 4.0, 3),
    ]
    assert shown(events)[1:] == [
        "12:00:02 e train a: epoch 1/3  train_loss 5.250  val_mAP50 0.3500  val_loss 4.750  4s left",
        "12:00:02 e train a: checkpoint m/1.pth",
        "12:00:04 e train a: epoch 2/3  train_loss 4.500  2s left",
        "12:00:06 e train a: epoch 3/3  train_loss 4.000  lr 0.0010",
    ]


def test_a_complete_epoch_waits_a_second_for_its_metrics_and_holds_back_what_came_after():
    notice = Notice(run="b", at=at(2.5), level="info", code="c", text="t")
    waiting = [queued("a", "e"), epoch(2, 1), notice]
    assert shown(waiting, flush=False)[1:] == []
    assert shown([*waiting, metric(2.9, "loss", 1.5, 1), epoch(3, 2, completed=False)], flush=False)[1:] == [
        "12:00:02 e train a: epoch 1/3  loss 1.500",
        "12:00:02 b: t",
    ]
    late = [*waiting, metric(5, "loss", 1.5, 1), metric(5, "loss", 1.5, 1)]
    assert shown(late)[1:] == [
        "12:00:02 e train a: epoch 1/3",
        "12:00:02 b: t",
        "12:00:05 e train a: epoch 1/3  loss 1.500",
    ]


def test_time_passes_also_when_nothing_happens():
    stream = io.StringIO()
    view = PlainView(stream, zone=timezone.utc)
    view.show(epoch(2, 1))
    view.tick(at(2.5))
    assert stream.getvalue() == ""
    view.tick(at(3.1))
    assert stream.getvalue() == "12:00:02 a: epoch 1/3\n"


def test_epochs_that_only_begin_end_with_the_next_one():
    begins = [epoch(n, n, completed=False) for n in (1, 2, 2, 3)]
    assert shown([queued("a", "e"), *begins, metric(5, "loss", 0.5, 3)])[1:] == [
        "12:00:02 e train a: epoch 1/3",
        "12:00:03 e train a: epoch 2/3",
        "12:00:05 e train a: epoch 3/3  loss 0.5000",
    ]


def test_a_long_epoch_gives_a_sign_of_life():
    steps = [epoch(30 * n, 1, completed=False, step=n, steps=9) for n in range(1, 6)]
    events = [
        queued("a", "e"),
        RunStarted(run="a", at=at(0)),
        metric(1, "loss", 2.5, 1),
        *steps,
        epoch(160, 1),
    ]
    assert shown(events)[2:] == [
        "12:01:00 e train a: epoch 1/3  step 2/9  loss 2.500",
        "12:02:00 e train a: epoch 1/3  step 4/9  loss 2.500",
        "12:02:40 e train a: epoch 1/3  loss 2.500  4m 20s left",
    ]


@pytest.mark.parametrize(
    ("state", "code", "reason", "text"),
    [
        (RunState.FAILED, 7, "out of memory", "failed: out of memory (exit code 7); a hint"),
        (RunState.FAILED, None, "out of memory", "failed: out of memory; a hint"),
        (RunState.FAILED, 7, "ended with exit code 7", "failed: ended with exit code 7; a hint"),
        (RunState.STOPPED, 143, "asked", "stopped: asked; a hint"),
        (RunState.SUCCEEDED, 0, "finished 16 epochs", "succeeded; a hint"),
        (RunState.SUCCEEDED, 0, "finished: 3 records", "succeeded: 3 records; a hint"),
    ],
)
def test_the_end_of_a_run_says_the_exit_code_of_a_failure(state, code, reason, text):
    end = RunFinished(run="a", at=at(5), state=state, reason=reason, exit_code=code, hint="a hint")
    assert shown([queued("a", "exp_01"), end])[-1].endswith(text)


def test_many_metrics_are_counted():
    many = [metric(2, f"AP_{n:02}", n / 100, 1) for n in range(12)]
    assert shown([queued("a", "e"), *many, epoch(2, 1)])[1].endswith("AP_07 0.0700  and 4 more")


def test_metrics_wait_for_company_but_not_for_ever():
    metrics = [MetricReported(run="a", at=at(s), name=f"m{s}", value=1.5, epoch=None) for s in (1, 2, 9)]
    assert shown([queued("a", "e"), *metrics], flush=False)[1:] == ["12:00:01 e train a: m1 1.500  m2 1.500"]
    assert shown([queued("a", "e"), *metrics])[1:] == [
        "12:00:01 e train a: m1 1.500  m2 1.500",
        "12:00:09 e train a: m9 1.500",
    ]
    later = queued("b", "f")
    assert shown(
        [queued("a", "e"), metrics[0], Notice(run="b", at=at(9), level="info", code="c", text="t"), later],
        flush=False,
    )[1] == ("12:00:01 e train a: m1 1.500")


def test_lines_have_no_control_characters_and_fit_the_encoding():
    nasty = "x\x1b[2J\r\ny\x07 警\u202e\ud800"
    lines = shown([queued("a", nasty), CheckpointSaved(run="a", at=at(1), path=nasty)], encoding="ascii")
    assert lines == [
        "12:00:00 x y? ??? train a: queued on docker",
        "12:00:01 x y? ??? train a: checkpoint x y? ???",
    ]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.floats(), st.text(max_size=60))
def test_any_text_is_one_printable_line(name, value, text):
    events = [
        queued("a", name),
        MetricReported(run="a", at=at(1), name=text, value=value),
        Notice(run="a", at=at(2), level="info", code="c", text=text),
    ]
    lines = shown(events)
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_a_run_that_its_engine_requeues_says_why_and_shows_its_epochs_again():
    started = RunStarted(run="a", at=at(1), handle="h")
    events = [
        queued("a", "exp_01"), started, epoch(10, 1), epoch(20, 2), metric(21, "loss", 0.5, 3),
        RunWaiting(run="a", at=at(25), reason="Preempted"), replace(started, at=at(90)), epoch(99, 1),
    ]  # fmt: skip
    assert shown(events) == [
        "12:00:00 exp_01 train a: queued on docker",
        "12:00:01 exp_01 train a: started",
        "12:00:10 exp_01 train a: epoch 1/3",
        "12:00:20 exp_01 train a: epoch 2/3  10s left",
        "12:00:25 exp_01 train a: epoch 3/3  loss 0.5000",
        "12:00:25 exp_01 train a: waiting: Preempted",
        "12:01:30 exp_01 train a: started",
        "12:01:39 exp_01 train a: epoch 1/3",
    ]


def test_the_order_of_metrics_on_a_line():
    """The training loss, what ranks, then other losses, and what has no direction last."""
    names = ["lr", "loss", "acc", "val_loss", "val_acc", "test_loss", "mAP"]
    events = [metric(2, name, 0.5, 1) for name in names]
    (line,) = shown([queued("a", "e"), *events, epoch(2, 1)])[1:]
    told = re.findall(r"([A-Za-z_]+) 0\.5", line)
    assert told[:2] == ["loss", "mAP"]
    assert told.index("acc") < told.index("val_acc")  # as they came: the order says nothing of them
    assert told[-1] == "lr" and sorted(told) == sorted(names)


def test_the_path_of_a_checkpoint_is_relative_to_the_folder_of_the_viewer():
    saved = CheckpointSaved(run="a", at=at(5), path="/ws/projects/p/models/e/model.pth", epoch=1)
    assert shown([queued("a", "e"), saved], here=Path("/ws"))[-1].endswith(
        ": checkpoint projects/p/models/e/model.pth"
    )


@pytest.mark.parametrize("kind", ["names", "epochs"])
def test_a_flood_of_events_takes_time_with_their_number(kind: str) -> None:
    """A hundred thousand metrics kept the viewer busy for minutes, as each line looked at all that came before."""
    view = PlainView(io.StringIO())
    begin_s = time.process_time()
    for number in range(20_000):
        if kind == "names":
            view.show(MetricReported(run="r", at=T0, name=f"m{number}", value=1.0))
        else:
            view.show(EpochProgress(run="r", at=T0, epoch=number + 1, completed=True))
    view.flush()
    assert time.process_time() - begin_s < 4


def test_many_metrics_cost_little_more_than_to_read_them():
    """The order of metrics is found once, not at the end of each epoch: a viewer has to end with its run."""
    events = [
        MetricReported(run="a", at=at(epoch), name=f"metric_{place:02d}", value=place, epoch=epoch)
        for epoch in range(1, 81)
        for place in range(100)
    ]

    def cpu_s(each):
        begun = time.process_time()
        for event in events:
            each(event)
        return time.process_time() - begun

    reading_s = min(cpu_s(Fold("a").apply) for _ in range(3))
    assert min(cpu_s(PlainView(io.StringIO()).show) for _ in range(3)) < 5 * reading_s
