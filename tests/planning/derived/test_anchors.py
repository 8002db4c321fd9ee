"""Shapes of anchors, and sizes of a network's input."""

from __future__ import annotations

import random

import pytest

from taorunner.planning.derived.anchors import anchor_shapes, mean_overlap
from taorunner.planning.derived.size_rules import rounded_size

KINDS = ((12.0, 30.0), (40.0, 40.0), (90.0, 50.0), (60.0, 140.0), (200.0, 120.0), (300.0, 280.0))


def boxes(number: int, spread: float = 0.05, seed: int = 3) -> list[tuple[float, float]]:
    """Around each of the kinds, as often."""
    chance = random.Random(seed)
    drawn = [KINDS[index % len(KINDS)] for index in range(number)]
    return [
        (w * chance.uniform(1 - spread, 1 + spread), h * chance.uniform(1 - spread, 1 + spread))
        for w, h in drawn
    ]


def test_kinds_of_boxes_are_found() -> None:
    shapes = anchor_shapes(boxes(1200), 6)
    for shape, kind in zip(shapes, sorted(KINDS, key=lambda one: one[0] * one[1]), strict=True):
        assert shape == pytest.approx(kind, rel=0.03)
    assert mean_overlap(boxes(1200), shapes) > 0.9


@pytest.mark.parametrize("count", [6, 9])
@pytest.mark.parametrize("number", [1, 3, 7, 50, 5000])
def test_they_are_as_many_as_asked_for_by_rising_area(count: int, number: int) -> None:
    drawn = boxes(number)
    shapes = anchor_shapes(drawn, count)
    areas = [width * height for width, height in shapes]
    assert len(set(shapes)) == count and areas == sorted(areas) and min(areas) > 0
    assert shapes == anchor_shapes(list(drawn), count)
    shuffled = list(drawn)
    random.Random(1).shuffle(shuffled)
    assert anchor_shapes(shuffled, count) == shapes


def test_boxes_without_area_do_not_count() -> None:
    assert (
        anchor_shapes([(0.0, 5.0), (5.0, 0.0)], 9) == [] and mean_overlap([(0.0, 5.0)], [(1.0, 1.0)]) == 0.0
    )
    assert anchor_shapes([*boxes(60), (0.0, 5.0)], 9) == anchor_shapes(boxes(60), 9)


def test_more_anchors_fit_better() -> None:
    drawn = boxes(900, spread=0.5)
    assert mean_overlap(drawn, anchor_shapes(drawn, 9)) > mean_overlap(drawn, anchor_shapes(drawn, 6)) > 0.6


@pytest.mark.parametrize(
    ("size", "multiple", "rounded"),
    [
        ((1920, 1080), 16, (960, 544)), ((1920, 1080), 32, (960, 544)), ((1280, 720), 32, (960, 544)),
        ((640, 480), 32, (640, 480)), ((1080, 1920), 16, (544, 960)), ((500, 375), 32, (512, 384)),
        ((96, 96), 32, (160, 160)), ((48, 40), 16, (192, 160)), ((4000, 200), 32, (960, 160)), ((1, 1), 16, (160, 160)),
    ],
)  # fmt: skip
def test_a_size_is_rounded_within_limits(
    size: tuple[int, int], multiple: int, rounded: tuple[int, int]
) -> None:
    assert rounded_size(size, multiple, 160, 960) == rounded
