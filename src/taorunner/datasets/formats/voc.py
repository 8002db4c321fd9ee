"""Reads Pascal VOC: one XML per image, with or without ``ImageSets`` and ``labelmap.txt``.

Coordinates are used as written: most of today's tools count pixels from 0, although the original counted from 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.files.xml_nodes import Node, XmlError, read_xml, root_tag
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.text import amount, printable

_SHAPES = ("bndbox", "robndbox", "polygon")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".bmp", ".JPEG", ".PNG", ".webp", ".tif", ".tiff")
_BOX = frozenset({"name", "bndbox", "robndbox", "polygon", "type"})
_UNSAID = frozenset({"", "0", "unspecified"})


def recognise(folder: Folder) -> bool:
    return any(root_tag(folder.peek(path) or "") == "annotation" for path in folder.with_suffix(".xml"))


def read(folder: Folder) -> DetectionDataset:
    subsets = _image_sets(folder)
    classes = _label_map(folder)
    images: list[ImageEntry] = []
    used: set[Path] = set()
    unread: set[str] = set()
    with_xml = {path.rpartition("/")[0] for path in folder.with_suffix(".xml")}
    for path in folder.with_suffix(".xml"):
        root = _root(folder, path)
        if root is None:
            unread.add(path.rpartition("/")[2].rpartition(".")[0])
            continue
        reference = _reference(folder, path, root)
        file = folder.root / path
        image_file = folder.image_file(reference, path)
        if image_file is None:
            node = root.child("filename") or root
            folder.missing_image(reference, file, node.line, node.column)
            continue
        used.add(image_file)
        boxes = [
            box
            for node in root.children
            if node.tag == "object" and node.text_of("deleted") != "1"
            if (box := _box(folder, path, node)) is not None
        ]
        _report_unknown(folder, file, root)
        classes.update(dict.fromkeys(box.name for box in boxes))
        stem = path.rpartition("/")[2].rpartition(".")[0]
        subset = subsets.get(stem, "") if subsets else subset_of(path.rpartition("/")[0] + "/x")
        size = root.child("size")
        stated_size = None
        if size is not None:
            stated_size = (number(size.text_of("width")) or 0.0, number(size.text_of("height")) or 0.0)
        entry = folder.entry(image_file, boxes, subset=subset, source=file, stated_size=stated_size)
        if entry is not None:
            images.append(entry)
    images += _backgrounds(folder, used, subsets, with_xml, unread)
    _report_sets(folder, subsets, images)
    return DetectionDataset("voc", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _backgrounds(
    folder: Folder, used: set[Path], subsets: dict[str, str], with_xml: set[str], unread: set[str]
) -> list[ImageEntry]:
    """Background images: labelImg writes no XML for an image without boxes.

    An image whose XML cannot be read (``unread``) is not one of them.
    """
    places = {*(str(one).rpartition("/")[0] for one in used), *(f"{folder.root}/{one}" for one in with_xml)}
    found = []
    for path in folder.image_files:
        image_file = folder.root / path
        if (
            image_file in used
            or image_file.stem in unread
            or str(image_file).rpartition("/")[0] not in places
        ):
            continue
        message = f'"{printable(path)}" has no XML file: used as a background image'
        folder.warning("label-missing", message, image_file)
        subset = subsets.get(image_file.stem, "") if subsets else subset_of(path.rpartition("/")[0] + "/x")
        entry = folder.entry(image_file, (), subset=subset)
        if entry is not None:
            found.append(entry)
    return found


def _root(folder: Folder, path: str) -> Node | None:
    text = folder.text(path)
    if text is None:
        return None
    try:
        root = read_xml(text)
    except XmlError as error:
        folder.error("xml-syntax", f"not valid XML: {error}", folder.root / path, error.line, error.column)
        return None
    return root if root.tag == "annotation" else None


def _reference(folder: Folder, path: str, root: Node) -> str:
    """The image's name. The XML's own stem comes first, as tools that rename files leave the old name inside."""
    above, _, own = path.rpartition("/")
    stem = own.rpartition(".")[0]
    named = root.text_of("filename")
    for folder_name in ("JPEGImages", "images", "Images"):
        beside = "/".join(part for part in (above.rpartition("/")[0], folder_name, "") if part) + "/"
        own_names = [named] if named.rpartition(".")[0] == stem else [stem + suffix for suffix in _SUFFIXES]
        found = next((name for name in own_names if folder.has_image(beside + name)), None)
        if found is not None:
            return f"{'../' if above else ''}{folder_name}/{found}"
    if named.rpartition(".")[0] != stem:
        for suffix in _SUFFIXES:
            if folder.image_file(stem + suffix, path) is not None:
                return stem + suffix
    return named or stem


def _box(folder: Folder, path: str, node: Node) -> Box | None:
    name = node.text_of("name")
    bounds = node.child("bndbox")
    oriented = node.child("robndbox")
    if name and bounds is None and oriented is not None:
        corners = _around(oriented)
        if corners is not None:
            folder.note_box("box-rotated", "oriented box", folder.root / path, node.line, node.column)
            return Box(name, *corners, line=node.line, extra=_extra(node))
    polygon = node.child("polygon")
    if name and bounds is None and polygon is not None and any(polygon.all("pt")):
        return _labelme_box(folder, path, node, polygon)
    count = sum(child.tag in ("bndbox", "robndbox") for child in node.children)
    if count > 1:
        message = f"an object has {count} boxes: it is unclear which one counts"
        folder.error("voc-object", message, folder.root / path, node.line, node.column)
        return None
    if not name or bounds is None:
        folder.error(
            "voc-object", 'an object needs "name" and "bndbox"', folder.root / path, node.line, node.column
        )
        return None
    values = []
    for corner in _CORNERS:
        value = number(bounds.text_of(corner))
        if value is None:
            place = bounds.child(corner) or bounds
            message = f'{corner} is "{printable(bounds.text_of(corner))}", which is not a number'
            folder.error("voc-number", message, folder.root / path, place.line, place.column)
            return None
        values.append(value)
    return Box(
        name, values[0], values[1], values[2], values[3], segmentation=_polygon(node), line=node.line,
        extra=_extra(node),
    )  # fmt: skip


def _report_unknown(folder: Folder, file: Path, root: Node) -> None:
    """Reports boxes and polygons that are in no object."""
    for node in root.children:
        if node.tag != "object" and (
            node.tag.lower() in _SHAPES or any(one for tag in _SHAPES for one in node.all(tag))
        ):
            message = f'a box in the element "{printable(node.tag)}" is not read: objects are in "object"'
            folder.error("voc-object", message, file, node.line, node.column)


def _labelme_box(folder: Folder, path: str, node: Node, polygon: Node) -> Box | None:
    """The bounding box of a polygon that LabelMe's web tool wrote: ``pt`` with ``x`` and ``y``."""
    points = [(number(one.text_of("x")), number(one.text_of("y"))) for one in polygon.all("pt")]
    known = [(x, y) for x, y in points if x is not None and y is not None]
    if len(known) != len(points) or len(known) < 2:
        folder.error(
            "voc-object", "a polygon needs points with numbers", folder.root / path, node.line, node.column
        )
        return None
    outline = [[value for point in known for value in point]] if len(known) > 2 else None
    return Box(node.text_of("name"), *bounding_box(known), segmentation=outline, line=node.line)


