"""Average precision and suppression against cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from taorunner.embedded.loss import Objects
from taorunner.embedded.metrics import (
    ClassResult,
    Detections,
    average_precision,
    mean_average_precision,
    overlaps,
    results_by_class,
    select,
)

Box = tuple[float, float, float, float]
SQUARE: Box = (0, 0, 10, 10)
FAR: Box = (50, 50, 60, 60)
NEAR: Box = (2, 0, 12, 10)  # overlaps SQUARE by 80 / 120


def truth(*items: tuple[Box, int]) -> Objects:
    return Objects(
        np.array([box for box, _ in items], np.float32).reshape(-1, 4),
        np.array([c for _, c in items], np.int64),
    )


def found(*items: tuple[Box, float, int]) -> Detections:
    return Detections(
        np.array([item[0] for item in items], np.float32).reshape(-1, 4),
        np.array([item[1] for item in items], np.float32),
        np.array([item[2] for item in items], np.int64),
    )


def test_overlap_of_boxes() -> None:
    some = np.array([SQUARE, FAR, (5, 5, 5, 9)], np.float64)
    others = np.array([SQUARE, NEAR, (10, 0, 20, 10)], np.float64)
    expected = [[1, 80 / 120, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(overlaps(some, others), expected)


@pytest.mark.parametrize(
    ("right", "objects", "expected"),
    [
        ([1, 1], 2, 1.0),
        ([1], 2, 51 / 101),
        ([0, 1], 1, 0.5),
        ([1, 0, 1], 2, (51 * 1 + 50 * 2 / 3) / 101),
        # precision 1/2 at the first object is lifted to the later 2/3
        ([0, 1, 1], 2, 2 / 3),
        ([1, 0, 0, 1, 1], 4, (26 * 1 + 50 * 3 / 5) / 101),
        ([0, 0], 3, 0.0),
        ([], 3, 0.0),
    ],
)
def test_mean_precision_at_101_recalls(right: list[int], objects: int, expected: float) -> None:
    assert average_precision(np.array(right, float), objects) == pytest.approx(expected)


def test_second_detection_of_an_object_is_wrong() -> None:
    results = results_by_class(
        [truth((SQUARE, 0), (FAR, 0))], [found((SQUARE, 0.9, 0), (NEAR, 0.8, 0), (FAR, 0.7, 0))], 1, 0.5
    )
    assert results == [ClassResult(2, 3, pytest.approx((51 + 50 * 2 / 3) / 101))]


def test_an_object_that_is_taken_leaves_the_next_one_to_a_weaker_detection() -> None:
    close: Box = (3, 0, 13, 10)  # overlaps NEAR by 90 / 110, SQUARE by 70 / 130
    seen = found((NEAR, 0.9, 0), (close, 0.8, 0))
    assert results_by_class([truth((NEAR, 0), (SQUARE, 0))], [seen], 1, 0.5) == [ClassResult(2, 2, 1.0)]


def test_threshold_decides_whether_a_shifted_box_counts() -> None:
    arguments = ([truth((SQUARE, 0))], [found((NEAR, 0.9, 0))], 1)
    assert mean_average_precision(results_by_class(*arguments, 0.66)) == 1.0
    assert mean_average_precision(results_by_class(*arguments, 0.67)) == 0.0


def test_images_and_classes_are_kept_apart() -> None:
    results = results_by_class(
        [truth((SQUARE, 0)), truth((FAR, 1))],
        [found((FAR, 0.9, 1)), found((SQUARE, 0.8, 0), (FAR, 0.1, 1))],
        2,
        0.5,
    )
    assert results == [ClassResult(1, 1, 0.0), ClassResult(1, 2, 0.5)]


def test_mean_is_over_classes_that_have_objects() -> None:
    results = results_by_class([truth((SQUARE, 0))], [found((SQUARE, 0.9, 0), (FAR, 0.8, 1))], 3, 0.5)
    assert results == [ClassResult(1, 1, 1.0), ClassResult(0, 1, None), ClassResult(0, 0, None)]
    assert mean_average_precision(results) == 1.0
    assert mean_average_precision(results[1:]) == 0.0


def test_of_overlapping_detections_of_a_class_only_the_best_stays() -> None:
    boxes = np.array([NEAR, SQUARE, FAR, FAR], np.float32)
    scores = np.array([[0.8, 0.1], [0.9, 0.7], [0.0, 0.6], [0.05, 0.0]], np.float32)
    kept = select(boxes, scores, 0.2)
    assert kept.classes.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(kept.boxes, [SQUARE, SQUARE, FAR])
    np.testing.assert_allclose(kept.scores, [0.9, 0.7, 0.6])


def test_nothing_above_the_threshold_is_an_empty_answer() -> None:
    kept = select(np.array([SQUARE], np.float32), np.array([[0.1]], np.float32), 0.2)
    assert (kept.boxes.shape, kept.scores.shape, kept.classes.shape) == ((0, 4), (0,), (0,))


def test_an_overlap_of_just_the_threshold_counts() -> None:
    half: Box = (0, 0, 10, 5)  # overlaps SQUARE by 50 / 100
    (result,) = results_by_class([truth((SQUARE, 0))], [found((half, 0.9, 0))], 1, 0.5)
    assert result == ClassResult(1, 1, 1.0)
