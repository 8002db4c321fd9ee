"""The training loss and its gradient.

In each image, the cells around an object's centre are assigned to it. The loss is, per assigned cell,
``2 * (1 - GIoU)`` of its box and the cross entropy of its class, plus the binary cross entropy of every cell's
objectness, all divided by the number of assigned cells in the batch.
GIoU: Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import Floats, Ints
from .network import LOG_SIZE_RANGE, STRIDE, cell_centres, sigmoid, softmax

BOX_WEIGHT = 2.0
#: Cells whose centre is at most this far (in cells) from the object's centre and inside its box are assigned to it.
CENTRE_RADIUS = 1.0


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects in one image: ``boxes`` ``(object, 4)`` as ``(x_min, y_min, x_max, y_max)`` in input pixels."""

    boxes: Floats
    classes: Ints


@dataclass(frozen=True, slots=True)
class Targets:
    """The assigned cells of a batch: image and cell number, box ``(x_min, y_min, x_max, y_max)`` in cells, class."""

    pictures: Ints
    cells: Ints
    boxes: Floats
    classes: Ints


def assign(batch: Sequence[Objects], rows: int, columns: int) -> Targets:
    """Assigns cells to objects. If two objects compete for a cell, the smaller one gets it.

    The cell under the centre is always assigned, so that no object is too small to be learned.
    """
    centres = cell_centres(rows, columns)
    found: list[tuple[int, int, Floats, int]] = []
    for number, objects in enumerate(batch):
        boxes = objects.boxes / STRIDE
        owner = np.full(rows * columns, -1)
        sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        for index in np.argsort(-sizes, kind="stable"):
            x_min, y_min, x_max, y_max = boxes[index]
            middle = np.array([(x_min + x_max) / 2, (y_min + y_max) / 2])
            inside = (centres > (x_min, y_min)).all(axis=1) & (centres < (x_max, y_max)).all(axis=1)
            owner[inside & (np.abs(centres - middle) <= CENTRE_RADIUS).all(axis=1)] = index
            column = min(max(int(middle[0]), 0), columns - 1)
            row = min(max(int(middle[1]), 0), rows - 1)
            owner[row * columns + column] = index
        for cell in np.flatnonzero(owner >= 0):
            index = owner[cell]
            found.append((number, int(cell), boxes[index], int(objects.classes[index])))
    return Targets(
        np.array([item[0] for item in found], np.int64),
        np.array([item[1] for item in found], np.int64),
        np.array([item[2] for item in found], np.float32).reshape(-1, 4),
        np.array([item[3] for item in found], np.int64),
    )


def detection_loss(raw: Floats, targets: Targets, rows: int, columns: int) -> tuple[float, Floats]:
    """The loss of a batch of raw outputs, and its gradient with respect to them."""
    gradient = np.zeros_like(raw)
    scale = 1.0 / max(1, len(targets.cells))
    place = (targets.pictures, targets.cells)
    answers = raw[place]

    wanted = np.zeros(raw.shape[:2], raw.dtype)
    wanted[place] = 1
    objectness = raw[..., 4]
    # log(1 + exp(x)) - wanted * x, without overflow
    loss = float((np.logaddexp(0, objectness) - wanted * objectness).sum())
    gradient[..., 4] = (sigmoid(objectness) - wanted) * scale
    if not len(answers):
        return loss * scale, gradient

    probabilities = softmax(answers[:, 5:])
    picked = (np.arange(len(answers)), targets.classes)
    loss += float(-np.log(np.maximum(probabilities[picked], 1e-12)).sum())
    probabilities[picked] -= 1

    overlap, box_gradient = _giou(answers[:, :4], targets.boxes, cell_centres(rows, columns)[targets.cells])
    loss += BOX_WEIGHT * float((1 - overlap).sum())

    answer_gradient = np.concatenate(
        [-BOX_WEIGHT * box_gradient, np.zeros((len(answers), 1)), probabilities], axis=1
    )
    gradient[place] += (answer_gradient * scale).astype(raw.dtype)
    return loss * scale, gradient


def _giou(raw: Floats, wanted: Floats, centres: Floats) -> tuple[Floats, Floats]:
    """Generalised IoU of each raw box with its wanted box, and its gradient with respect to the raw four."""
    log_size = np.clip(raw[:, 2:4], *LOG_SIZE_RANGE)
    middle, half = raw[:, 0:2] + centres, np.exp(log_size) / 2
    low, high = middle - half, middle + half
    wanted_low, wanted_high = wanted[:, 0:2], wanted[:, 2:4]

    size = high - low
    area = size.prod(axis=1)
    wanted_area = (wanted_high - wanted_low).prod(axis=1)
    common = np.minimum(high, wanted_high) - np.maximum(low, wanted_low)
    meets = (common > 0).all(axis=1, keepdims=True)
    common = np.where(meets, common, 0)
    shared = common.prod(axis=1)
    union = area + wanted_area - shared
    hull_size = np.maximum(high, wanted_high) - np.minimum(low, wanted_low)
    hull = hull_size.prod(axis=1)
    value = shared / union - 1 + union / hull

    # By edge: d(product of two sides)/d(one side) is the other side, hence the [:, ::-1].
    area_high = size[:, ::-1]
    shared_high = common[:, ::-1] * (meets & (high < wanted_high))
    shared_low = -common[:, ::-1] * (meets & (low > wanted_low))
    hull_high = hull_size[:, ::-1] * (high > wanted_high)
    hull_low = -hull_size[:, ::-1] * (low < wanted_low)

    def through(shared_edge: Floats, area_edge: Floats, hull_edge: Floats) -> Floats:
        union_edge = area_edge - shared_edge
        edge: Floats = (
            shared_edge / union[:, None]
            - union_edge * (shared / union**2)[:, None]
            + union_edge / hull[:, None]
            - hull_edge * (union / hull**2)[:, None]
        )
        return edge

    by_high = through(shared_high, area_high, hull_high)
    by_low = through(shared_low, -area_high, hull_low)
    free = (raw[:, 2:4] > LOG_SIZE_RANGE[0]) & (raw[:, 2:4] < LOG_SIZE_RANGE[1])
    return value, np.concatenate([by_low + by_high, (by_high - by_low) * half * free], axis=1)
