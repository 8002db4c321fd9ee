"""Outlines are where their object is after scaling, framing and turning; masks and polygons agree."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from taorunner.datasets.model import segmentation


def mask(rows: list[str], packed: bool = False) -> dict[str, Any]:
    """``#`` is in."""
    flat = "".join(row[x] for x in range(len(rows[0])) for row in rows)
    counts = [len(list(group)) for _, group in itertools.groupby(flat)]
    counts = [0, *counts] if flat[0] == "#" else counts
    return {"size": [len(rows), len(rows[0])], "counts": segmentation._packed(counts) if packed else counts}


DRAWN = ["......", ".##...", ".##...", ".....#"]


def test_run_lengths_are_packed_as_coco_does() -> None:
    """Runs from the fourth on are differences to the one two before: 5, 2, 1, 5-2, 4-1, 3-5."""
    assert segmentation._packed([5, 2, 1, 5, 4, 3]) == "52133N"
    assert segmentation._unpacked("52133N") == [5, 2, 1, 5, 4, 3]
    chance = random.Random(4)
    for _ in range(200):
        runs = [chance.randrange(10 ** chance.randrange(1, 7)) for _ in range(chance.randrange(1, 40))]
        assert segmentation._unpacked(segmentation._packed(runs)) == runs


@pytest.mark.parametrize("packed", [False, True])
def test_a_mask_is_scaled_and_framed(packed: bool) -> None:
    """Each new pixel is the old one below its middle: columns 1, 3 and 5, rows 1 and 3."""
    made = segmentation.scaled(mask(DRAWN, packed), (0.5, 0.5), (3, 2), (1, 2), (5, 5))
    assert made == mask([".....", ".....", ".#...", "...#.", "....."], packed)


@pytest.mark.parametrize(
    ("orientation", "rows"),
    [
        (2, ["......", "...##.", "...##.", "#....."]),
        (3, ["#.....", "...##.", "...##.", "......"]),
        (4, [".....#", ".##...", ".##...", "......"]),
        (5, ["....", ".##.", ".##.", "....", "....", "...#"]),
        (6, ["....", ".##.", ".##.", "....", "....", "#..."]),
        (7, ["#...", "....", "....", ".##.", ".##.", "...."]),
        (8, ["...#", "....", "....", ".##.", ".##.", "...."]),
    ],
)
def test_a_mask_is_turned(orientation: int, rows: list[str]) -> None:
    assert segmentation.turned(mask(DRAWN), (6, 4), orientation) == mask(rows)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_polygon_turns_as_its_mask_does(orientation: int) -> None:
    """The square that is drawn, as a polygon: its corners end where the mask's pixels do."""
    square = [[1, 1, 3, 1, 3, 3, 1, 3]]
    (points,) = segmentation.polygons(segmentation.turned(square, (6, 4), orientation))
    turned = segmentation.turned(mask(["......", ".##...", ".##...", "......"]), (6, 4), orientation)
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    height, width = turned["size"]
    rows = ["".join("#" if left <= x < right and top <= y < bottom else "." for x in range(width))
            for y in range(height)]  # fmt: skip
    assert turned == mask(rows)


def test_polygons_are_scaled_and_moved() -> None:
    assert segmentation.scaled([[0, 0, 10, 0, 10.5, 4]], (0.5, 2), (99, 99), (3, 1), (99, 99)) == [
        [3, 1, 8, 1, 8.25, 9]
    ]
    assert segmentation.scaled([0, 0, 10, 0, 10, 4], (1, 1), (99, 99), (0, 0), (99, 99)) == [
        [0, 0, 10, 0, 10, 4]
    ]


def test_areas() -> None:
    assert segmentation.area([[0, 0, 10, 0, 10, 4], [0, 0, 0, 2, 2, 2, 2, 0]]) == 24
    assert segmentation.area(mask(DRAWN)) == segmentation.area(mask(DRAWN, packed=True)) == 5


@pytest.mark.parametrize(
    "outline",
    [
        7, "polygon", [], [[]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5, "x"]], [[1, 2, 3, 4, 5, None]],
        [[1, 2, 3, 4, 5, float("nan")]], {"size": [2, 2], "counts": [3]}, {"size": [2, 2], "counts": [-1, 5]},
        {"size": [2], "counts": [4]}, {"size": [0, 0], "counts": []}, {"counts": [4]}, {"size": [2, 2]},
        {"size": [2, 2], "counts": "\n"}, {"size": [2, 2], "counts": "ooo"}, {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": [2, 2], "counts": [4.0]}, {"size": [True, 4], "counts": [[4]]},
        {"size": [2, 2], "counts": "o" * 1_000_000 + "4"},
    ],
)  # fmt: skip
def test_what_is_no_outline_is_refused(outline: object) -> None:
    with pytest.raises(ValueError):
        segmentation.area(outline)
    with pytest.raises(ValueError):
        segmentation.scaled(outline, (1, 1), (2, 2), (0, 0), (2, 2))
