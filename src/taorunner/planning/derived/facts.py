"""What a dataset in the layout of a network says about the values of its specs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

Size = tuple[int, int]
MOST_SHAPES = 20_000
"""Boxes whose shapes are kept, evenly spread."""


@dataclass(frozen=True, slots=True)
class SubsetFacts:
    """``boxes`` by class; ``most_boxes`` in one image. For class folders ``boxes`` counts the images of each.

    ``without_outline``: annotations of a COCO file that have none.
    """

    images: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    most_boxes: int = 0
    without_outline: int = 0


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Of all that a training reads, ``train`` and ``val``.

    ``classes``: names in the order of ids or folders, sorted where there is none. ``ids``: the categories of COCO, ODVG
    and panoptic files. ``sizes``: widths and heights of images with their number, of a part of a large dataset.
    ``suffixes``: with the dot, as written. ``shapes``: width and height of boxes as shares of their image.
    ``mask_values``: one number each, or three for coloured masks; ``mask_names`` are the known names of some of them.
    ``channels`` of the images, 0 where unknown. ``longest_text`` of a dataset for text recognition.
    """

    train: SubsetFacts = field(default_factory=SubsetFacts)
    val: SubsetFacts = field(default_factory=SubsetFacts)
    classes: tuple[str, ...] = ()
    ids: Mapping[int, str] = field(default_factory=dict)
    sizes: Counter[Size] = field(default_factory=Counter)
    suffixes: Counter[str] = field(default_factory=Counter)
    shapes: tuple[tuple[float, float], ...] = ()
    mask_values: tuple[tuple[int, ...], ...] = ()
    mask_names: Mapping[tuple[int, ...], str] = field(default_factory=dict)
    channels: int = 0
    longest_text: int = 0

    @property
    def usual_size(self) -> Size | None:
        """The most frequent one; the larger one of two."""
        return max(self.sizes, key=lambda size: (self.sizes[size], size)) if self.sizes else None

    @property
    def suffix(self) -> str | None:
        return max(self.suffixes, key=lambda one: (self.suffixes[one], one)) if self.suffixes else None

    @property
    def most_boxes(self) -> int:
        return max(self.train.most_boxes, self.val.most_boxes)


@dataclass(slots=True)
class Collected:
    """Facts while they are collected; ``whole`` gives what was found."""

    subsets: dict[str, SubsetFacts] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)
    sizes: Counter[Size] = field(default_factory=Counter)
    suffixes: Counter[str] = field(default_factory=Counter)
    shapes: list[tuple[float, float]] = field(default_factory=list)
    mask_values: set[tuple[int, ...]] = field(default_factory=set)
    mask_names: dict[tuple[int, ...], str] = field(default_factory=dict)
    channels: int = 0
    longest_text: int = 0

    def add_shape(self, width: float, height: float, size: Size) -> None:
        """Of a box in pixels of an image of ``size``."""
        if width > 0 and height > 0 and size[0] > 0 and size[1] > 0:
            self.shapes.append((min(1.0, width / size[0]), min(1.0, height / size[1])))

    def whole(self) -> DataFacts:
        ids = dict(sorted(self.ids.items()))
        step = -(-len(self.shapes) // MOST_SHAPES) if self.shapes else 1
        return DataFacts(
            self.subsets.get("train", SubsetFacts()), self.subsets.get("val", SubsetFacts()),
            tuple(dict.fromkeys(ids.values())) or tuple(sorted(self.names)), ids, self.sizes, self.suffixes,
            tuple(self.shapes[::step]), tuple(sorted(self.mask_values)), self.mask_names, self.channels,
            self.longest_text,
        )  # fmt: skip
