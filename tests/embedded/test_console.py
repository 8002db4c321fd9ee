"""Bars, lines and status lines, in the form in which Lightning and TAO write them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from taorunner.embedded import console, status_log
from taorunner.embedded.console import Console, Progress
from taorunner.embedded.status_log import StatusLog


class Clock:
    """Stands for the module ``time``: shows what it is set to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


def test_a_line_after_a_bar_begins_on_its_own_line() -> None:
    stream = io.StringIO()
    shown = Console(stream)
    shown.line("a")
    shown.line()
    shown.bar("1/2")
    shown.bar("2/2")
    shown.line("b")
    shown.line("c")
    shown.close()
    shown.bar("3/3")
    shown.close()
    shown.close()
    assert stream.getvalue() == "a\n\n\r1/2\r2/2\nb\nc\n\r3/3\n"


@pytest.mark.parametrize(
    ("after_s", "done", "total", "extra", "bar"),
    [
        (0.5, 0, 4, "v_num=1", "Epoch 3:  25%|██▌       | 1/4 [00:00<00:01, 2.00it/s, v_num=1]"),
        (4.0, 0, 4, "", "Epoch 3:  25%|██▌       | 1/4 [00:04<00:12, 4.00s/it]"),
        (1.0, 0, 1, "", "Epoch 3: 100%|██████████| 1/1 [00:01<00:00, 1.00it/s]"),
        (0.0, 0, 1, "", "Epoch 3: 100%|██████████| 1/1 [00:00<00:00, ?it/s]"),
        (0.5, 2, 4, "", "Epoch 3:  75%|███████▌  | 3/4 [00:00<00:00, 2.00it/s]"),  # two were done before
        (10.0, 0, 1000, "", "Epoch 3:   0%|          | 1/1000 [00:10<2:46:30, 10.00s/it]"),
        (61.0, 0, 60, "", "Epoch 3:   1%|▏         | 1/60 [01:01<59:59, 61.00s/it]"),
        (3600.0, 0, 2, "", "Epoch 3:  50%|█████     | 1/2 [1:00:00<1:00:00, 3600.00s/it]"),
    ],
)
def test_a_bar_is_that_of_lightning(
    after_s: float, done: int, total: int, extra: str, bar: str, clock: Clock
) -> None:
    stream = io.StringIO()
    progress = Progress(Console(stream), "Epoch 3", total, done)
    clock.now_s += after_s
    progress.advance(extra)
    assert stream.getvalue() == f"\r{bar}"


def test_a_bar_is_drawn_ten_times_a_second_and_at_its_end(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(Console(stream), "x", 6)
    seen = []
    for now_s in (1000.25, 1000.3125, 1000.375, 1000.4375, 1000.45, 1000.46):
        clock.now_s = now_s
        progress.advance()
        seen.append(stream.getvalue().count("\r"))
    assert seen == [1, 1, 2, 2, 2, 3]
    assert stream.getvalue().rpartition("| ")[2].startswith("6/6 ")


def test_the_moment_of_redrawing_is_a_tenth_of_a_second(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(Console(stream), "x", 9)
    clock.now_s = 0.0  # so that a tenth later is exactly a tenth
    progress._shown = 0.0
    clock.now_s = 0.1
    progress.advance()
    assert stream.getvalue().count("\r") == 1


def test_a_status_line_has_tao_s_form_and_repeats_the_last_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Now:
        month, day, year, hour, minute, second = 3, 4, 2026, 5, 6, 7

        @classmethod
        def now(cls) -> Now:
            return cls()

    monkeypatch.setattr(status_log, "datetime", Now)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "status.json").write_text('{"status": "of before"}\n')
    log = StatusLog(tmp_path / "train")
    log.write("STARTED", "begins")
    log.kpi = {"loss": 0.5}
    log.write("RUNNING", "goes on", {"epoch": 1, "message": "not this one"})
    log.write("FAILURE", "ends", verbosity="ERROR")
    when = {"date": "3/4/2026", "time": "5:6:7"}
    lines = [json.loads(line) for line in (tmp_path / "train" / "status.json").read_text().splitlines()]
    assert lines == [
        {"status": "of before"},
        {**when, "status": "STARTED", "verbosity": "INFO", "message": "begins"},
        {**when, "epoch": 1, "status": "RUNNING", "verbosity": "INFO", "message": "goes on", "kpi": {"loss": 0.5}},
        {**when, "status": "FAILURE", "verbosity": "ERROR", "message": "ends", "kpi": {"loss": 0.5}},
    ]  # fmt: skip
    StatusLog(tmp_path / "a" / "b").write("STARTED", "x")
    assert (tmp_path / "a" / "b" / "status.json").read_text().count("\n") == 1
