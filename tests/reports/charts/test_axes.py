"""Round numbers at the ticks of axes."""

from __future__ import annotations

import math
import random
import sys

import pytest

from taorunner.reports.charts.axes import axis_of, epoch_axis, epoch_ticks


@pytest.mark.parametrize(
    ("values", "is_log", "texts"),
    [
        ([0.0, 0.8], False, ["0", "0.25", "0.50", "0.75"]),
        ([-0.004, 0.002], False, ["-0.004", "-0.002", "0", "0.002"]),
        ([2.0, 8.0], False, ["2", "4", "6", "8"]),
        ([5.0], False, ["4.5", "5.0", "5.5"]),
        ([0.0], False, ["-1", "0", "1"]),
        ([1e-6, 1e-2], True, ["1e-6", "1e-5", "1e-4", "0.001", "0.01"]),
        ([1e-20, 1e20], True, ["1e-20", "1e-11", "0.01", "1e7", "1e16"]),
        ([math.nan, 1.0, math.inf, 2.0], False, ["1.0", "1.5", "2.0"]),
        ([2e-4, 1e-4], False, ["1e-4", "1.5e-4", "2e-4"]),
        ([0.0, 3e6], False, ["0", "1e6", "2e6", "3e6"]),
    ],
)
def test_ticks_are_round_and_told_apart(values: list[float], is_log: bool, texts: list[str]) -> None:
    axis = axis_of(values, 100, 0)
    assert axis is not None
    assert (axis.is_log, [tick.text for tick in axis.ticks()]) == (is_log, texts)


def test_an_axis_may_be_kept_linear_and_needs_a_value() -> None:
    axis = axis_of([1e-3, 0.7], 100, 0, may_be_log=False)
    assert axis is not None and not axis.is_log
    assert axis_of([math.nan, math.inf], 100, 0) is None


def test_epochs_are_whole_numbers() -> None:
    assert [tick.text for tick in epoch_ticks(epoch_axis(1, 3, 0, 100))] == ["1", "2", "3"]
    assert [tick.text for tick in epoch_ticks(epoch_axis(1, 1_000_000, 0, 100))] == [
        "250,000", "500,000", "750,000", "1,000,000",
    ]  # fmt: skip


def test_every_value_has_a_place_between_the_ends(seed: int) -> None:
    of = random.Random(seed)
    extremes = [0.0, 5e-324, -5e-324, sys.float_info.max, -sys.float_info.max, 1.0, 1e-300, 1e300]
    for _ in range(500):
        values = [of.choice(extremes) if of.random() < 0.3 else of.uniform(-1, 1) * 10.0 ** of.randint(-300, 300)
                  for _ in range(of.randint(1, 6))]  # fmt: skip
        axis = axis_of(values, 184, 10)
        assert axis is not None
        assert all(10 <= axis.at(value) <= 184 for value in values), values
        assert all(10 <= tick.at <= 184 for tick in axis.ticks()), values
