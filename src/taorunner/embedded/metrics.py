"""Non-maximum suppression, and mean average precision.

Average precision of a class, as COCO defines it: in each image, detections by falling score take the object of their
class that they overlap most, of those that are not taken and overlap by the threshold; one that takes an object is
right. Over all images by falling score, precision is made non-increasing in recall, and its mean at the recalls 0,
0.01, …, 1 is taken. The mean is over the classes that have at least one object. Boxes are
``(x_min, y_min, x_max, y_max)`` in pixels, their area ``(x_max - x_min) * (y_max - y_min)``.
Source: cocodataset.org/#detection-eval
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import Floats, Ints
from .loss import Objects

SUPPRESSION_IOU = 0.5
MAXIMAL_DETECTIONS = 100
_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections in one image, by falling score."""

    boxes: Floats
    scores: Floats
    classes: Ints


@dataclass(frozen=True, slots=True)
class ClassResult:
    """``average_precision`` is None for a class without objects."""

    objects: int
    detections: int
    average_precision: float | None


def overlaps(some: Floats, others: Floats) -> Floats:
    """Intersection over union of every box with every other: ``(some, others)``. Empty boxes overlap nothing."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (some, others)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    result: Floats = np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
    return result


def select(boxes: Floats, scores: Floats, threshold: float) -> Detections:
    """The detections of one image from its ``(cell, 4)`` boxes and ``(cell, classes)`` scores: scores of at least
    ``threshold``, and per class only the best of boxes that overlap by more than ``SUPPRESSION_IOU``."""
    kept_boxes, kept_scores, kept_classes = [], [], []
    for number in range(scores.shape[1]):
        candidates = np.flatnonzero(scores[:, number] >= threshold)
        order = candidates[np.argsort(-scores[candidates, number], kind="stable")][: 3 * MAXIMAL_DETECTIONS]
        overlap = overlaps(boxes[order], boxes[order])
        alive = np.ones(len(order), bool)
        for place in range(len(order)):
            if alive[place]:
                alive[place + 1 :] &= overlap[place, place + 1 :] <= SUPPRESSION_IOU
        kept_boxes.append(boxes[order[alive]])
        kept_scores.append(scores[order[alive], number])
        kept_classes.append(np.full(int(alive.sum()), number, np.int64))
    all_scores = np.concatenate(kept_scores)
    best = np.argsort(-all_scores, kind="stable")[:MAXIMAL_DETECTIONS]
    return Detections(np.concatenate(kept_boxes)[best], all_scores[best], np.concatenate(kept_classes)[best])


def results_by_class(
    truth: Sequence[Objects], found: Sequence[Detections], classes: int, iou_threshold: float
) -> list[ClassResult]:
    """One result per class, over all images. ``truth`` and ``found`` have one entry per image."""
    return [_class_result(truth, found, number, iou_threshold) for number in range(classes)]


def mean_average_precision(results: Sequence[ClassResult]) -> float:
    """0.0 when no class has an object."""
    values = [result.average_precision for result in results if result.average_precision is not None]
    return sum(values) / len(values) if values else 0.0


def _class_result(
    truth: Sequence[Objects], found: Sequence[Detections], number: int, iou_threshold: float
) -> ClassResult:
    scores: list[float] = []
    right: list[bool] = []
    objects = 0
    for real, seen in zip(truth, found, strict=True):
        real_boxes = real.boxes[real.classes == number]
        mine = seen.classes == number
        objects += len(real_boxes)
        scores += seen.scores[mine].tolist()
        right += _matches(overlaps(seen.boxes[mine], real_boxes), iou_threshold)
    if not objects:
        return ClassResult(0, len(scores), None)
    order = np.argsort(-np.array(scores), kind="stable")
    return ClassResult(objects, len(scores), average_precision(np.array(right, float)[order], objects))


def _matches(overlap: Floats, threshold: float) -> list[bool]:
    """Whether each detection takes an object: rows are detections by falling score, columns objects. Of equal overlaps
    the last object is taken."""
    left, right = overlap.copy(), []
    for row in left:
        best = len(row) - 1 - int(row[::-1].argmax()) if len(row) else -1
        right.append(best >= 0 and bool(row[best] >= threshold))
        if right[-1]:
            left[:, best] = -1.0
    return right


def average_precision(right: Floats, objects: int) -> float:
    """The mean precision at 101 recalls, for detections by falling score (1 right, 0 wrong)."""
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    precision = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(precision[np.searchsorted(hits / objects, _RECALLS)].mean())
