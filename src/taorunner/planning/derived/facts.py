"""What a dataset in the layout of a network says about the values of its specs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SubsetFacts:
    """``boxes`` by class; ``most_boxes`` in one image. For class folders ``boxes`` counts the images of each."""

    images: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    most_boxes: int = 0


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Of all that a training reads, ``train`` and ``val``.

    ``classes``: names in the order of ids, folders or first appearance. ``ids``: the categories of COCO, ODVG and
    panoptic files. ``sizes``: widths and heights of images with their number, of a part of a large dataset.
    ``suffixes``: with the dot, as written. ``shapes``: width and height of boxes as shares of their image.
    ``mask_values``: one number each, or three for coloured masks. ``channels`` of the images, 0 where unknown.
    ``texts``: characters and the longest text of a dataset for text recognition.
    """

    train: SubsetFacts = field(default_factory=SubsetFacts)
    val: SubsetFacts = field(default_factory=SubsetFacts)
    classes: tuple[str, ...] = ()
    ids: Mapping[int, str] = field(default_factory=dict)
    sizes: Counter[Size] = field(default_factory=Counter)
    suffixes: Counter[str] = field(default_factory=Counter)
    shapes: tuple[tuple[float, float], ...] = ()
    mask_values: tuple[tuple[int, ...], ...] = ()
    channels: int = 0
    longest_text: int = 0
