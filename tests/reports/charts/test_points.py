"""Which points of a curve are drawn."""

from __future__ import annotations

import math

from taorunner.reports.charts.points import segments


def test_few_points_are_all_drawn_and_many_keep_their_peaks() -> None:
    few = [(float(x), float(x * x)) for x in range(1, 11)]
    assert segments(few, 300, (1, 10)).lines == (tuple(few),)
    many = [(float(x), math.sin(x)) for x in range(100_000)]
    many[70_000] = (70_000.0, 40.0)
    many[70_001] = (70_001.0, -40.0)
    (line,) = segments(many, 300, (0, 99_999)).lines
    assert len(line) <= 2 * 301
    assert {(70_000.0, 40.0), (70_001.0, -40.0)} <= set(line)
    assert list(line) == sorted(line)


def test_a_line_is_broken_where_a_value_is_not_finite_and_at_a_restart() -> None:
    points = [(1, 1.0), (2, math.nan), (3, 3.0), (4, 4.0), (5, 5.0), (6, -math.inf)]
    found = segments(points, 300, (1, 6), restarts={4})
    assert found.lines == (((1, 1.0),), ((3, 3.0),), ((4, 4.0), (5, 5.0)))
    assert [x for x, _ in found.lost] == [2, 6]


def test_of_many_lost_values_one_of_a_column_is_marked() -> None:
    found = segments([(float(x), math.nan) for x in range(10_000)], 100, (0, 9_999))
    assert found.lines == ()
    assert 100 <= len(found.lost) <= 101
