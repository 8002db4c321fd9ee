"""What a live view is made of: curves, trails of events, reasons of the queue, GPU readings, log lines."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taorunner.console.live.gpu_readings import GpuReadings
from taorunner.console.live.gpu_text import gpu_ids
from taorunner.console.live.log_lines import is_error, shown_lines
from taorunner.console.live.queue_reasons import queue_reasons
from taorunner.console.live.run_facts import RunFacts
from taorunner.console.live.run_view import GpuReading
from taorunner.console.live.sparkline import sparkline
from taorunner.console.live.trails import Trails
from taorunner.events import EpochProgress, MetricReported, Notice, RunQueued, RunStarted, RunState
from taorunner.gpu.inventory import Gpu, Inventory


@pytest.mark.parametrize(
    ("values", "width", "curve"),
    [
        ([0, 1], 10, "▁█"),
        ([3, 2, 1], 10, "█▅▁"),
        ([1, 1, 1], 10, "▄▄▄"),
        (range(8), 8, "▁▂▃▄▅▆▇█"),
        (range(100), 4, "▁▃▆█"),
        ([0, math.nan, 1], 10, "▁ █"),
        ([0, math.inf, 1], 10, "▁ █"),
        ([1], 10, ""),
        ([], 10, ""),
        ([math.nan, math.nan], 10, ""),
        ([0, 1], 1, ""),
        ([-1e308, 1e308], 10, ""),
    ],
)
def test_a_curve_in_one_line(values: Any, width: int, curve: str) -> None:
    assert sparkline(list(values), width) == curve


def metric(scene: Any, value: float, epoch: int | None, name: str = "loss") -> MetricReported:
    return MetricReported(run="r", at=scene.at, name=name, value=value, epoch=epoch)


def test_a_curve_has_the_last_value_of_each_epoch_in_order(scene: Any) -> None:
    trails = Trails()
    for value, epoch in ((3.0, 1), (9.0, 2), (1.0, 3), (2.0, 2), (7.0, None)):
        trails.add(metric(scene, value, epoch))
    assert trails.curve("r", "loss") == [3.0, 2.0, 1.0]
    trails.add(metric(scene, 2.5, 1))  # a new attempt
    assert trails.curve("r", "loss") == [2.5, 2.0, 1.0]
    assert trails.curve("r", "other") == trails.curve("unknown", "loss") == []


def told(scene: Any, code: str, text: str, after_s: float = 0, run: str = "r") -> Notice:
    return Notice(run=run, at=scene.at + timedelta(seconds=after_s), level="warning", code=code, text=text)


def test_a_stall_ends_with_the_next_progress(scene: Any) -> None:
    trails = Trails()
    trails.add(EpochProgress(run="r", at=scene.at, epoch=1))
    stall = told(scene, "silent", "no progress", 600)
    trails.add(stall)
    assert (trails.stall("r"), trails.moved_at("r")) == (stall, scene.at)
    trails.add(EpochProgress(run="r", at=scene.at + timedelta(seconds=700), epoch=2))
    assert trails.stall("r") is None


def test_an_engine_is_silent_until_it_answers_or_a_run_goes_on(scene: Any) -> None:
    trails = Trails()
    silent = told(scene, "engine", "the engine does not answer: refused", 10)
    trails.add(silent)
    trails.add(told(scene, "engine", "the engine does not answer: timed out", 20))
    trails.add(told(scene, "engine", "the engine does not answer: refused", 15, run="other"))
    assert trails.engine_silent_since(["r", "other"]) == silent.at
    trails.add(told(scene, "engine", "the engine answers again", 30))
    assert trails.engine_silent_since(["r"]) is None
    assert trails.engine_silent_since(["r", "other"]) == silent.at + timedelta(seconds=5)
    trails.add(replace(metric(scene, 1, 1), run="other"))
    assert trails.engine_silent_since(["r", "other"]) is None
    trails.add(told(scene, "engine", "the engine does not answer: refused", 40))  # again, the same words
    assert trails.engine_silent_since(["r"]) is not None
    trails.add(told(scene, "undecided", "state unknown: refused", 640))
    assert trails.engine_silent_since(["r"]) == scene.at + timedelta(seconds=40)


def test_attempts_are_counted_and_the_reason_lasts_until_the_start(scene: Any) -> None:
    trails = Trails()
    retry = told(scene, "retry", "attempt 1: lost; attempt 2 starts from the beginning, in 5s")
    trails.add(retry)
    assert (trails.retries("r"), trails.retry("r")) == (1, retry)
    trails.add(RunStarted(run="r", at=scene.at, gpus=(), handle="h2"))
    assert (trails.retries("r"), trails.retry("r")) == (1, None)


def reasons(
    scene: Any, runs: list[Any], facts: dict[str, RunFacts], total: int = 2, **retries: Notice
) -> Any:
    names = {run.id: run.experiment for run in runs}
    known = {run.id: facts.get(run.experiment, RunFacts("b", None, 1)) for run in runs}
    gpus = [GpuReading(str(index)) for index in range(total)]
    found = queue_reasons(
        runs, names, known, {f"run-{name}": one for name, one in retries.items()}, gpus, scene.at
    )
    return {names[run_id]: reason for run_id, reason in found.items()}


def test_the_queue_says_who_is_next_and_behind_whom(scene: Any) -> None:
    runs = [scene.training(), scene.queued("a"), scene.queued("b"), scene.queued("c")]
    assert reasons(scene, runs, {}) == {"a": "next; needs 1 GPU, 1 is free", "b": "behind a", "c": "behind b"}
    assert reasons(scene, runs, {}, 0)["a"] == "next; needs 1 GPU"
    assert reasons(scene, runs, {"a": RunFacts("b", None, 2)})["a"] == "next; needs 2 GPUs, 1 is free"
    assert reasons(scene, runs, {"a": RunFacts("b", 1, 1)})["a"] == "next; --parallel 1 is reached"
    assert (
        reasons(scene, runs, {"a": RunFacts("b", None, 1, most=1)})["a"] == "next; max_submitted 1 is reached"
    )
    elsewhere = {"a": RunFacts("b", None, 2, most=1, cluster="dgx")}
    assert reasons(scene, runs, elsewhere)["a"] == "next; needs 2 GPUs, 1 is free"
    assert (
        reasons(scene, runs, {"a": RunFacts("b", None, 0)})["a"]
        == "next; runs without GPU start one at a time"
    )
    assert reasons(scene, runs, {"a": RunFacts("b")})["a"] == "next"
    on_slurm = [runs[0], replace(runs[1], backend="slurm"), *runs[2:]]
    for count in (0, 2):
        assert reasons(scene, on_slurm, {"a": RunFacts("b", None, count)})["a"] == "next"
    chained = {
        name: RunFacts("b", None, 1, after=after) for name, after in (("a", runs[0].id), ("b", runs[1].id))
    }
    assert reasons(scene, runs, chained) == {
        "a": "after train",
        "b": "after train",
        "c": "next; needs 1 GPU, 1 is free",
    }
    other = reasons(scene, runs, {"b": RunFacts("another batch", None, 1)})
    assert other["b"] == "next; needs 1 GPU, 1 is free" and other["c"] == "behind a"


def test_limits_count_the_runs_of_their_batch_and_gpus_those_of_all(scene: Any) -> None:
    """``attach`` shows the runs of several batches."""
    other = scene.training()
    runs = [other, scene.queued("a")]
    elsewhere = {other.experiment: RunFacts("another batch", None, 1)}
    limited = {**elsewhere, "a": RunFacts("b", 1, 1)}
    assert reasons(scene, runs, limited)["a"] == "next; needs 1 GPU, 1 is free"
    assert reasons(scene, runs, {**elsewhere, "a": RunFacts("b", None, 0)})["a"] == "next"
    same = {other.experiment: RunFacts("b", 1, 1), "a": RunFacts("b", 1, 1)}
    assert reasons(scene, runs, same)["a"] == "next; --parallel 1 is reached"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "waits for 1 GPU: GPU 1 (used by python (process 4121 of ann))",
            "next; needs 1 GPU: 0 free, GPU 1 used by pid 4121 (python)",
        ),
        (
            "waits for 1 GPU: GPU 1 (used by process 4121)",
            "next; needs 1 GPU: 0 free, GPU 1 used by pid 4121",
        ),
        (
            "waits for 1 GPU: GPU 1 (run 20260301-120000-e-train-a57ce4 of bert)",
            "next; needs 1 GPU: 0 free, GPU 1 used by run a57ce4 of bert",
        ),
        (
            "waits for 1 GPU: GPU 1 (used by run r-1, which continues without its supervisor)",
            "next; needs 1 GPU: 0 free, GPU 1 used by run r-1, which continues without its supervisor",
        ),
        # GPU 0 has been given to a run of this batch since
        ("waits for 1 GPU: GPU 0 (run x of bert)", "next; needs 1 GPU, 1 is free"),
    ],
)
def test_the_queue_says_who_has_the_gpus(scene: Any, text: str, reason: str) -> None:
    queued = replace(scene.queued("a"), notices=(told(scene, "gpu-wait", text, run="run-a"),))
    assert reasons(scene, [scene.training(), queued], {}) == {"a": reason}


def test_what_computes_on_a_gpu_is_named_without_a_notice(scene: Any) -> None:
    """The supervisor says nothing while runs of its own batch have the other GPUs."""
    runs = [scene.training(), scene.queued("a")]
    name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    gpus = [GpuReading("0", processes=(1,)), GpuReading("1", processes=(os.getpid(),))]
    facts = {run.id: RunFacts("b", None, 1) for run in runs}
    found = queue_reasons(runs, {}, facts, {}, gpus, scene.at)
    assert found == {"run-a": f"next; needs 1 GPU: 0 free, GPU 1 used by pid {os.getpid()} ({name})"}
    gone = [gpus[0], GpuReading("1", processes=(2**30,))]
    assert queue_reasons(runs, {}, facts, {}, gone, scene.at)["run-a"].endswith(f"GPU 1 used by pid {2**30}")


def test_an_old_notice_counts_only_while_something_computes_there(scene: Any) -> None:
    """The scheduler does not say when a GPU is left."""
    text = "waits for 1 GPU: GPU 1 (used by python (process 4121 of ann))"
    queued = replace(scene.queued("a"), notices=(told(scene, "gpu-wait", text, run="run-a"),))
    runs = [scene.training(), queued]
    facts = {run.id: RunFacts("b", None, 1) for run in runs}

    def reason(seconds: float, *gpus: GpuReading) -> str:
        return queue_reasons(runs, {}, facts, {}, gpus, scene.at + timedelta(seconds=seconds))["run-a"]

    used, idle = GpuReading("0", processes=(1,)), GpuReading("1")
    held = "next; needs 1 GPU: 0 free, GPU 1 used by pid 4121 (python)"
    assert reason(60, used, idle) == held
    assert reason(600, used, idle) == "next; needs 1 GPU, 1 is free"
    assert reason(600, used, replace(idle, processes=(4121,))) == held
    assert reason(600) == "next; needs 1 GPU: GPU 1 used by pid 4121 (python)"  # nothing is known of the GPUs


def test_a_named_gpu_is_named(scene: Any) -> None:
    text = "waits for GPU 1 (run x-y-abc123 of bert)"
    queued = replace(scene.queued("a"), notices=(told(scene, "gpu-wait", text, run="run-a"),))
    named = {"a": RunFacts("b", None, 1, ("1",))}
    runs = [scene.training(), queued, scene.queued("c")]
    assert reasons(scene, runs, named) == {
        "a": "next; needs GPU 1: GPU 1 used by run abc123 of bert",
        "c": "next; needs 1 GPU, 1 is free",
    }
    mine = {"a": RunFacts("b", None, 1, ("0",))}
    assert reasons(scene, [scene.training(), scene.queued("a")], mine)["a"] == (
        "next; needs GPU 0: GPU 0 used by a run above"
    )


def test_a_run_that_is_tried_again_says_why(scene: Any) -> None:
    text = "attempt 1: the engine lost the container; attempt 2 continues from epoch 3, in 30s"
    runs = [replace(scene.queued("a"), state=RunState.QUEUED)]
    found = reasons(scene, runs, {}, a=told(scene, "retry", text, run="run-a"))
    assert found == {"a": "attempt 2 in 30s: the engine lost the container"}


def test_the_driver_is_asked_once_a_second_and_rarely_without_gpus() -> None:
    asked: list[float] = []
    clock = [0.0]
    gpu = Gpu(0, "GPU-aa", "NVIDIA H100", 80, 31, 97)

    def ask() -> Inventory:
        asked.append(clock[0])
        return Inventory((gpu,))

    readings = GpuReadings(ask, lambda: clock[0])
    for _ in range(35):
        found = readings.by_id()
        clock[0] += 0.1
    assert asked == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.11)
    assert found["0"] == found["GPU-aa"] == GpuReading("0", "NVIDIA H100", 31, 80, 97)
    empty = GpuReadings(lambda: asked.append(clock[0]) or Inventory(), lambda: clock[0])  # type: ignore[func-returns-value]
    asked.clear()
    for _ in range(100):
        assert empty.by_id() == {}
        clock[0] += 0.5
    assert len(asked) == 1


def test_gpu_ids_are_short() -> None:
    known = {"GPU-3f2a8c11-0000": GpuReading("5")}
    assert gpu_ids(("0",), {}) == "0"
    assert gpu_ids(("2", "3"), {}) == "2,3"
    assert gpu_ids(("4", "5", "6", "7"), {}) == "4-7"
    assert gpu_ids(("0", "2", "4"), {}) == "0,2,4"
    assert gpu_ids(("GPU-3f2a8c11-0000",), known) == "5"
    assert gpu_ids(("GPU-3f2a8c11-0000",), {}) == "GPU-3f2a"


@pytest.mark.parametrize(
    ("line", "is_bad"),
    [
        ("RuntimeError: no such file", True),
        ("torch.OutOfMemoryError: CUDA out of memory", True),
        ("Traceback (most recent call last):", True),
        ("2026-03-01 12:00:01,123 - [TAO Toolkit] - ERROR - no data", True),
        ("Epoch 3: loss 0.4, error_rate 0.1", False),
        ("UserWarning: deprecated", False),
    ],
)
def test_lines_that_report_an_error(line: str, is_bad: bool) -> None:
    assert is_error(line) is is_bad


def test_errors_take_at_most_half_of_the_lines() -> None:
    tail = [*(f"KeyError: {number}" for number in range(6)), *"abcdef"]
    assert [line for line, _ in shown_lines(tail, 2)] == ["KeyError: 5", "f"]
    assert [line for line, _ in shown_lines(tail, 6)] == [
        "KeyError: 3",
        "KeyError: 4",
        "KeyError: 5",
        "d",
        "e",
        "f",
    ]
    assert shown_lines(tail, 1) == [("f", False)]
    assert shown_lines(tail, 0) == []


def test_an_event_of_a_run_without_progress_is_no_progress(scene: Any) -> None:
    trails = Trails()
    trails.add(RunQueued(run="r", at=scene.at, project="p", experiment="e", action="train", backend="docker"))
    assert trails.moved_at("r") is None
