"""What does a detection dataset say? Images, boxes and classes in memory, whatever format they came from.

Boxes are absolute pixels of the picture as it is seen, which is after the rotation that EXIF asks for: TAO's
loaders rotate too. Readers make these values, writers, checks, split and resize take them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taorunner.errors import Finding


@dataclass(frozen=True, slots=True)
class KittiFields:
    """The columns of KITTI that no other format has; the defaults say "unknown" and are what TAO reads as 2-D."""

    truncation: float = 0.0
    occlusion: int = 0
    alpha: float = 0.0
    dimensions: tuple[float, float, float] = (0.0, 0.0, 0.0)
    location: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation_y: float = 0.0


@dataclass(frozen=True, slots=True)
class Box:
    """One object. ``score`` is a detector's (KITTI's 16th column); ``segmentation`` is COCO's, carried as it is.

    ``extra`` is what the source says beyond that (key points, attributes), under the names of its format.
    ``line`` is 1-based, in the file that the image's ``source`` names; None where lines mean nothing.
    """

    name: str
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    kitti: KittiFields | None = None
    score: float | None = None
    iscrowd: bool = False
    segmentation: Any = None
    line: int | None = None
    extra: Mapping[str, Any] | None = None

    @property
    def width(self) -> float:
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        return self.y_max - self.y_min


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One picture and what is on it. No boxes: a background picture, which is worth keeping.

    ``width`` and ``height`` are after EXIF. ``subset`` is "train", "val" or "" where the source has none.
    ``source`` is the file that the boxes were read from; ``extra`` what it says of the picture beyond that.
    """

    path: Path
    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    subset: str = ""
    source: Path | None = None
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """What a source says once for the whole dataset. Of COCO: ``top`` by key (info, licenses), ``classes`` by class
    name. Of YOLO with poses: ``pose``, the keys of its data.yaml that go with them."""

    top: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pose: Mapping[str, Any] = field(default_factory=dict)


UNDESCRIBED = Described()


@dataclass(frozen=True, slots=True)
class DetectionDataset:
    """``classes`` are in the order of the source (of first appearance where it has none), also those without a box."""

    format: str
    root: Path
    images: tuple[ImageEntry, ...]
    classes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    described: Described = UNDESCRIBED

    @property
    def subsets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(image.subset for image in self.images))

    def boxes_per_class(self) -> Counter[str]:
        counts = Counter(dict.fromkeys(self.classes, 0))
        counts.update(box.name for image in self.images for box in image.boxes)
        return counts

    @property
    def backgrounds(self) -> int:
        return sum(not image.boxes for image in self.images)
