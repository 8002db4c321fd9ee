"""Names of classes and images in written datasets, such that TAO reads all of them.

Source: tao/tensorflow.md section 7: a space in a class name breaks a KITTI line, and case is lost; images and labels
are paired by base name, and extensions are case-sensitive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from taorunner.datasets.model.annotations import ImageEntry

LABEL_MAP = "label_map.txt"
"""File beside COCO annotations with the class names; line 1 is id 1."""
LABEL_MAP_FROM_0 = "label_map_from_0.txt"
"""The same for networks that read line 1 as id 0, which no class has here: a placeholder, then the classes."""


JPEG_SUFFIXES = (".jpeg", ".jfif", ".jpe", ".jpg")
"""Suffixes of JPEG files in lower case; all become ``.jpg``."""


def kitti_class_names(classes: Iterable[str]) -> dict[str, str]:
    """Each class with its name in KITTI lines: lower case, with "_" between words.

    Two classes that differ only in that get the same name: to TAO they are one class.

    >>> kitti_class_names(["Traffic light", "car"])
    {'Traffic light': 'traffic_light', 'car': 'car'}
    """
    return {
        name: re.sub(r"[\s\x00-\x1f\x7f\ud800-\udfff]+", "_", name.strip()).lower() or "unnamed"
        for name in classes
    }


def plain_class_name(name: str) -> str:
    """``name`` on one line, without characters that XML or a list of names cannot hold."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]+", "_", name.strip()) or "unnamed"


def encodable(name: str) -> str:
    """``name`` with "_" for what UTF-8 cannot encode: lone surrogates, bytes of another encoding."""
    return name if name.isascii() else re.sub("[\ud800-\udfff]", "_", name)


def merged_classes(names: Mapping[str, str]) -> dict[str, list[str]]:
    """The written names that more than one class has."""
    shared: dict[str, list[str]] = {}
    for name, written in names.items():
        shared.setdefault(written, []).append(name)
    return {written: sources for written, sources in shared.items() if len(sources) > 1}


def image_names(
    images: Iterable[ImageEntry], root: Path, suffixes: Mapping[Path, str] | None = None
) -> list[str]:
    """A file name for each image in one folder, with unique stems (ignoring case).

    A name keeps its stem and has the extension of ``written_suffix``; bytes that are not UTF-8 are replaced, as labels
    cannot name them. When the stem is taken, the source folders, the old extension or finally a number make it unique.
    """
    taken: set[str] = set()
    names = []
    for image in images:
        stem = next(stem for stem in map(encodable, _stems(image.path, root)) if stem.lower() not in taken)
        taken.add(stem.lower())
        names.append(stem + written_suffix(image.path, suffixes))
    return names


def written_suffix(path: Path, suffixes: Mapping[Path, str] | None) -> str:
    """The extension in the result: normalised (".JPG", ".jpeg" and ".jfif" become ".jpg") or taken from
    ``suffixes``."""
    suffix = path.suffix.lower()
    return (suffixes and suffixes.get(path)) or (".jpg" if suffix in JPEG_SUFFIXES else encodable(suffix))


def _stems(path: Path, root: Path) -> Iterable[str]:
    stem = path.stem
    yield stem
    suffix = path.suffix.lower().lstrip(".")
    above = path.relative_to(root).parent.parts if path.is_relative_to(root) else path.parent.parts[-2:]
    for count in range(1, len(above) + 1):
        yield "_".join((*above[-count:], stem))
    yield f"{stem}_{suffix}"
    number = 2
    while True:
        yield f"{stem}_{suffix}_{number}"
        number += 1
