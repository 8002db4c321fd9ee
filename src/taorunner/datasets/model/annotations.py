"""The in-memory model of a detection dataset: images, boxes and classes, independent of the file format.

Boxes are in absolute pixels of the image after the EXIF rotation, which TAO's loaders apply, too. Readers create
these values; writers, checks, split and resize use them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from taorunner.datasets.model.boxes import Box, KittiFields, names_of
from taorunner.errors import Finding
from taorunner.values.value import Value

__all__ = [
    "NO_METADATA",
    "Box",
    "CocoFile",
    "DatasetMetadata",
    "DetectionDataset",
    "ImageEntry",
    "KittiFields",
]


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One image and its boxes. Without boxes it is a background image, which is kept.

    ``width`` and ``height`` are after EXIF. ``boxes``: a tuple, or rows of a table. ``subset`` is "train", "val" or ""
    when the source has none. ``source`` is the file that the boxes were read from; ``extra`` holds its further fields
    of the image.
    """

    path: Path
    width: int
    height: int
    boxes: Sequence[Box] = ()
    subset: str = ""
    source: Path | None = None
    extra: Mapping[str, Any] | None = None


class CocoFile(Value):
    """What a COCO file has, as it is: the number of its annotations, of those without ``area``, and of those whose box
    has numbers as texts; pairs of id and name."""

    annotations: int
    without_area: int
    categories: tuple[tuple[int | str, str], ...]
    boxes_of_texts: int = 0


@dataclass(frozen=True, slots=True)
class DatasetMetadata:
    """Fields that a source has once for the whole dataset. COCO: ``top`` by key (info, licenses), ``classes`` by class
    name, ``coco_files`` by path, those with sound categories. YOLO pose datasets: ``pose``, the keys of data.yaml that
    describe key points."""

    top: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pose: Mapping[str, Any] = field(default_factory=dict)
    coco_files: Mapping[Path, CocoFile] = field(default_factory=dict, compare=False)


NO_METADATA = DatasetMetadata()


class DetectionDataset(Value):
    """``classes``: in the order of the source (else of first appearance), including classes without boxes."""

    format: str
    root: Path
    images: tuple[ImageEntry, ...]
    classes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    metadata: DatasetMetadata = NO_METADATA

    @property
    def subsets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(image.subset for image in self.images))

    def boxes_per_class(self) -> Counter[str]:
        counts = Counter(dict.fromkeys(self.classes, 0))
        counts.update(chain.from_iterable(names_of(image.boxes) for image in self.images))
        return counts

    @property
    def backgrounds(self) -> int:
        return sum(not image.boxes for image in self.images)
