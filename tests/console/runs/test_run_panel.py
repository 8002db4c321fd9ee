"""Rows and panels of one run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from taorunner.console.base.theme import UNICODE
from taorunner.console.live.run_view import GpuReading, RunNotes, RunView
from taorunner.console.runs import run_panel, run_rows
from taorunner.console.runs.one_run_view import log_lines, one_run_lines, scroll_limit
from taorunner.events import ImagePulling, MetricReported, Notice, RunStarted, RunState
from taorunner.runs.state.snapshot import RunSnapshot, fold


def view(scene: Any, run: RunSnapshot, **more: Any) -> RunView:
    given = {"run": run, "label": run.experiment, "tail": (), "gpus": {}, "now": scene.at, "symbols": UNICODE}
    return RunView(**{**given, **more})


def panel(scene: Any, run: RunSnapshot, width: int = 80, height: int = 12, **more: Any) -> list[str]:
    lines = run_panel.panel(view(scene, run, **more), width, height)
    assert len(lines) == height and all(line.cell_len == width for line in lines)
    return [line.plain for line in lines]


def notice(scene: Any, run: RunSnapshot, text: str, code: str = "x", level: str = "warning") -> Notice:
    return Notice(run=run.id, at=scene.at - timedelta(seconds=60), level=level, code=code, text=text)


def test_a_queued_run_says_why_it_waits(scene: Any) -> None:
    run = scene.queued("q1")
    line = run_rows.queued_row(view(scene, run), 100, 10, 6).plain
    assert line == "○ q1          queued"
    reason = RunNotes(queue="next; needs 1 GPU: 0 free, GPU 1 used by pid 4121 (python)")
    line = run_rows.queued_row(view(scene, run, notes=reason), 100, 10, 7).plain
    assert line == "○ q1          queued   next; needs 1 GPU: 0 free, GPU 1 used by pid 4121 (python)"
    waiting = scene.waiting("q1", "Priority")
    assert run_rows.queued_row(view(scene, waiting), 100, 10, 7).plain.endswith(
        "waiting  docker: Priority  35m 38s"
    )
    assert run_rows.queued_row(view(scene, waiting), 20, 10, 7).cell_len <= 20


def test_an_ended_run(scene: Any) -> None:
    good = replace(scene.finished("e"), notices=())
    line = run_rows.ended_row(view(scene, good), 120, 10).plain
    assert line == "✓ e           succeeded after 8m 25s: val_mAP 0.5312 at 3 (run-e)".replace("run-e", "e")
    bad = run_rows.ended_row(view(scene, scene.finished("e", RunState.FAILED)), 120, 10).plain
    assert (
        bad.startswith("✗ e           failed after 8m 25s: CUDA out of memory at epoch 3")
        and "mAP" not in bad
    )
    assert run_rows.ended_row(view(scene, good), 30, 10).cell_len <= 30
    narrow = run_rows.ended_row(view(scene, scene.finished("e", RunState.FAILED)), 44, 4).plain
    assert narrow == "✗ e     failed: CUDA out of memory at epoch…"


def test_a_doubtful_success_has_a_mark_and_its_warning(scene: Any) -> None:
    run = replace(scene.finished("e"), notices=())
    doubt = notice(scene, run, "the loss became NaN", "nan-loss")
    assert view(scene, replace(run, notices=(doubt,))).caution == doubt
    line = run_rows.ended_row(view(scene, replace(run, notices=(doubt,))), 80, 10)
    assert line.plain == "! e           succeeded after 8m 25s: the loss became NaN (e)"
    operated = notice(scene, run, "the engine does not answer", "engine")
    assert view(scene, replace(run, notices=(operated,))).caution is None


def test_a_title_that_is_too_long_loses_the_id_then_the_action_then_the_middle_of_the_name(
    scene: Any,
) -> None:
    run = replace(scene.training(), id="20260301-120000-dssd_resnet18_01-train-a57ce4")
    assert "╭─ dssd_resnet18_01 · train · a57ce4 ─" in panel(scene, run)[0]
    assert "╭─ dssd_resnet18_01 · train ─" in panel(scene, run, width=56)[0]
    assert "╭─ dssd_resnet18_01 ─" in panel(scene, run, width=46)[0]
    assert "╭─ dss…18_01 ─" in panel(scene, run, width=36)[0]
    named = panel(scene, run, label="dssd train")[0]
    assert "dssd train · a57ce4" in named and "· train" not in named
    again = panel(scene, run, notes=RunNotes(attempt=2))[0]
    assert "· a57ce4 · attempt 2 ─" in again
    for width in (40, 44, 48):
        panel(scene, run, width=width)


def test_a_low_panel_loses_log_lines_then_the_second_metric_then_the_step(scene: Any) -> None:
    run = scene.training()
    given = {"tail": [f"line {number}" for number in range(30)], "gpus": scene.gpus}

    def words(height: int) -> list[str]:
        return [line.strip("│ ").split()[0] for line in panel(scene, run, height=height, **given)[1:-1]]

    facts = ["epoch", "step", "mAP", "loss", "GPU"]
    assert words(11)[:6] == [*facts, "─" * 76] and words(11)[6:] == ["line"] * 3
    assert words(10) == [*facts, "─" * 76, "line", "line"]
    assert words(9) == [*facts, "line", "line"]
    assert words(8) == ["epoch", "step", "mAP", "GPU", "line", "line"]
    assert words(7) == ["epoch", "mAP", "GPU", "line", "line"]
    assert run_panel.least_height(view(scene, run, **given)) == 7
    assert run_panel.panel_height(view(scene, run, **given)) == 2 + 5 + 1 + run_panel.LOG_LINES_MAX


def test_the_banner_is_no_log_line_and_an_error_stays_for_a_while(scene: Any) -> None:
    tail = ["== PyTorch ==", "NVIDIA Release 25.01", "one", "RuntimeError: no such file", *"abcdef"]
    shown = [line.strip("│ ") for line in panel(scene, scene.training(), height=12, tail=tail)]
    assert shown[7:11] == ["RuntimeError: no such file", "d", "e", "f"]
    more = [*tail[:4], "KeyError: 1", "KeyError: 2", "KeyError: 3", *"abcdef"]
    shown = [line.strip("│ ") for line in panel(scene, scene.training(), height=13, tail=more)]
    assert "RuntimeError: no such file" not in shown and "KeyError: 3" in shown


def test_a_curve_has_a_block_per_epoch_and_both_begin_in_one_column(scene: Any) -> None:
    run = scene.training()
    notes = RunNotes(curves={"mean average precision": [0.1, 0.2, 0.3, 0.4], "loss": [9, 8, 7, 6, 5]})
    metric, loss = panel(scene, run, notes=notes)[3:5]
    assert "best 0.6000 at epoch 20    ▁▃▆█ " in metric and "best 0.1176 at epoch 33    █▆▅▃▁ " in loss
    narrow = panel(scene, run, width=50, notes=notes)[3]
    assert "▁" not in narrow and "best 0.6000 at epoch 20" in narrow


def test_a_pull_by_bytes_or_by_layers(scene: Any) -> None:
    def pulling(**fields: Any) -> RunSnapshot:
        given = {
            "layers_done": 1,
            "layers": 4,
            "bytes_done": 3 << 30,
            "bytes_total": None,
            "eta_s": None,
            **fields,
        }
        return fold([scene.queue("p"), ImagePulling(run="run-p", at=scene.at, image="nvcr.io/t:5", **given)])

    layers = panel(scene, pulling())
    assert "starting  pulling the container image, 25%" in layers[1]
    assert "1/4 layers" in layers[3] and "3.0 GiB " in layers[2] and "left" not in layers[2]
    by_bytes = "\n".join(panel(scene, pulling(bytes_total=4 << 30, eta_s=60)))
    assert " 75%" in by_bytes and "3.0 of 4.0 GiB" in by_bytes and "1m 00s left" in by_bytes
    unknown = "\n".join(panel(scene, pulling(layers=0, layers_done=0)))
    assert "%" not in unknown and "0 layers" in unknown
    first, second = run_rows.pair(view(scene, pulling(bytes_total=4 << 30)), 100, 10)
    assert "pulling the container image, 75%" in first.plain and not second.plain.strip()


def test_the_name_of_an_image_leaves_room_for_its_layers(scene: Any) -> None:
    shown = panel(scene, scene.pulling("p"), width=50)
    (line,) = [line for line in shown if "layers" in line]
    assert "…" in line and "5.5.0-pyt   12/31 layers" in line


def test_a_run_before_its_first_epoch_says_what_it_does_and_not_when_it_ends(scene: Any) -> None:
    started = scene.at - timedelta(seconds=62)
    begun = [scene.queue("e"), RunStarted(run="run-e", at=started, image="i:1", gpus=("0",), handle="h")]
    run = fold(begun)
    text = "\n".join(panel(scene, run, gpus=scene.gpus))
    assert "reading the dataset  1m 02s" in text and "GPU 0" in text and "left" not in text and "%  " in text
    first, second = (line.plain for line in run_rows.pair(view(scene, run, gpus=scene.gpus), 80, 10))
    assert first == "● e           reading the dataset  1m 02s"
    assert second.split() == ["GPU", "0", "97%", "29.0", "of", "80.0", "GiB"]
    exported = replace(run, action="export")
    assert "running   export  1m 02s" in "\n".join(panel(scene, exported))
    starting = replace(scene.queued("e"), state=RunState.STARTING, image="i:1")
    assert "starting  starting the container  i:1" in "\n".join(panel(scene, starting))


def test_a_stall_takes_the_place_of_the_time_left(scene: Any) -> None:
    run = scene.training()
    stall = notice(scene, run, "no progress for 12m 00s; an epoch takes 1m 02s", "silent")
    notes = RunNotes(stall=stall, moved_at=scene.at - timedelta(minutes=13))
    lines = panel(scene, run, notes=notes)
    assert "! running" in lines[0] and "stalled 13m 00s" in lines[1] and "left" not in lines[1]
    assert any("warning: no progress for 12m 00s" in line for line in lines)
    assert "stalled 13m 00s" in run_rows.pair(view(scene, run, notes=notes), 80, 10)[0].plain
    ended = replace(run, notices=(stall,))  # it goes on: the alarm is over
    assert "no progress" not in "\n".join(panel(scene, ended))


def test_gpus_of_different_kinds_have_their_own_rows(scene: Any) -> None:
    run = scene.training(gpus=("0", "1"))
    gpus = {"0": GpuReading("0", "NVIDIA A100", 29 << 30, 80 << 30, 97), "1": GpuReading("1", "old card")}
    shown = panel(scene, run, gpus=gpus)
    (first,) = [line for line in shown if "GPU 0" in line]
    (second,) = [line for line in shown if "GPU 1" in line]
    assert "97%" in first and "29.0 of 80.0 GiB  A100" in first
    assert "%" not in second and "GiB" not in second and "old card" in second


def test_a_run_on_several_nodes_names_them(scene: Any) -> None:
    run = replace(scene.training(), gpus=(), backend="dgx", handle="48213")
    notes = RunNotes(nodes=2, gpu_count=8)
    assert "job 48213  2 nodes × 8 GPUs" in "\n".join(panel(scene, run, notes=notes))
    assert "dgx  job 48213  2 nodes × 8 GPUs" in run_rows.pair(view(scene, run, notes=notes), 80, 10)[1].plain


def test_the_last_warning_is_shown_and_an_info_is_not(scene: Any) -> None:
    events = scene.training_events(0, 12)
    told = [
        Notice(run=events[0].run, at=scene.at, level=level, code="x", text=f"{level} text")
        for level in ("warning", "info")
    ]
    assert "warning: warning text" in "\n".join(panel(scene, fold([*events, told[0]])))
    after = "\n".join(panel(scene, fold([*events, *told])))
    assert "warning text" not in after and "info text" not in after


@pytest.mark.parametrize(
    ("step_s", "text"),
    [(0.0604, "60ms"), (0.0996, "100ms"), (0.29, "0.29s"), (1.0, "1.00s"), (12.34, "12.3s")],
)
def test_the_pace_of_steps(step_s: float, text: str) -> None:
    assert run_panel._pace(step_s) == text


def test_two_lines_lose_words_before_the_gpu(scene: Any) -> None:
    run = scene.training()
    seen = view(scene, run, gpus=scene.gpus)

    def second(width: int) -> str:
        return " ".join(run_rows.pair(seen, width, 10)[1].plain.split())

    both = "mAP 0.4000 best 0.6000 at 20 loss 0.1176 best 0.1176 at 33 GPU 0 97% 29.0 of 80.0 GiB"
    assert second(120) == both
    assert second(80) == "mAP 0.4000 best 0.6000 at 20 GPU 0 97% 29.0 of 80.0 GiB"
    assert second(56) == "mAP 0.4000 best 0.6000 at 20 GPU 0 97% 29.0 GiB"
    assert second(44) == "mAP 0.4000 best 0.6000 GPU 0 97%"
    assert second(22) == "GPU 0 97% 29.0 GiB"
    assert second(8) == "GPU 0"
    for width in range(1, 130):
        assert all(line.cell_len <= width for line in run_rows.pair(seen, width, 10))
        assert run_rows.row(seen, width, 10, 16).cell_len <= width


def test_values_that_are_no_numbers_are_red(scene: Any) -> None:
    events = [*scene.training_events(0, 3)]
    events.append(MetricReported(run=events[0].run, at=scene.at, name="loss", value=float("nan"), epoch=3))
    lines = run_panel.panel(view(scene, fold(events)), 80, 12)
    (line,) = [line for line in lines if "nan" in line.plain]
    assert any(span.style == "state.failed" for span in line.spans)


def test_without_a_loss_or_a_kpi_the_first_metric_is_shown(scene: Any) -> None:
    events = [*scene.training_events(0, 1)[:2]]
    for name in ("odd", "other"):
        events.append(
            MetricReported(run=events[0].run, at=scene.at + timedelta(seconds=1), name=name, value=7.5)
        )
    _, second = (line.plain for line in run_rows.pair(view(scene, fold(events)), 100, 20))
    assert "odd 7.500" in second and "other" not in second


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 12), (10, 3)])
def test_one_run_fills_its_screen_and_no_more(scene: Any, width: int, height: int) -> None:
    for run in scene.mixed():
        seen = view(scene, run, tail=scene.log, gpus=scene.gpus)
        for lines in (one_run_lines(seen, width, height), log_lines(seen, width, height)):
            assert len(lines) <= height and all(line.cell_len <= width for line in lines)


def test_one_run_shows_all_its_metrics_and_its_keys(scene: Any) -> None:
    events = scene.training_events(0, 12)
    events.append(MetricReported(run=events[0].run, at=scene.at, name="val_loss", value=2.5, epoch=11))
    seen = view(scene, fold(events), tail=scene.log, gpus=scene.gpus)
    lines = [line.plain for line in one_run_lines(seen, 80, 24)]
    assert lines[0].startswith("● dssd_resnet18_01 · example_01 · train · ")
    of_action = replace(seen, label="dssd_resnet18_01 train")  # of several runs of the experiment
    assert one_run_lines(of_action, 80, 24)[0].plain.count("train") == 1
    labels = [line.split()[0] for line in lines[1:7]]
    assert labels == ["epoch", "step", "GPU", "mAP", "loss", "val_loss"]
    assert lines[-1] == "Esc back   l log   ↑↓ next run   s stop   q detach"
    failed = [
        line.plain for line in one_run_lines(view(scene, scene.finished("e", RunState.FAILED)), 100, 24)
    ]
    assert any("CUDA out of memory at epoch 3" in line for line in failed)
    assert any("lower batch_size_per_gpu" in line for line in failed)


def test_a_log_can_be_scrolled_to_its_beginning(scene: Any) -> None:
    seen = view(scene, scene.training(), tail=[f"line {number}" for number in range(50)])
    assert scroll_limit(seen, 12) == 40
    assert [line.plain for line in log_lines(seen, 80, 12)][1:-1] == [
        f"line {number}" for number in range(40, 50)
    ]
    top = [line.plain for line in log_lines(seen, 80, 12, 40)]
    assert top[1:-1] == [f"line {number}" for number in range(10)]
    assert top[-1].endswith("40 newer lines below")
    assert log_lines(view(scene, scene.training()), 80, 12)[1].plain == "no output yet"


def test_one_run_shows_a_stall_once(scene: Any) -> None:
    run = scene.training()
    stall = notice(scene, run, "no progress for 12m 00s; an epoch takes 1m 02s", "silent")
    run = replace(run, notices=(stall,))
    seen = view(scene, run, notes=RunNotes(stall=stall, moved_at=scene.at - timedelta(minutes=13)))
    lines = [line.plain for line in one_run_lines(seen, 80, 24)]
    assert len([line for line in lines if "no progress" in line]) == 1, lines
