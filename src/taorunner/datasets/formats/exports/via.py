"""Reads the VGG annotator's JSON (VIA 1 and 2): its projects, and its exported annotations.

Source: the annotator's own documentation: regions have ``shape_attributes`` in pixels and ``region_attributes`` with
words that the user chose, so that none of them is the class by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.errors import UserFilesError
from taorunner.text import amount, printable

_CLASS_WORDS = ("label", "class", "name", "category", "type", "object", "names")
"""Attributes that are the class where a region has several, the first of them that a document has."""
_ONE_CLASS = "object"
_UNBOXED = ("polyline", "point")


def read(folder: Folder) -> DetectionDataset:
    """Raises UserFilesError when no JSON file is of the annotator."""
    documents = [
        (path, entries) for path in folder.with_suffix(".json") if (entries := _entries(folder.json(path)))
    ]
    if not documents:
        raise UserFilesError(
            f'no JSON file in "{printable(str(folder.root))}" has regions of the VGG annotator',
            hint="if it is another format, give that with --from",
        )
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    for path, entries in documents:
        for entry in _Document(folder, path, entries).images():
            images.append(entry)
            classes.update(dict.fromkeys(box.name for box in entry.boxes))
    return DetectionDataset("via", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _entries(value: Any) -> list[Mapping[str, Any]]:
    """The files of a project or of an export; empty for another JSON."""
    if isinstance(value, dict) and isinstance(value.get("_via_img_metadata"), dict):
        value = value["_via_img_metadata"]
    listed = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    found: list[Mapping[str, Any]] = [
        one for one in listed if isinstance(one, dict) and "filename" in one and "regions" in one
    ]
    return found if len(found) == len(listed) else []


@dataclass(slots=True)
class _Document:
    folder: Folder
    path: str
    entries: Sequence[Mapping[str, Any]]

    def images(self) -> list[ImageEntry]:
        found = []
        key = self._class_key()
        for entry in self.entries:
            name = str(entry["filename"])
            image_file = self.folder.image_file(name, self.path)
            if image_file is None:
                self.folder.missing_image(name, self.folder.root / self.path)
                continue
            made = [self._box(name, region, key) for region in _regions(entry)]
            boxes = [box for box in made if box is not None]
            if made and not boxes:
                self.folder.report_no_boxes_left(name, self.folder.root / self.path)
            source = self.folder.root / self.path
            one = self.folder.entry(image_file, boxes, subset=subset_of(self.path), source=source)
            if one is not None:
                found.append(one)
        return found

    def _class_key(self) -> str | None:
        """The attribute that is the class; "" when no region has one, None when it is unclear."""
        keys: dict[str, set[str]] = {}
        for entry in self.entries:
            for region in _regions(entry):
                for key, value in _words(region).items():
                    keys.setdefault(key, set()).add(value)
        place = self.folder.root / self.path
        if not keys:
            count = sum(len(_regions(entry)) for entry in self.entries)
            if count:
                message = f'{amount(count, "region")} without a class: all are read as "{_ONE_CLASS}"'
                hint = "give the regions an attribute with the class in the annotator, or keep the one class"
                self.folder.warning("via-one-class", message, place, hint=hint)
            return ""
        known = next((word for word in _CLASS_WORDS if word in keys), None)
        if known is not None or len(keys) == 1:
            chosen = known or next(iter(keys))
            if others := [f'"{printable(key)}"' for key in keys if key != chosen]:
                message = f'the class is the attribute "{printable(chosen)}"; not read: {", ".join(others)}'
                self.folder.warning("via-attributes", message, place)
            return chosen
        if len({frozenset(values) for values in keys.values()}) == 1:
            return next(iter(keys))
        listed = ", ".join(f'"{printable(key)}"' for key in list(keys)[:8])
        message = f"it is unclear which attribute of the regions is the class: {listed}"
        self.folder.error("via-attributes", message, place, hint='name the one with the class "label"')
        return None

    def _box(self, image: str, region: Any, key: str | None) -> Box | None:
        place = self.folder.root / self.path
        if not isinstance(region, dict):
            message = f'a region on "{printable(image)}" is {printable(repr(region))[:40]}, not an object'
            self.folder.error("via-region", message, place, hint="export it again from the annotator")
            return None
        shape = region.get("shape_attributes")
        shape = shape if isinstance(shape, dict) else {}
        kind = str(shape.get("name", ""))
        if kind in _UNBOXED:
            message = f'a {kind} on "{printable(image)}" has no box: left out'
            self.folder.warning("shape-left-out", message, place)
            return None
        if key is None:
            return None  # reported once for the document
        corners = _corners(kind, shape)
        name = _ONE_CLASS if key == "" else _words(region).get(key, "")
        if corners is None or not name:
            lacks = (
                "numbers as coordinates" if corners is None else f'a value of "{printable(key)}", its class'
            )
            message = f'a region ({printable(kind) or "no shape"}) on "{printable(image)}" needs {lacks}'
            self.folder.error(
                "via-region", message, place, hint="correct it in the annotator and export again"
            )
            return None
        if kind in ("circle", "ellipse"):
            self.folder.note_box("shape-box", kind, place)
        outline = None
        if kind == "polygon":
            points = zip(shape["all_points_x"], shape["all_points_y"], strict=True)
            outline = [[float(value) for point in points for value in point]]
        return Box(name, *corners, segmentation=outline)


def _regions(entry: Mapping[str, Any]) -> list[Any]:
    """VIA 1 numbers them, VIA 2 lists them."""
    regions = entry["regions"]
    return (
        list(regions.values()) if isinstance(regions, dict) else regions if isinstance(regions, list) else []
    )


def _words(region: Any) -> dict[str, str]:
    """The attributes with one value: a text, or the one that is ticked."""
    found: dict[str, str] = {}
    attributes = region.get("region_attributes") if isinstance(region, dict) else None
    for key, value in (attributes if isinstance(attributes, dict) else {}).items():
        if isinstance(value, dict):
            ticked = [str(word) for word, is_set in value.items() if is_set is True]
            value = ticked[0] if len(ticked) == 1 else None
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            found[str(key)] = str(value).strip()
    return found


def _corners(kind: str, shape: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    if kind == "polygon":
        both = (shape.get("all_points_x"), shape.get("all_points_y"))
        xs, ys = ([number(one) for one in part] if isinstance(part, list) else [] for part in both)
        known = [(x, y) for x, y in zip(xs, ys, strict=False) if x is not None and y is not None]
        return bounding_box(known) if len(known) == len(xs) == len(ys) >= 3 else None
    keys = {
        "rect": ("x", "y", "width", "height"),
        "circle": ("cx", "cy", "r", "r"),
        "ellipse": ("cx", "cy", "rx", "ry"),
    }
    values = [number(shape.get(key)) for key in keys.get(kind, ())]
    known_values = [value for value in values if value is not None]
    if len(known_values) != 4:
        return None
    x, y, wide, high = known_values
    return (x, y, x + wide, y + high) if kind == "rect" else (x - wide, y - high, x + wide, y + high)
