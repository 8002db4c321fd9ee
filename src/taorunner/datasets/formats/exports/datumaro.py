"""Reads Datumaro's own JSON: ``annotations/<subset>.json`` with ``items``, and images below ``images/``.

Boxes, polygons and masks become boxes; what has none (labels of whole images, lines, points, captions) is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.datasets.model.segmentation import extent
from taorunner.errors import UserFilesError
from taorunner.text import printable

_UNBOXED = {
    "label": "label of a whole image", "polyline": "polyline", "points": "set of points", "caption": "caption",
    "cuboid_3d": "three-dimensional box", "ellipse": "ellipse", "skeleton": "skeleton",
}  # fmt: skip
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".JPG", ".PNG", ".JPEG", ".webp", ".tif", ".tiff")


def read(folder: Folder) -> DetectionDataset:
    """Raises UserFilesError when no JSON file is of Datumaro."""
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    documents = [
        (path, value) for path in folder.with_suffix(".json") if _is_document(value := folder.json(path))
    ]
    if not documents:
        raise UserFilesError(
            f'no JSON file in "{printable(str(folder.root))}" has items and categories of Datumaro',
            hint="if it is another format, give that with --from",
        )
    for path, value in documents:
        document = _Document(folder, path, _class_names(value))
        classes.update(dict.fromkeys(document.names))
        for item in value["items"]:
            entry = document.image(item)
            if entry is not None:
                images.append(entry)
        document.report_unboxed()
    return DetectionDataset("datumaro", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _is_document(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("items"), list) and "categories" in value


def _class_names(value: Mapping[str, Any]) -> list[str]:
    labels: Any = value["categories"]
    for key in ("label", "labels"):
        labels = labels.get(key) if isinstance(labels, dict) else None
    listed = labels if isinstance(labels, list) else []
    return [str(one.get("name", "")) if isinstance(one, dict) else str(one) for one in listed]


@dataclass(slots=True)
class _Document:
    folder: Folder
    path: str
    names: list[str]
    unboxed: dict[str, int] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        return self.folder.root / self.path

    def image(self, item: Any) -> ImageEntry | None:
        if not isinstance(item, dict):
            message = f"an item is {printable(repr(item))[:40]}, not an object"
            self.folder.error("datumaro-item", message, self.place)
            return None
        identity = str(item.get("id", ""))
        media = item.get("image") or item.get("media")
        media = media if isinstance(media, dict) else {}
        image_file = self._image_file(identity, str(media.get("path") or ""))
        if image_file is None:
            self.folder.missing_image(str(media.get("path") or identity), self.place)
            return None
        listed = item.get("annotations") or []
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            message = f'"annotations" of "{printable(identity)}" is no list of objects'
            self.folder.error("datumaro-annotation", message, self.place)
            listed = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        boxes = [box for one in listed if (box := self._box(identity, one)) is not None]
        if listed and not boxes:
            self.folder.report_no_boxes_left(identity, self.place)
        size = media.get("size")
        high, wide = (
            (number(one) for one in size) if isinstance(size, list) and len(size) == 2 else (None, None)
        )
        return self.folder.entry(
            image_file,
            boxes,
            subset=subset_of(self.path),
            source=self.place,
            stated_size=(wide or 0.0, high or 0.0),
        )

    def _image_file(self, identity: str, path: str) -> Path | None:
        """Images lie below ``images/<subset>/`` or ``images/``, under the path or the id of the item."""
        subset = self.path.rpartition("/")[2].rpartition(".")[0]
        named = [path] if path else []
        named += [identity + suffix for suffix in _SUFFIXES]
        for below in (f"images/{subset}/", "images/", ""):
            for name in named:
                place = below + name
                if self.folder.has_image(place):
                    return self.folder.root / place
        return next((found for name in named if (found := self.folder.image_file(name, self.path))), None)

    def _box(self, identity: str, one: Mapping[str, Any]) -> Box | None:
        kind = str(one.get("type", ""))
        if kind in _UNBOXED:
            self.unboxed[kind] = self.unboxed.get(kind, 0) + 1
            return None
        corners, outline = _corners(kind, one)
        label = one.get("label_id")
        is_known = isinstance(label, int) and 0 <= label < len(self.names)
        if corners is None or not is_known:
            lacks = "a label of the list" if corners is not None else "numbers as coordinates"
            message = (
                f'an annotation ({printable(kind) or "no type"}) of "{printable(identity)}" needs {lacks}'
            )
            self.folder.error("datumaro-annotation", message, self.place)
            return None
        if kind == "mask":
            self.folder.note_box("mask-box", "mask", self.place)
        return Box(self.names[int(label or 0)], *corners, segmentation=outline)

    def report_unboxed(self) -> None:
        for kind, count in self.unboxed.items():
            many = "" if count == 1 else "s"
            shown = _UNBOXED[kind].replace("label of", f"label{many} of", 1)
            shown = shown if shown != _UNBOXED[kind] or count == 1 else f"{shown}{many}"
            self.folder.warning("shape-left-out", f"{count:,} {shown} without a box: left out", self.place)


def _corners(kind: str, one: Mapping[str, Any]) -> tuple[tuple[float, float, float, float] | None, Any]:
    """The box, and COCO's segmentation where there is one."""
    if kind == "bbox":
        values = one.get("bbox")
        known = [number(value) for value in values] if isinstance(values, list) else []
        sound = [value for value in known if value is not None]
        if len(sound) == len(known) == 4:
            return (sound[0], sound[1], sound[0] + sound[2], sound[1] + sound[3]), None
    elif kind == "polygon":
        values = one.get("points")
        known = [number(value) for value in values] if isinstance(values, list) else []
        sound = [value for value in known if value is not None]
        if len(sound) == len(known) >= 6 and len(sound) % 2 == 0:
            return bounding_box(list(zip(sound[::2], sound[1::2], strict=True))), [sound]
    elif kind == "mask" and isinstance(one.get("rle"), dict):
        with suppress(ValueError):
            return extent(one["rle"]), one["rle"]
    return None, None
