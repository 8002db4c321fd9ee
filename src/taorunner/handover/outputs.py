"""Boxes of one image from the raw outputs of a model. Only numpy; used by the process that runs models.

``grid``: boxes ``(cells, 4)`` in pixels of the input and scores ``(cells, classes)``; of boxes of one class that
overlap by more than half the best one counts. ``detr``: boxes ``(queries, 4)`` as centre and size in parts of the
input, and logits ``(queries, classes)``; the best pairs of query and class, at most 300.
Source: src/taorunner/embedded/metrics.py; NVIDIA-TAO/tao-pytorch cv/deformable_detr/model/post_process.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_BEST = 300
_SUPPRESSION_IOU, _MOST = 0.5, 100


def boxes_of(
    reads: str, outputs: Mapping[str, Any], size: tuple[int, int], lowest: float
) -> list[list[float]]:
    """Rows of x_min, y_min, x_max, y_max in parts of the image (0 to 1), score, class number; of a score of ``lowest``
    at least."""
    if reads == "grid":
        boxes, scores, classes = _grid(outputs["boxes"], outputs["scores"], lowest)
        boxes = boxes / np.array([*size, *size], np.float64)
    else:
        boxes, scores, classes = _detr(outputs["pred_boxes"], outputs["pred_logits"], lowest)
    rows = np.concatenate([np.clip(boxes, 0, 1), scores[:, None], classes[:, None]], axis=1)
    return [[float(value) for value in row] for row in rows[np.isfinite(rows).all(axis=1)]]


def _detr(boxes: Any, logits: Any, lowest: float) -> tuple[Any, Any, Any]:
    scores = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")[:_BEST]
    order = order[flat[order] >= lowest]
    chosen = np.asarray(boxes, np.float64)[order // scores.shape[1]]
    centre, half = chosen[:, :2], chosen[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1), flat[order], order % scores.shape[1]


def _grid(boxes: Any, scores: Any, lowest: float) -> tuple[Any, Any, Any]:
    found = []
    for number in range(scores.shape[1]):
        column = scores[:, number]
        candidates = np.flatnonzero(column >= lowest)
        order = candidates[np.argsort(-column[candidates], kind="stable")][: 3 * _MOST]
        kept: list[int] = []
        for place in order:
            if all(_overlap(boxes[place], boxes[other]) <= _SUPPRESSION_IOU for other in kept):
                kept.append(int(place))
        found += [(float(column[place]), number, place) for place in kept]
    best = sorted(found, key=lambda one: -one[0])[:_MOST]
    rows = [place for _, _, place in best]
    return (
        np.asarray(boxes, np.float64)[rows].reshape(-1, 4), np.array([score for score, _, _ in best]),
        np.array([float(number) for _, number, _ in best]),
    )  # fmt: skip


def _overlap(one: Any, other: Any) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.clip(high - low, 0, None).prod())
    areas = [float(np.clip(box[2:] - box[:2], 0, None).prod()) for box in (one, other)]
    union = sum(areas) - shared
    return shared / union if union > 0 else 0.0
