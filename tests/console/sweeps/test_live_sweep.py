"""The frame of a sweep on a terminal: what it says, and that it fits."""

from __future__ import annotations

import pytest

from taorunner.console.base.theme import UNICODE
from taorunner.console.sweeps.live_sweep import Running, best_so_far, sweep_lines
from taorunner.project.sweeps.definition import Axis, Sweep
from taorunner.sweeps.folder import StoredSweep
from taorunner.sweeps.trial import Ending, Trial

SWEEP = Sweep(
    name="lr_search", base="dino_01", trials=24, sampler="tpe",
    space=(Axis(key="train.optim.lr", kind="log", low=1e-5, high=1e-3),),
)  # fmt: skip
STORED = StoredSweep(body={}, metric="val_mAP50", maximize=True, started_at="", results="")


def done(number: int, value: float, ending: Ending = "succeeded") -> Trial:
    return Trial(number=number, values={"train.optim.lr": 1e-4}, run="r", ending=ending, value=value, epoch=2)


TRIALS = [
    done(0, 0.5),
    done(1, 0.4, "pruned"),
    done(2, 0.7),
    Trial(number=3, run="r", values={"train.optim.lr": 3e-4}),
]
RUNNING = [Running(TRIALS[3], "running", 12, {1: 0.1, 2: 0.3})]


def frame(width: int, height: int) -> list[str]:
    found = sweep_lines(SWEEP, STORED, TRIALS, RUNNING, UNICODE, (width, height), "watched for 2 min")
    return [line.plain for line in found]


def test_it_says_how_far_the_sweep_is() -> None:
    lines = frame(100, 20)
    assert lines[:4] == [
        "lr_search  dino_01, tpe  watched for 2 min",
        "4 of 24 trials: 2 succeeded, 1 pruned, 1 running",
        "best val_mAP50↑ 0.7000 t002  ▁▁█",
        "t003  running   2/12  0.3000 ▁█  lr 0.0003",
    ]
    assert "t002" in lines[6] and "t000" in lines[7] and "t001" in lines[8]
    assert lines[-1] == "q leave (the sweep goes on)   s stop"
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize(("width", "height"), [(100, 20), (60, 8), (30, 5), (20, 3), (10, 1)])
def test_it_fits(width: int, height: int) -> None:
    lines = frame(width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_the_best_so_far_is_that_of_the_direction() -> None:
    assert best_so_far(TRIALS, maximize=True) == [0.5, 0.5, 0.7]
    assert best_so_far(TRIALS, maximize=False) == [0.5, 0.4, 0.4]
