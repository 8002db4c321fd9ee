"""Curves as text: nothing is lost, nothing is wider than it may be, and every odd value has a place."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taorunner.console.base.theme import ASCII, UNICODE, Symbols
from taorunner.console.live.plot import plot_lines


def test_a_rising_curve_goes_from_the_bottom_left_to_the_top_right() -> None:
    lines = plot_lines([(epoch, epoch / 10) for epoch in range(1, 11)], 40, ASCII, height=5)
    assert lines == [
        "1.0000 |                          ******",
        "       |                    ******",
        "0.5500 |            ********",
        "       |      ******",
        "0.1000 |******",
        "       +--------------------------------",
        "        1                             10",
    ]


def test_a_curve_in_braille_has_the_same_frame() -> None:
    points = [(1, 1.0), (2, 0.0), (3, 1.0)]
    fine, coarse = plot_lines(points, 60, UNICODE), plot_lines(points, 60, ASCII)
    assert len(fine) == len(coarse)
    assert [line[:7] for line in fine] == [line[:7].replace("|", "│").replace("+", "└") for line in coarse]
    assert "⠀" not in "".join(fine)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([(1, 0.5)], []),
        ([(1, 0.5), (2, 0.5)], []),
        ([(1, 0.5), (2, math.nan), (3, 0.7), (4, math.inf)], ["not finite at 2, 4"]),
        ([(1, 1000.0), (2, 1.0)], ["logarithmic"]),
        ([(1, -1000.0), (2, 1.0)], []),
        ([(n, math.nan) for n in range(1, 20)] + [(20, 1.0)], ["not finite at 1, 2, 3, 4, 5, 6 and 13 more"]),
        ([(1, 1.7e308), (2, -1.7e308)], []),
        ([(1, 5e-324), (2, 5e-324)], []),
        ([(1, -1.7e308)], []),
        ([(1, 1.7e308)], []),
        ([(1, 1e-300), (2, 1e300)], ["logarithmic"]),
    ],
)
def test_every_curve_with_a_finite_value_is_drawn(points: list[tuple[int, float]], said: list[str]) -> None:
    lines = plot_lines(points, 80, ASCII)
    assert any("*" in line for line in lines)
    assert not any("inf" in line or "nan" in line for line in lines[:14])
    assert [line.strip() for line in lines[14:]] == said
    assert max(map(len, lines)) <= 80


def test_there_is_no_chart_of_nothing() -> None:
    assert plot_lines([], 80, UNICODE) == plot_lines([(1, math.nan), (2, math.inf)], 80, UNICODE) == []


def test_a_peak_among_a_million_values_is_drawn() -> None:
    points = [(n, 1.0 if n == 654_321 else 0.0) for n in range(1, 1_000_001)]
    assert "*" in plot_lines(points, 80, ASCII)[0]


@given(
    st.lists(st.floats(), max_size=60).map(lambda values: list(enumerate(values, 1))),
    st.integers(10, 200),
    st.sampled_from([ASCII, UNICODE]),
)
def test_any_curve_fits(points: list[tuple[int, float]], width: int, symbols: Symbols) -> None:
    lines = plot_lines(points, width, symbols)
    assert bool(lines) == any(math.isfinite(value) for _, value in points)
    assert all(len(line) <= max(width, 40) for line in lines)
