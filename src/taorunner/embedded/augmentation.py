"""Random augmentation of training images and their boxes: mirroring, zoom, shift, brightness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import Floats, Images
from .loss import Objects
from .network import Normalisation, normalise

_ZOOM = (0.8, 1.25)
_SHIFT = 0.12
_GAIN = (0.8, 1.2)
_BRIGHTNESS = 0.3
#: An object is kept while this share of its box is inside the image.
_VISIBLE_SHARE = 0.4


def augment(
    pictures: Images, batch: Sequence[Objects], random: np.random.Generator, normalisation: Normalisation
) -> tuple[Floats, list[Objects]]:
    """Normalised images and their objects, with boxes clipped to the image."""
    count, height, width, _ = pictures.shape
    changed = np.empty_like(pictures)
    objects: list[Objects] = []
    for index in range(count):
        zoom = random.uniform(*_ZOOM)
        shift = random.uniform(-_SHIFT, _SHIFT, 2) * (width, height)
        mirrored = bool(random.random() < 0.5)
        columns, rows = (
            _sources(size, zoom, move) for size, move in zip((width, height), shift, strict=True)
        )
        if mirrored:
            columns = columns[::-1]
        # One gather over flat pixels of 3 bytes is three times faster than [rows][:, columns].
        flat = (rows[:, None] * width + columns[None, :]).ravel()
        changed[index] = pictures[index].reshape(-1, 3).take(flat, axis=0).reshape(height, width, 3)
        objects.append(_moved(batch[index], zoom, shift, mirrored, width, height))
    inputs = normalise(changed, normalisation)
    inputs *= random.uniform(*_GAIN, (count, 1, 1, 3)).astype(np.float32)
    inputs += random.uniform(-_BRIGHTNESS, _BRIGHTNESS, (count, 1, 1, 3)).astype(np.float32)
    return inputs, objects


def _sources(size: int, zoom: float, shift: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The source column (or row) of each new one; the border is repeated."""
    middle = size / 2
    places = (np.arange(size) + 0.5 - middle) / zoom + middle - shift
    return np.clip(places.astype(np.int64), 0, size - 1)


def _moved(objects: Objects, zoom: float, shift: Floats, mirrored: bool, width: int, height: int) -> Objects:
    middle = np.array([width / 2, height / 2] * 2)
    boxes = (objects.boxes - middle + np.concatenate([shift, shift])) * zoom + middle
    if mirrored:
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    visible = np.clip(boxes, 0, [width, height, width, height])
    kept = _areas(visible) > _VISIBLE_SHARE * _areas(boxes)
    return Objects(visible[kept].astype(np.float32), objects.classes[kept])


def _areas(boxes: Floats) -> Floats:
    areas: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas
