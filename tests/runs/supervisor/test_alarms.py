"""When a silence is one, and when a disk is nearly full. Time and disk are parameters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.catalog.load import load_network
from taorunner.events import EpochProgress, Event, MetricReported, Notice
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.results import LocalResults
from taorunner.runs.supervisor.alarms import SILENT_UNMEASURED_S, Alarms, RunMonitor

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
GIB = 1 << 30


def epoch(number: int, took_s: float | None = None, step: int | None = None) -> list[Event]:
    done = step is None
    return [EpochProgress(run="r", at=AT, epoch=number, step=step, completed=done, epoch_s=took_s)]


@pytest.fixture
def alarms(tmp_path: Path) -> Callable[..., Alarms]:
    def make(action: str = "train", free: Callable[[Path], int] = lambda _path: 100 * GIB) -> Alarms:
        contract = load_network("tinydet").contract(action)
        plan = RunPlan(
            project="p", experiment="e", action=action, backend="embedded", contract=contract, argv=("x",),
            workspace=tmp_path, results_dir=tmp_path, results_inside=str(tmp_path), run_inside="/r",
        )  # fmt: skip
        return Alarms(plan, "r", 0.0, LocalResults(plan, free))

    return make


def texts_of(notices: list[Notice]) -> list[tuple[str, str]]:
    return [(notice.code, notice.text) for notice in notices]


def test_before_anything_is_measured_ten_minutes_are_a_silence(alarms: Callable[..., Alarms]) -> None:
    watched = alarms()
    assert watched.check(599, AT) == []
    (notice,) = watched.check(600, AT)
    assert (notice.level, notice.code) == ("warning", "silent")
    assert notice.text == "no progress for 10m 00s; taorunner logs shows its last lines"


def test_a_silence_is_reported_once_and_the_next_one_again(alarms: Callable[..., Alarms]) -> None:
    watched = alarms()
    assert len(watched.check(600, AT)) == 1
    assert watched.check(5000, AT) == []
    watched.observe(epoch(1, step=3), 5001)
    assert watched.check(5600, AT) == []
    assert len(watched.check(5601, AT)) == 1


def test_three_measured_epochs_are_a_silence(alarms: Callable[..., Alarms]) -> None:
    watched = alarms()
    watched.observe(epoch(1, 300.0), 300)
    watched.observe(epoch(2, 300.0), 600)
    assert watched.silent_after_s == 900
    assert watched.check(1499, AT) == []
    assert texts_of(watched.check(1500, AT)) == [
        ("silent", "no progress for 15m 00s; an epoch takes 5m 00s; taorunner logs shows its last lines")
    ]


def test_short_epochs_leave_time_for_a_validation(alarms: Callable[..., Alarms]) -> None:
    watched = alarms()
    for number in range(1, 9):
        watched.observe(epoch(number, 1.0), float(number))
    assert watched.silent_after_s == 120


def test_epochs_are_measured_by_the_clock_where_tao_says_nothing(alarms: Callable[..., Alarms]) -> None:
    watched = alarms()
    for number in range(1, 4):
        watched.observe(epoch(number), number * 200.0)
    assert watched.silent_after_s == 600


def test_a_record_that_is_read_twice_measures_nothing(alarms: Callable[..., Alarms]) -> None:
    watched = alarms()
    watched.observe(epoch(1, 100.0), 100)
    watched.observe(epoch(1, 9000.0), 101)
    assert watched.silent_after_s == 300


def test_output_counts_until_epochs_are_seen_and_for_actions_without_any(
    alarms: Callable[..., Alarms],
) -> None:
    training, evaluation = alarms(), alarms("evaluate")
    for watched in (training, evaluation):
        watched.printed(500)
        assert watched.check(1000, AT) == []
    training.observe(epoch(1, 10.0), 1000)
    training.printed(1100)
    evaluation.printed(1100)
    assert [len(watched.check(1130, AT)) for watched in (training, evaluation)] == [1, 0]


def test_a_metric_is_progress(alarms: Callable[..., Alarms]) -> None:
    watched = alarms()
    watched.observe([MetricReported(run="r", at=AT, name="loss", value=1.0)], 590)
    assert watched.check(1000, AT) == []


def test_a_disk_nearly_full_is_reported_before_the_next_checkpoint(
    alarms: Callable[..., Alarms], tmp_path: Path
) -> None:
    free = [2 * GIB]
    (tmp_path / "train").mkdir()
    with (tmp_path / "train" / "model_epoch_003_step_00010.npz").open("wb") as file:
        file.truncate(3 * GIB)  # sparse
    watched = alarms(free=lambda _path: free[0])
    (notice,) = watched.check(0, AT)
    assert notice.code == "disk-nearly-full"
    assert notice.text == (
        f"only 2.0 GiB are free in {tmp_path}, and a checkpoint takes 3.0 GiB: the next one may fail; make room"
    )
    assert watched.check(100, AT) == []  # once
    for at_s, free[0] in ((150, 6 * GIB), (200, 5 * GIB)):  # hardly more room is no end of it
        assert watched.check(at_s, AT) == []
    free[0] = 8 * GIB
    assert watched.check(250, AT) == []
    free[0] = 5 * GIB
    assert len(watched.check(300, AT)) == 1


def test_without_a_checkpoint_a_gibibyte_is_the_limit(alarms: Callable[..., Alarms]) -> None:
    assert alarms(free=lambda _path: GIB).check(0, AT) == []
    assert len(alarms(free=lambda _path: GIB - 1).check(0, AT)) == 1


def test_a_disk_that_cannot_be_asked_is_no_alarm_and_evaluation_writes_no_checkpoint(
    alarms: Callable[..., Alarms],
) -> None:
    def away(_path: Path) -> int:
        raise OSError

    assert alarms(free=away).check(0, AT) == []
    assert alarms("evaluate", lambda _path: 0).check(0, AT) == []


def test_the_disk_is_not_asked_at_every_look(alarms: Callable[..., Alarms]) -> None:
    asked: list[Path] = []

    def free(path: Path) -> int:
        asked.append(path)
        return 100 * GIB

    watched = alarms(free=free)
    for second in range(61):
        watched.check(second, AT)
    assert len(asked) == 3


def test_a_run_that_waits_in_its_engine_is_not_silent(tmp_path: Path) -> None:
    clock = [0.0]
    monitor = RunMonitor(lambda: clock[0])
    plan = plain_plan(tmp_path, "e1")
    monitor.begin("r", plan)
    monitor.end("r")  # the engine has it in its queue
    clock[0] = 10 * SILENT_UNMEASURED_S
    assert monitor.look() == []
    monitor.resume("r", plan)
    clock[0] += SILENT_UNMEASURED_S - 1
    assert monitor.look() == []
    monitor.resume("r", plan)  # a second launch that is known does not begin the silence again
    clock[0] += 2
    assert [event.code for event in monitor.look() if isinstance(event, Notice)] == ["silent"]


def test_output_of_a_run_ends_its_silence_and_that_of_no_other(tmp_path: Path) -> None:
    clock = [0.0]
    monitor = RunMonitor(lambda: clock[0])
    for run_id in ("r1", "r2"):
        monitor.begin(run_id, plain_plan(tmp_path, "e1"))
    clock[0] = SILENT_UNMEASURED_S - 1
    monitor.printed("r1")
    monitor.printed("unknown")
    clock[0] += 2
    assert [event.run for event in monitor.look()] == ["r2"]
    assert monitor.look() == []  # not again within a second
    clock[0] += SILENT_UNMEASURED_S
    assert [event.run for event in monitor.look()] == ["r1"]