def _around(node: Node) -> tuple[float, float, float, float] | None:
    """The upright box around an oriented one of roLabelImg: centre, size, and an angle in radians."""
    cx, cy, w, h, angle = (number(node.text_of(key)) for key in ("cx", "cy", "w", "h", "angle"))
    if cx is None or cy is None or w is None or h is None or angle is None:
        return None
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    wide, high = (w * cosine + h * sine) / 2, (w * sine + h * cosine) / 2
    return cx - wide, cy - high, cx + wide, cy + high


def _polygon(node: Node) -> list[list[float]] | None:
    """Roboflow's outline beside the box: x1, y1, x2, …"""
    polygon = node.child("polygon")
    points = [number(child.text.strip()) for child in polygon.children] if polygon is not None else []
    known = [value for value in points if value is not None]
    return [known] if len(known) == len(points) >= 6 and len(known) % 2 == 0 else None


def _extra(node: Node) -> dict[str, object]:
    """The fields of an object beyond its box that are set: difficult, truncated, pose; parts unchanged."""
    found: dict[str, object] = {}
    parts: dict[str, list[object]] = {}
    for child in node.children:
        if child.tag in _BOX:
            continue
        text = child.text.strip()
        if child.children:
            found[child.tag] = parts.setdefault(child.tag, [])
            parts[child.tag].append(_as_value(child))
        elif text.lower() not in _UNSAID:
            found[child.tag] = text
    return found


def _as_value(node: Node) -> object:
    return {child.tag: _as_value(child) for child in node.children} if node.children else node.text.strip()


def _image_sets(folder: Folder) -> dict[str, str]:
    """Stem to subset. ``trainval`` and per-class lists (``car_train``) are skipped: they repeat the others."""
    subsets: dict[str, str] = {}
    for path in folder.with_suffix(".txt"):
        parts = path.split("/")
        name = parts[-1].rpartition(".")[0]
        if "ImageSets" not in parts or name == "trainval" or "_" in name:
            continue
        for line in (folder.text(path) or "").splitlines():
            if line.strip():
                stem = line.strip().rpartition("/")[2]
                subsets.setdefault(stem, subset_of(name + ".txt"))
    return subsets


def _report_sets(folder: Folder, subsets: dict[str, str], images: list[ImageEntry]) -> None:
    """Reports names in lists of subsets that no image has, and images that no list has."""
    names = {image.path: {image.path.stem, (image.source or image.path).stem} for image in images}
    known = {name for both in names.values() for name in both}
    if missing := [stem for stem in subsets if stem not in known]:
        count = amount(len(missing), "image")
        message = f'ImageSets lists {count} that {_is(missing)} not here, such as "{printable(missing[0])}"'
        folder.warning("picture-missing", message, folder.root)
    unlisted = [path for path, both in names.items() if not both & subsets.keys()]
    if subsets and unlisted:
        count = amount(len(unlisted), "image")
        message = f'no list of ImageSets has {count}, such as "{printable(unlisted[0].name)}": in no subset'
        folder.warning("picture-unlisted", message, unlisted[0])


def _is(found: Sequence[object]) -> str:
    return "is" if len(found) == 1 else "are"


def _label_map(folder: Folder) -> dict[str, None]:
    classes: dict[str, None] = {}
    if "labelmap.txt" in folder.files:
        for line in (folder.text("labelmap.txt") or "").splitlines():
            name = line.partition(":")[0].strip()
            if name and not line.lstrip().startswith("#") and name != "background":
                classes[name] = None
    return classes
