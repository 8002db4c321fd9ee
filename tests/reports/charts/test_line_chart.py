"""Charts as SVG."""

from __future__ import annotations

import math
import random
import re
import xml.etree.ElementTree as ElementTree

from taorunner.reports.charts.line_chart import Line, line_chart, spark


def test_a_chart_has_a_line_for_each_run_with_marks_where_values_were_lost() -> None:
    first = Line("a <b>", "r0 c0", {1: 0.1, 2: math.nan, 3: 0.3, 4: 0.4})
    chart = line_chart("loss", [first, Line("b", "r1 c1", {1: 0.2, 2: 0.1})])
    assert chart is not None
    root = ElementTree.fromstring(chart.svg)
    paths = [(one.get("class"), one.find("title").text) for one in root.find("g")]
    assert paths == [
        ("r1 c1", "b"), ("r0 c0", "a <b>"), ("r0 c0 dot", "a <b>"), ("r0 c0 lost", "a <b>: nan at 2"),
    ]  # fmt: skip


def test_a_learning_rate_holds_until_the_next_value() -> None:
    chart = line_chart("lr", [Line("a", "r0", {1: 0.2, 2: 0.2, 3: 0.1})], steps=True)
    assert chart is not None
    d = re.findall(r'class="r0" d="([^"]*)"', chart.svg)[0]
    assert re.fullmatch(r"M\d+ \d+(h\d+){2}v\d+", d), d


def test_a_single_epoch_is_a_dot_and_no_finite_value_is_no_chart() -> None:
    chart = line_chart("loss", [Line("a", "r0", {7: 1.5})])
    assert chart is not None
    assert 'class="r0 dot"' in chart.svg and ">7</text>" in chart.svg
    assert line_chart("loss", [Line("a", "r0", {1: math.nan, 2: math.inf})]) is None


def test_an_axis_is_logarithmic_from_a_ratio_of_a_hundred_unless_it_may_not() -> None:
    line = Line("a", "r0", {1: 500.0, 2: 1.0})
    assert [line_chart("loss", [line], may_be_log=may).is_log for may in (True, False)] == [True, False]
    assert not line_chart("loss", [Line("a", "r0", {1: 90.0, 2: 1.0})]).is_log


def test_a_million_steps_take_little_room() -> None:
    of = random.Random(4)
    points = {step: of.random() for step in range(1, 1_000_001)}
    chart = line_chart("loss", [Line("a", "r0", points)])
    assert chart is not None
    assert len(chart.svg) < 10_000
    assert len(spark(list(points.items()), 0.0, 1.0, "c0")) < 2_000


def test_a_spark_needs_two_finite_values() -> None:
    assert spark([(1, 0.5)], 0, 1, "c0") == "" == spark([(1, 0.5), (2, math.nan)], 0, 1, "c0")
    assert spark([(1, 0.5), (2, 0.6)], 0, 1, "c0").startswith("<svg")
