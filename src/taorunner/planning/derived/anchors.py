"""Shapes of anchors that fit the boxes of a dataset: k-means with the overlap as the measure.

As TAO's ``kmeans`` does it, but the same answer every time: the start is spread over the boxes by area.
Source: tao_tensorflow1_backend cv/yolo_v3/scripts/kmeans.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

Shape = tuple[float, float]
"""Width and height."""

_MOST_BOXES = 2000
_MOST_STEPS = 60


def anchor_shapes(boxes: Sequence[Shape], count: int) -> list[Shape]:
    """``count`` shapes by rising area, in the unit of ``boxes``; empty without boxes."""
    usable = sorted((box for box in boxes if box[0] > 0 and box[1] > 0), key=_by_area)
    if not usable:
        return []
    sample = usable[:: -(-len(usable) // _MOST_BOXES)]
    centres = [
        sample[min(len(sample) - 1, int((index + 0.5) * len(sample) / count))] for index in range(count)
    ]
    groups: list[int] = []
    for _ in range(_MOST_STEPS):
        nearest = [_nearest(box, centres) for box in sample]
        if nearest == groups:
            break
        groups = nearest
        for index in range(count):
            members = [box for box, group in zip(sample, groups, strict=True) if group == index]
            if members:
                centres[index] = median(box[0] for box in members), median(box[1] for box in members)
    return _different(sorted(centres, key=_by_area))


def mean_overlap(boxes: Sequence[Shape], anchors: Sequence[Shape]) -> float:
    """The mean over all boxes of the overlap (intersection over union) with the best anchor, 0 to 1."""
    usable = sorted((box for box in boxes if box[0] > 0 and box[1] > 0), key=_by_area)
    sample = usable[:: -(-len(usable) // _MOST_BOXES)] if usable else []
    if not sample or not anchors:
        return 0.0
    return sum(max(_overlap(box, one) for one in anchors) for box in sample) / len(sample)


def _by_area(box: Shape) -> tuple[float, float]:
    return box[0] * box[1], box[0]


def _nearest(box: Shape, centres: Sequence[Shape]) -> int:
    best, found = -1.0, 0
    for index, centre in enumerate(centres):
        overlap = _overlap(box, centre)
        if overlap > best:
            best, found = overlap, index
    return found


def _overlap(one: Shape, other: Shape) -> float:
    shared = min(one[0], other[0]) * min(one[1], other[1])
    return shared / (one[0] * one[1] + other[0] * other[1] - shared)


def _different(shapes: Sequence[Shape]) -> list[Shape]:
    """A shape that comes twice is made a little larger: fewer kinds of boxes than anchors."""
    found: list[Shape] = []
    for width, height in shapes:
        while any(abs(width - w) < 1e-9 and abs(height - h) < 1e-9 for w, h in found):
            width, height = width * 1.25, height * 1.25
        found.append((width, height))
    return sorted(found, key=_by_area)
