"""What are classes and pictures called in the result, so that TAO reads them all?

Source: tao/tensorflow.md section 7: a blank in a class name breaks a line of KITTI, case is lost; pictures and labels
pair by base name, extensions are compared with their case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from taorunner.datasets.model.annotations import ImageEntry

LABEL_MAP = "label_map.txt"
"""Beside COCO annotations: the names of the classes, line 1 is id 1."""
LABEL_MAP_FROM_0 = "label_map_from_0.txt"
"""The same for networks that take line 1 for id 0, which no class has here: a stand-in, then the classes."""


def kitti_class_names(classes: Iterable[str]) -> dict[str, str]:
    """Each class with the name that goes into a line of KITTI: lower case, "_" for what separates words.

    Two classes that differ only in that get one name: to TAO they are the same.

    >>> kitti_class_names(["Traffic light", "car"])
    {'Traffic light': 'traffic_light', 'car': 'car'}
    """
    return {
        name: re.sub(r"[\s\x00-\x1f\x7f\ud800-\udfff]+", "_", name.strip()).lower() or "unnamed"
        for name in classes
    }


def plain_class_name(name: str) -> str:
    """``name`` on one line, without what XML or a list of names cannot hold."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]+", "_", name.strip()) or "unnamed"


def encodable(name: str) -> str:
    """``name`` with "_" for what no file of UTF-8 can hold: halves of characters, bytes of another encoding."""
    return re.sub("[\ud800-\udfff]", "_", name)


def merged_classes(names: Mapping[str, str]) -> dict[str, list[str]]:
    """The written names that several classes share."""
    shared: dict[str, list[str]] = {}
    for name, written in names.items():
        shared.setdefault(written, []).append(name)
    return {written: sources for written, sources in shared.items() if len(sources) > 1}


def picture_names(images: Iterable[ImageEntry], root: Path) -> list[str]:
    """A file name for each image, in one folder: no two with the same stem, also not on disks that ignore case.

    A name stays as it is but for its extension (".JPG" and ".jpeg" become ".jpg") and for bytes that are no UTF-8,
    which labels cannot name, unless its stem is taken: then the
    folders it came from, its old extension or at last a number make it another.
    """
    taken: set[str] = set()
    names = []
    for image in images:
        suffix = image.path.suffix.lower()
        kept = ".jpg" if suffix == ".jpeg" else suffix
        stem = next(stem for stem in map(encodable, _stems(image.path, root)) if stem.lower() not in taken)
        taken.add(stem.lower())
        names.append(stem + encodable(kept))
    return names


def _stems(path: Path, root: Path) -> Iterable[str]:
    stem, suffix = path.stem, path.suffix.lower().lstrip(".")
    yield stem
    above = path.relative_to(root).parent.parts if path.is_relative_to(root) else path.parent.parts[-2:]
    for count in range(1, len(above) + 1):
        yield "_".join((*above[-count:], stem))
    yield f"{stem}_{suffix}"
    number = 2
    while True:
        yield f"{stem}_{suffix}_{number}"
        number += 1
