"""Rows and panels of one run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from taorunner.console.base.theme import UNICODE
from taorunner.console.runs import run_panel
from taorunner.console.runs.run_panel import GpuReading, RunView
from taorunner.events import ImagePulling, MetricReported, Notice, RunStarted, RunState
from taorunner.runs.state.snapshot import RunSnapshot, fold


def view(scene: Any, run: RunSnapshot, **more: Any) -> RunView:
    given = {"run": run, "label": run.experiment, "tail": (), "gpus": {}, "now": scene.at, "symbols": UNICODE}
    return RunView(**{**given, **more})


def panel(scene: Any, run: RunSnapshot, width: int = 80, height: int = 12, **more: Any) -> list[str]:
    lines = run_panel.panel(view(scene, run, **more), width, height)
    assert len(lines) == height and all(line.cell_len == width for line in lines)
    return [line.plain for line in lines]


def test_a_queued_run_says_why_it_waits(scene: Any) -> None:
    run = scene.queued("q1")
    assert "queued" in run_panel.queued_row(view(scene, run), 100, 10).plain
    told = fold(
        [scene.queue("q1"), Notice(run="run-q1", at=scene.at, level="info", code="x", text="GPU 0 is in use")]
    )
    assert run_panel.queued_row(view(scene, told), 100, 10).plain.endswith("  GPU 0 is in use")
    waiting = replace(told, waiting="Priority")
    assert run_panel.queued_row(view(scene, waiting), 100, 10).plain.endswith("  Priority")
    assert run_panel.queued_row(view(scene, waiting), 20, 10).cell_len <= 20


def test_an_ended_run(scene: Any) -> None:
    good = run_panel.finished_row(view(scene, scene.finished("e")), 120, 10).plain
    assert "epoch 80/80" in good and "val_mAP 0.5312 at epoch 3" in good and "8m 25s" in good
    bad = run_panel.finished_row(view(scene, scene.finished("e", RunState.FAILED)), 120, 10).plain
    assert "  failed  CUDA out of memory" in bad and "epoch 80" not in bad
    assert run_panel.finished_row(view(scene, scene.finished("e")), 30, 10).cell_len <= 30


def test_a_title_that_is_too_long_loses_the_action_first(scene: Any) -> None:
    run = scene.training()
    assert "dssd_resnet18_01 · train " in panel(scene, run)[0]
    assert "· train" not in panel(scene, run, width=46)[0]
    named = panel(scene, run, label="dssd train")[0]
    assert "dssd train" in named and "· train" not in named
    for width in (40, 44, 48):
        panel(scene, run, width=width)


def test_the_log_fills_what_the_facts_leave(scene: Any) -> None:
    run = scene.training()
    tail = [f"line {number}" for number in range(30)]
    full = run_panel.panel_height(view(scene, run, tail=tail))
    facts = run_panel.panel_height(view(scene, run))
    assert full == facts + run_panel.LOG_LINES_MAX + 1
    assert run_panel.panel_height(view(scene, run, tail=tail[:2])) == facts + 3
    shown = panel(scene, run, height=facts + 4, tail=tail)
    assert [line.strip("│ ") for line in shown[-4:-1]] == ["line 27", "line 28", "line 29"]
    tight = panel(scene, run, height=facts + 2, tail=tail)
    assert [line.strip("│ ") for line in tight[-3:-1]] == ["line 28", "line 29"]


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

    layers = "\n".join(panel(scene, pulling()))
    assert "1/4 layers" in layers and " 25%" in layers and "3.0 GiB " in layers and "left" not in layers
    by_bytes = "\n".join(panel(scene, pulling(bytes_total=4 << 30, eta_s=60)))
    assert " 75%" in by_bytes and "3.0 GiB of 4.0 GiB" in by_bytes and "1m 00s left" in by_bytes
    unknown = "\n".join(panel(scene, pulling(layers=0, layers_done=0)))
    assert "%" not in unknown and "0 layers" in unknown
    row = run_panel.row(view(scene, pulling(bytes_total=4 << 30)), 100, 10).plain
    assert "pulling 3.0 GiB of 4.0 …" in row and "75%" in row


def test_the_name_of_an_image_leaves_room_for_its_layers(scene: Any) -> None:
    shown = panel(scene, scene.pulling("p"), width=50)
    (line,) = [line for line in shown if "image" in line]
    assert "…" in line and "5.5.0-pyt   12/31 layers" in line


def test_a_run_before_its_first_epoch(scene: Any) -> None:
    begun = [scene.queue("e"), RunStarted(run="run-e", at=scene.at, image="i:1", gpus=("0",), handle="h")]
    text = "\n".join(panel(scene, fold(begun)))
    assert "waiting for the first epoch" in text and "GPU 0" in text
    starting = replace(scene.queued("e"), state=RunState.STARTING, image="i:1")
    assert "preparing  i:1" in "\n".join(panel(scene, starting))
    assert "preparing" in "\n".join(panel(scene, replace(starting, image=None)))
    assert "starting" in run_panel.row(view(scene, starting), 80, 10).plain


def test_gpus_of_a_panel(scene: Any) -> None:
    run = scene.training(gpus=("0", "1"))
    gpus = {"0": GpuReading("0", "NVIDIA A100", 29 << 30, 80 << 30, 97), "1": GpuReading("1", "old card")}
    shown = panel(scene, run, gpus=gpus)
    (first,) = [line for line in shown if "GPU 0" in line]
    (second,) = [line for line in shown if "GPU 1" in line]
    assert "97%" in first and "29.0 GiB of 80.0 GiB  NVIDIA A100" in first
    assert "%" not in second and "GiB" not in second and "old card" in second


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
    ("step_s", "text"), [(0.0604, "60 ms"), (0.999, "999 ms"), (1.0, "1.0 s"), (12.34, "12.3 s")]
)
def test_the_pace_of_steps(step_s: float, text: str) -> None:
    assert run_panel._pace(step_s) == text


def test_two_lines_without_a_frame(scene: Any) -> None:
    run = scene.training()
    first, second = (line.plain for line in run_panel.pair(view(scene, run), 100, 20))
    assert "epoch 34/80" in first and "loss" not in first
    assert "loss 0.1176 best 0.1176 at 33" in second and "GPU 0" in second
    narrow = run_panel.pair(view(scene, run), 30, 20)
    assert all(line.cell_len <= 30 for line in narrow)
    with_metrics = run_panel.row(view(scene, run), 120, 20).plain
    assert "loss 0.1176" in with_metrics and "best" not in with_metrics


def test_without_a_loss_or_a_kpi_the_first_metric_is_shown(scene: Any) -> None:
    events = [*scene.training_events(0, 1)[:2]]
    for name in ("odd", "other"):
        events.append(
            MetricReported(run=events[0].run, at=scene.at + timedelta(seconds=1), name=name, value=7.5)
        )
    _, second = (line.plain for line in run_panel.pair(view(scene, fold(events)), 100, 20))
    assert "odd 7.500" in second and "other" not in second
