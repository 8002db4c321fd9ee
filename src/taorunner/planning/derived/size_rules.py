"""Values of a spec that follow from the images and the boxes: suffix, size, anchors, and steps of a schedule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from taorunner.catalog.layouts import Computed, ComputedValue
from taorunner.planning.derived.anchors import anchor_shapes, mean_overlap
from taorunner.planning.derived.facts import Size
from taorunner.planning.derived.numbers import Source, samples
from taorunner.planning.derived.spec_texts import Wanted

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")
_STILL_FITS = 0.95
"""Anchors stay whose mean overlap with the boxes is at least this share of that of new ones."""
_FOR_EACH_KEY = 3


def set_sizes(source: Source, row: Computed) -> None:
    if row.value is not None:
        _SETTERS[row.value](source, row)


def _extension(source: Source, row: Computed) -> None:
    suffix = source.facts.suffix
    if not suffix:
        return
    wanted = Wanted(suffix if row.using.get("dot") else suffix.lstrip("."), f"the images end with {suffix}")
    for key in row.keys:
        source.texts.set_scalar(key, wanted)


def _size(source: Source, row: Computed) -> None:
    """The usual size of the images; with a size that the network takes, only in a new project."""
    usual = source.facts.usual_size
    if usual is None:
        return
    multiple, least, most = (int(row.using[name]) for name in ("multiple", "least", "most"))
    size = rounded_size(usual, multiple, least, most)
    are = "images are" if len(source.facts.sizes) == 1 else "most images are"
    reason = f"{are} {usual[0]}x{usual[1]}; multiples of {multiple}"
    if min(usual) < least:
        reason += f", no side below {least}"
    if max(usual) > most:
        reason += f", no side above {most}"
    for pair in zip(row.keys[::2], row.keys[1::2], strict=True):
        is_free = source.texts.is_new or not all(_is_taken(source.texts.value(key), multiple) for key in pair)
        for key, side in zip(pair, size, strict=True):
            if is_free and source.texts.has(key):
                source.texts.set_scalar(key, Wanted(side, reason))


def rounded_size(size: Size, multiple: int, least: int, most: int) -> Size:
    """Width and height, scaled so that no side is longer than ``most`` and none shorter than ``least``."""
    scale = min(1.0, most / max(size))
    scale = max(scale, min(least / min(size), most / max(size)))
    width, height = (max(multiple, int(side * scale / multiple + 0.5) * multiple) for side in size)
    smallest = ceil(least / multiple) * multiple
    return max(width, smallest), max(height, smallest)


def _anchors(source: Source, row: Computed) -> None:
    width, height = source.texts.number(row.using["width"]), source.texts.number(row.using["height"])
    if not width or not height or not source.facts.shapes or not all(map(source.texts.has, row.keys)):
        return
    boxes = [(one[0] * width, one[1] * height) for one in source.facts.shapes]
    shapes = anchor_shapes(boxes, _FOR_EACH_KEY * len(row.keys))
    old = [shape for key in row.keys for shape in _shapes_in(source.texts.value(key))]
    is_kept = not source.texts.is_new and len(old) == len(shapes)
    if is_kept and mean_overlap(boxes, old) >= _STILL_FITS * mean_overlap(boxes, shapes):
        return
    reason = f"k-means over {len(boxes):,} boxes, mean overlap {mean_overlap(boxes, shapes):.2f}"
    for index, key in enumerate(row.keys):  # the largest first
        end = len(shapes) - index * _FOR_EACH_KEY
        listed = ", ".join(f"({w:.2f}, {h:.2f})" for w, h in shapes[end - _FOR_EACH_KEY : end])
        source.texts.set_scalar(key, Wanted(f"[{listed}]", reason))


def _shapes_in(text: Any) -> list[tuple[float, float]]:
    found = [float(one) for one in _NUMBER.findall(text)] if isinstance(text, str) else []
    return list(zip(found[::2], found[1::2], strict=False))


def _steps_in_epochs(source: Source, row: Computed) -> None:
    """Numbers of steps that are as many epochs as before, or shares of all epochs where nothing was known."""
    texts, using = source.texts, row.using
    batch, epochs = texts.number(using["batch"]), texts.number(using["epochs"])
    images = samples(source)
    if not batch or not images:
        return
    steps = ceil(images / (batch * source.gpus))
    before = texts.number(using["images"])
    old_steps = ceil(before / (batch * source.gpus)) if before else None
    shares = [share * epochs * steps for share in using["shares"]] if epochs else []
    reason = f"{steps:,} steps an epoch: {images:,} images in batches of {int(batch * source.gpus)}"
    for key in row.keys:
        old = texts.value(key)
        counts = [float(one) for one in _NUMBER.findall(str(old))] if old is not None else []
        wanted = [one / old_steps * steps for one in counts] if old_steps and counts else shares
        if not wanted or old_steps == steps:
            continue
        numbers: list[int] = []
        for one in wanted:
            numbers.append(max(1, round(one), numbers[-1] + 1 if numbers else 1))
        is_list = len(using["shares"]) > 1
        value = "[" + ", ".join(map(str, numbers)) + "]" if is_list else numbers[0]
        texts.set_scalar(key, Wanted(value, reason))


def _is_taken(value: Any, multiple: int) -> bool:
    """0 means any size."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0 and value % multiple == 0


_SETTERS: Mapping[ComputedValue, Callable[[Source, Computed], None]] = {
    ComputedValue.EXTENSION: _extension,
    ComputedValue.SIZE: _size,
    ComputedValue.ANCHORS: _anchors,
    ComputedValue.STEPS_IN_EPOCHS: _steps_in_epochs,
}
SIZES = frozenset(_SETTERS)
