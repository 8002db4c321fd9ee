"""Counts the images, boxes, classes and sizes of a dataset. ``checks`` looks for problems."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.datasets.model.boxes import corners_of, names_of
from taorunner.datasets.transform.usable_boxes import unusable_count

_LEFT_OUT = frozenset(
    {"shape-left-out", "tag-left-out", "picture-unused", "picture-unlisted", "annotations-left-out"}
)
"""Warnings on things that are not counted."""
SIZES = ("small", "medium", "large")
"""Below 32x32 pixels, below 96x96, and larger: the size classes of the COCO evaluation."""


@dataclass(slots=True)
class ClassStats:
    """``images``: the number of images with at least one box of the class; ``subsets``: boxes by subset."""

    name: str
    boxes: int = 0
    images: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    subsets: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Stats:
    """``classes``: sorted by number of boxes, most first. ``left_out``: the number of unreadable images and labels."""

    root: Path
    format: str
    images: int
    backgrounds: int
    boxes: int
    subsets: dict[str, int]
    classes: tuple[ClassStats, ...]
    boxes_per_image: Counter[int]
    image_sizes: Counter[tuple[int, int]]
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """The stable shape that ``--json`` prints."""
        return {
            "source": str(self.root), "format": self.format, "images": self.images, "backgrounds": self.backgrounds,
            "boxes": self.boxes, "subsets": self.subsets,
            "classes": [{"name": one.name, "boxes": one.boxes, "images": one.images,
                         "sizes": {size: one.sizes[size] for size in SIZES}, "subsets": dict(one.subsets)}
                        for one in self.classes],
            "boxes_per_image": {str(n): count for n, count in sorted(self.boxes_per_image.items())},
            "picture_sizes": [{"width": w, "height": h, "images": count}
                              for (w, h), count in self.image_sizes.most_common()],
            "left_out": self.left_out,
        }  # fmt: skip


def read_stats(
    root: Path, progress: Callable[[str, int, int], None] | None = None, *, from_: str | None = None
) -> tuple[Stats, DetectionDataset]:
    """Counts a dataset in any format that ``dataset convert`` reads. Raises UserFilesError when nothing is readable."""
    dataset = read_dataset(root, from_, progress)
    classes = {name: ClassStats(name) for name in dataset.boxes_per_class()}
    for image in dataset.images:
        for name in set(names_of(image.boxes)):
            classes[name].images += 1
        for name, x_min, y_min, x_max, y_max in corners_of(image.boxes):
            one = classes[name]
            one.boxes += 1
            one.sizes[size_of(x_max - x_min, y_max - y_min)] += 1
            one.subsets[image.subset] += 1
    stats = Stats(
        root, dataset.format, len(dataset.images), dataset.backgrounds,
        sum(one.boxes for one in classes.values()), dict(Counter(image.subset for image in dataset.images)),
        tuple(sorted(classes.values(), key=lambda one: (-one.boxes, one.name))),
        Counter(len(image.boxes) for image in dataset.images),
        Counter((image.width, image.height) for image in dataset.images),
        unusable_count(dataset) + sum(one.is_error or one.code in _LEFT_OUT for one in dataset.findings),
    )  # fmt: skip
    return stats, dataset


def size_of(width: float, height: float) -> str:
    area = abs(width * height)
    return SIZES[0] if area < 32 * 32 else SIZES[1] if area < 96 * 96 else SIZES[2]


def choose_samples(images: Sequence[ImageEntry], count: int, seed: int = 1) -> list[ImageEntry]:
    """A random sample of images that covers as many classes as possible, rare classes first."""
    order = list(images)
    random.Random(seed).shuffle(order)
    total = Counter(name for image in order for name in names_of(image.boxes))
    chosen: dict[Path, ImageEntry] = {}
    shown: set[str] = set()
    for name, _ in sorted(total.items(), key=lambda item: (item[1], item[0])):
        if name not in shown and len(chosen) < count:
            image = next(one for one in order if name in names_of(one.boxes))
            chosen[image.path] = image
            shown.update(names_of(image.boxes))
    for image in order:
        if len(chosen) >= count:
            break
        chosen.setdefault(image.path, image)
    return sorted(chosen.values(), key=lambda image: (image.subset, str(image.path)))
