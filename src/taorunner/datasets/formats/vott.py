"""Reads VoTT: one export JSON of all assets, or one ``*-asset.json`` per image; relative paths or ``file:`` URLs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.text import printable

Steps = tuple[str | int, ...]


_UNTAGGED = (0, 1)
"""States of an asset without tags: not visited, visited. Source: VoTT, enumeration AssetState."""


def recognise(folder: Folder) -> bool:
    return any(
        _value(folder, path).get("asset") or _value(folder, path)["assets"] for path in _documents(folder)
    )


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    for path in _documents(folder):
        value = folder.json(path)
        tags = value.get("tags") if isinstance(value, dict) else None
        for tag in tags if isinstance(tags, list) else ():
            if isinstance(tag, Mapping) and isinstance(tag.get("name"), str):
                classes[tag["name"]] = None
    documents = _documents(folder)
    if all(path.endswith("-asset.json") for path in documents):
        for path in folder.with_suffix("-asset.json"):
            if path not in documents:
                message = 'it has no "asset": nothing of it can be read'
                folder.error("vott-region", message, folder.root / path, hint="export the project again")
    for path, steps, entry in _assets(folder):
        image = _image(folder, path, steps, entry)
        if image is not None:
            images.append(image)
            classes.update(dict.fromkeys(box.name for box in image.boxes))
    return DetectionDataset("vott", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _documents(folder: Folder) -> list[str]:
    """Only the export if there is one, as it holds the content of the asset files."""
    candidates = [path for path in folder.with_suffix(".json") if folder.mentions(path, '"asset')]
    exports = [path for path in candidates if not path.endswith("-asset.json")]
    exports = [path for path in exports if isinstance(_value(folder, path).get("assets"), Mapping)]
    return exports or [path for path in candidates if isinstance(_value(folder, path).get("asset"), Mapping)]


def _value(folder: Folder, path: str) -> Mapping[str, Any]:
    value = folder.json(path)
    return value if isinstance(value, Mapping) else {}


def _assets(folder: Folder) -> Iterator[tuple[str, Steps, Mapping[str, Any]]]:
    for path in _documents(folder):
        value = _value(folder, path)
        if isinstance(value.get("asset"), Mapping):
            yield path, (), value
            continue
        for key, entry in value["assets"].items():
            if isinstance(entry, Mapping) and isinstance(entry.get("asset"), Mapping):
                yield path, ("assets", key), entry
            else:
                place = folder.json_place(path, ("assets", key))
                folder.error("vott-region", 'an entry of "assets" has no "asset"', folder.root / path, *place)


def _image(folder: Folder, path: str, steps: Steps, entry: Mapping[str, Any]) -> ImageEntry | None:
    file, asset = folder.root / path, entry["asset"]
    references = [text for text in (asset.get("path"), asset.get("name")) if isinstance(text, str) and text]
    image_file = next(
        (found for text in references if (found := folder.image_file(text, path)) is not None), None
    )
    if image_file is None:
        place = folder.json_place(path, (*steps, "asset"))
        folder.missing_image(references[0] if references else "", file, *place)
        return None
    boxes: list[Box] = []
    regions = entry.get("regions")
    if not isinstance(regions, list):
        if "regions" in entry or asset.get("state") not in _UNTAGGED:
            message = f'"{printable(references[0])}" has no list "regions"'
            folder.error(
                "vott-region", message, file, *folder.json_place(path, steps), hint="export the project again"
            )
            return None
        regions = []
    for index, region in enumerate(regions):
        boxes += _boxes(folder, path, (*steps, "regions", index), region)
    size = asset.get("size") if isinstance(asset.get("size"), Mapping) else {}
    stated_size = (number(size.get("width")) or 0.0, number(size.get("height")) or 0.0)
    inside = image_file.relative_to(folder.root).as_posix() if image_file.is_relative_to(folder.root) else ""
    return folder.entry(
        image_file,
        boxes,
        subset=subset_of(inside.rpartition("/")[0] + "/x"),
        source=file,
        stated_size=stated_size,
    )


def _boxes(folder: Folder, path: str, steps: Steps, region: Any) -> list[Box]:
    """A region with two tags becomes two objects."""
    tags = region.get("tags") if isinstance(region, Mapping) else None
    bounds = region.get("boundingBox") if isinstance(region, Mapping) else None
    corners = None
    if isinstance(bounds, Mapping):
        left, top, width, height = (number(bounds.get(key)) for key in ("left", "top", "width", "height"))
        if left is not None and top is not None and width is not None and height is not None:
            corners = (left, top, left + width, top + height)
    points = region.get("points") if isinstance(region, Mapping) else None
    if corners is None and isinstance(points, list) and points:
        pairs = [(number(p.get("x")), number(p.get("y"))) for p in points if isinstance(p, Mapping)]
        known = [(x, y) for x, y in pairs if x is not None and y is not None]
        corners = bounding_box(known) if len(known) == len(points) else None
    if corners is None or not isinstance(tags, list) or not tags:
        message = f'a region needs "tags" and "boundingBox" ({printable(str(tags))[:60]})'
        folder.error("vott-region", message, folder.root / path, *folder.json_place(path, steps))
        return []
    return [Box(str(tag), *corners, segmentation=_outline(points, corners)) for tag in tags]


def _outline(points: Any, corners: tuple[float, float, float, float]) -> list[list[float]] | None:
    """The polygon, unless it is the box."""
    listed = points if isinstance(points, list) else []
    pairs = [(number(p.get("x")), number(p.get("y"))) for p in listed if isinstance(p, Mapping)]
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    if len(known) < 3 or len(known) < len(listed):
        return None
    left, top, right, bottom = (round(value, 3) for value in corners)
    if {(round(x, 3), round(y, 3)) for x, y in known} == {
        (x, y) for x in (left, right) for y in (top, bottom)
    }:
        return None
    return [[value for point in known for value in point]]
