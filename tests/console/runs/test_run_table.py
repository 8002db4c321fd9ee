"""The tables of ``ps`` and ``runs list``, word by word, and what is left out where there is little room."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import pytest

from taorunner.console.base.theme import ASCII, UNICODE
from taorunner.console.runs.run_table import LIST, LIVE, RunColumns, TableFacts, plain_run_lines, run_lines
from taorunner.events import RunState
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.metric_names import Best
from taorunner.runs.state.snapshot import RunSnapshot, Timing

NOW = datetime(2026, 11, 29, 1, 30, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def run(short: str, experiment: str, state: RunState, action: str = "train", **more: object) -> RunSnapshot:
    started = more.pop("started_at", None)
    return RunSnapshot(
        id=f"20261128-222200-{experiment}-{action}-{short}", project="parts", experiment=experiment, action=action,
        backend="docker", state=state, queued_at=started, started_at=started, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def running(short: str, experiment: str, epoch: int, epochs: int, left: timedelta) -> RunSnapshot:
    timing = Timing(claimed_eta_s=left.total_seconds(), claimed_at=NOW)
    began = NOW - HOUR
    return run(
        short, experiment, RunState.RUNNING, epoch=epoch, epochs=epochs, timing=timing, started_at=began
    )


PS = [
    running("a57ce4", "rtdetr_01", 12, 36, timedelta(hours=1, minutes=24)),
    running("c2d9e0", "dino_03", 3, 12, timedelta(hours=5, minutes=10)),
    run("0d7ffc", "rtdetr_02", RunState.QUEUED),
    run("61ab03", "dino_big", RunState.WAITING, waiting="Priority, job 48213"),
]
PLACES = ("GPU 0", "dgx: 2 nodes × 8 GPUs", "next; needs 1 GPU", "dgx: Priority, job 48213")
MAP = {"val_mAP50": Best(0.748, 31)}
LISTED = [
    run("cd289e", "rtdetr_01", RunState.SUCCEEDED, "export", last_checkpoint="models/e/model.onnx",
        started_at=NOW - HOUR, reason="finished"),
    run("4c20f3", "rtdetr_04", RunState.FAILED, reason="CUDA out of memory", started_at=NOW - 3.1 * HOUR),
    run("eaf22b", "rtdetr_01", RunState.SUCCEEDED, best=MAP, started_at=NOW - 3.13 * HOUR, reason="finished",
        epoch=36, epochs=36, finished_at=NOW - 1.06 * HOUR),
    run("7a54c1", "dino_01", RunState.STOPPED, best={"val_mAP50": Best(0.312, 4)}, started_at=NOW - 5 * HOUR),
    run("31d0aa", "dino_01", RunState.LOST, reason="docker: no such run", started_at=NOW - 60 * HOUR),
    RunSnapshot(id="20261126-101112-x-train-f03a9d", state=RunState.DAMAGED, reason="record.json, line 1"),
]  # fmt: skip


def facts(runs: list[RunSnapshot], places: tuple[str, ...] | None = None) -> TableFacts:
    ids = [one.id for one in runs]
    where = dict(zip(ids, places or ["docker, GPU 0"] * len(ids), strict=True))
    return TableFacts(short_ids(ids, ids), where, {LISTED[-1].id: NOW - 62 * HOUR}, timezone.utc)


def table(
    runs: list[RunSnapshot], width: int, columns: RunColumns = LIST, symbols: object = UNICODE, **more: object
) -> list[str]:
    """Both ways of making the table, which agree wherever both know the widths."""
    known = facts(runs, **more)  # type: ignore[arg-type]
    styled = [line.plain for line in run_lines(runs, width, symbols, NOW, columns, known)]  # type: ignore[arg-type]
    plain = plain_run_lines(runs, width, symbols, NOW, columns, known)  # type: ignore[arg-type]
    assert plain in (None, styled)
    return styled


def test_ps_word_by_word() -> None:
    assert table(PS, 80, LIVE, places=PLACES) == [
        "   run     experiment  action  state    epoch    left  where",
        "●  a57ce4  rtdetr_01   train   running  12/36  1h 24m  GPU 0",
        "●  c2d9e0  dino_03     train   running   3/12  5h 10m  dgx: 2 nodes × 8 GPUs",
        "○  0d7ffc  rtdetr_02   train   queued                  next; needs 1 GPU",
        "○  61ab03  dino_big    train   waiting                 dgx: Priority, job 48213",
    ]


def test_ps_leaves_the_action_out_before_the_gpus() -> None:
    head, first, *_ = table(PS[:1], 52, LIVE, places=PLACES[:1])
    assert head.split() == ["run", "experiment", "state", "epoch", "left", "where"]
    assert first.endswith("GPU 0")


def test_runs_list_word_by_word() -> None:
    assert table(LISTED, 80) == [
        "   run     experiment  action  state      best                    started",
        "✓  cd289e  rtdetr_01   export  succeeded  model.onnx              1h ago",
        "✗  4c20f3  rtdetr_04   train   failed     CUDA out of memory      3h ago",
        "✓  eaf22b  rtdetr_01   train   succeeded  val_mAP50 0.7480 at 31  3h ago",
        "■  7a54c1  dino_01     train   stopped    val_mAP50 0.3120 at 4   5h ago",
        "?  31d0aa  dino_01     train   lost       docker: no such run     Nov 26",
        "!  f03a9d                      damaged    record.json, line 1     Nov 26",
    ]


def test_runs_list_of_120_columns_word_by_word() -> None:
    head, *_, row = table(LISTED[:3], 120)
    assert head == (
        "   run     experiment  action  state      epochs  best                    duration  where          started"
    )
    assert row == (
        "✓  eaf22b  rtdetr_01   train   succeeded   36/36  val_mAP50 0.7480 at 31    2h 04m  docker, GPU 0"
        "  2026-11-28 22:22"
    )


def titles(runs: list[RunSnapshot], width: int, columns: RunColumns = LIST) -> list[str]:
    return table(runs, width, columns)[0].split()


def test_columns_are_left_out_in_their_order() -> None:
    complete = [run("aaaaa1", "e", RunState.SUCCEEDED, best=MAP, epoch=36, epochs=36, started_at=NOW - HOUR,
                    finished_at=NOW, image="nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt")]  # fmt: skip
    seen = [tuple(titles(complete, width)) for width in range(200, 45, -1)]
    left = []
    for more, fewer in itertools.pairwise(seen):
        left += [title for title in more if title not in fewer]
    assert left[:7] == ["image", "backend", "where", "duration", "epochs", "started", "action"]
    assert seen[-1] == ("run", "experiment", "state", "best")
    assert set(titles(complete, 10_000)) == {*seen[-1], *left}


@pytest.mark.parametrize("length", [9, 20, 60, 100])
def test_at_80_columns_id_experiment_action_state_and_best_are_shown(length: int) -> None:
    name = ("detectnet_v2_resnet34_" + "pruned_and_retrained_" * 5)[: length - 3] + "_01"
    runs = [*LISTED[:2], run("eaf22b", name, RunState.SUCCEEDED, best=MAP, started_at=NOW - HOUR)]
    lines = table(runs, 80)
    assert lines[0].split()[:5] == ["run", "experiment", "action", "state", "best"]
    assert all(len(line) <= 80 for line in lines)
    shown = lines[-1].split()[2]
    assert shown == name if length <= 20 else (shown.startswith("detectne…") and shown.endswith("_01"))
    assert "0.7480" in lines[-1]


@pytest.mark.parametrize("width", range(40, 130, 7))
@pytest.mark.parametrize("columns", [LIST, LIVE])
def test_no_digit_state_or_id_is_ever_cut(width: int, columns: RunColumns) -> None:
    long = "a_metric_with_quite_a_long_name_of_its_own"
    runs = [
        run("eaf22b", "detectnet_v2_resnet34_pruned_01", RunState.SUCCEEDED, best={long: Best(0.7481, 131)},
            started_at=NOW - HOUR, finished_at=NOW),
        run("0d7ffc", "e", RunState.FAILED, reason="a reason of many words " * 9, started_at=NOW - HOUR),
    ]  # fmt: skip
    lines = table(runs, width, columns)
    assert all(len(line) <= width for line in lines)
    for line, words in zip(lines[1:], (("eaf22b", "succeeded"), ("0d7ffc", "failed")), strict=True):
        assert all(word in line.split() for word in words)
    if columns is LIST:
        assert "0.7481" in lines[1].split()


def test_what_the_state_says_is_not_said_again() -> None:
    reasons = {
        "finished": "",
        "finished 36 epochs": "",
        "finished: 64 records in 4 files": "64 records in 4 files",
    }
    for reason, shown in reasons.items():
        runs = [run("eaf22b", "e", RunState.SUCCEEDED, "dataset_convert", reason=reason)]
        assert table(runs, 200)[1].split()[5:] == [*shown.split(), "docker,", "GPU", "0", "docker"]


def test_in_a_pipe_names_and_reasons_are_whole() -> None:
    name, reason = "n" * 90, "a reason of many words " * 20
    runs = [run("eaf22b", name, RunState.FAILED, reason=reason, image="i:1", started_at=NOW - HOUR)]
    head, line = table(runs, 100_000)
    assert name in line and reason.strip() in line
    assert head.split()[-2:] == ["backend", "image"]


def test_of_several_projects_a_column_follows_the_run() -> None:
    runs = [LISTED[0], *(RunSnapshot(**{**_fields(LISTED[1]), "project": "yard"}) for _ in (1,))]
    assert titles(runs, 80)[:3] == ["run", "project", "experiment"]


def _fields(snapshot: RunSnapshot) -> dict[str, object]:
    return {name: getattr(snapshot, name) for name in snapshot.__dataclass_fields__}


def test_ascii() -> None:
    lines = table(LISTED, 80, symbols=ASCII)
    assert [line[0] for line in lines[1:]] == ["+", "x", "+", "#", "?", "!"]
    long = [run("eaf22b", "n" * 60, RunState.FAILED, reason="r" * 60, started_at=NOW)]
    assert table(long, 60, symbols=ASCII)[1].isascii()


def test_best_is_what_came_out_then_the_reason() -> None:
    runs = [
        run("aaaaaa", "e", RunState.SUCCEEDED, "export", reason="finished"),
        run("bbbbbb", "e", RunState.SUCCEEDED, "dataset_convert", reason="finished: 40 records in 4 files"),
        run("cccccc", "e", RunState.FAILED, "export", reason="no room"),
    ]
    made = {runs[0].id: "model.onnx", runs[2].id: "half.onnx"}
    lines = run_lines(runs, 200, UNICODE, NOW, LIST, TableFacts(made=made))
    assert [line.plain.partition("  ")[2].split("  ")[-1].strip() for line in lines[1:]]
    for line, best in zip(lines[1:], ("model.onnx", "40 records in 4 files", "no room"), strict=True):
        assert best in line.plain
    assert "half.onnx" not in lines[3].plain


def test_the_action_stays_where_only_the_epoch_of_the_best_is_in_its_way() -> None:
    """Else a train, its evaluate and its export look the same."""
    best = {"val_mAP50": Best(0.3867, 5)}
    runs = [
        run("efd2df", "tinydet_01", RunState.SUCCEEDED, best=best, started_at=NOW),
        run("16165c", "tinydet_01", RunState.SUCCEEDED, "dataset_convert", started_at=NOW),
        RunSnapshot(
            id="20261128-222200-e-train-aaaaaa", project="cars", state=RunState.FAILED, action="train"
        ),
    ]
    head, first, second, _ = table(runs, 79)
    assert head.split() == ["run", "project", "experiment", "action", "state", "best"]
    assert first.split()[-2:] == ["val_mAP50", "0.3867"] and "dataset_convert" in second
