"""Reads LabelMe's JSON: one file an image, with ``shapes`` in pixels.

Rectangles, polygons, circles and masks become boxes; lines and points have none and are counted. An image with an
empty list of shapes is a background image, unless it has a flag: a label of the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taorunner.datasets.files.names import as_path, subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.formats.exports.backgrounds import background
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.errors import UserFilesError
from taorunner.text import printable

_BOXED = ("rectangle", "polygon", "circle", "mask")
_UNBOXED = ("line", "linestrip", "point", "points")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".JPG", ".JPEG", ".PNG", ".webp", ".tif", ".tiff")


def read(folder: Folder) -> DetectionDataset:
    """Raises UserFilesError when no JSON file is of LabelMe."""
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    used: set[Path] = set()
    broken: set[str] = set()
    stems = {path.rpartition(".")[0] for path in folder.image_files}
    is_any = False
    for path in folder.with_suffix(".json"):
        value = folder.json(path)
        stem = path.rpartition(".")[0]
        if value is None:
            broken.add(stem)
        if not isinstance(value, dict) or not isinstance(value.get("shapes"), list):
            if value is not None and stem in stems:
                broken.add(stem)
                message = 'it lies beside its image, and has no list "shapes"'
                folder.error(
                    "labelme-file", message, folder.root / path, hint="save the image again in LabelMe"
                )
            continue
        is_any = True
        entry = _image(folder, path, value)
        if entry is not None:
            used.add(entry.path)
            images.append(entry)
            classes.update(dict.fromkeys(box.name for box in entry.boxes))
    if not is_any:
        raise UserFilesError(
            f'no JSON file in "{printable(str(folder.root))}" has shapes of LabelMe',
            hint="if it is another format, give that with --from",
            findings=folder.findings,
        )
    images += _backgrounds(folder, used, broken)
    return DetectionDataset("labelme", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _backgrounds(folder: Folder, used: set[Path], broken: set[str]) -> list[ImageEntry]:
    """Images without a file, beside images that have one: LabelMe writes none without shapes."""
    places = {one.parent for one in used}
    found = []
    for path in folder.image_files:
        image_file = folder.root / path
        if image_file in used or image_file.parent not in places or path.rpartition(".")[0] in broken:
            continue
        entry = background(folder, path)
        if entry is not None:
            found.append(entry)
    return found


def _image(folder: Folder, path: str, value: Mapping[str, Any]) -> ImageEntry | None:
    file = folder.root / path
    image_file = _image_file(folder, path, str(value.get("imagePath") or ""))
    if image_file is None:
        folder.missing_image(str(value.get("imagePath") or path), file)
        return None
    boxes: list[Box] = []
    left_out = 0
    for index, shape in enumerate(value["shapes"]):
        kind = str(shape.get("shape_type") or "polygon") if isinstance(shape, dict) else ""
        if kind in _UNBOXED:
            left_out += 1
            folder.warning(
                "shape-left-out", f"a {kind} has no box: left out", file, *_at(folder, path, index)
            )
        elif (box := _box(folder, path, index, kind, shape)) is not None:
            boxes.append(box)
    if left_out and not boxes:
        folder.report_no_boxes_left(image_file.name, file)
    flags = value.get("flags")
    set_flags = [str(name) for name, is_set in flags.items() if is_set] if isinstance(flags, dict) else []
    if set_flags:
        message = f'flag of the whole image, such as "{printable(set_flags[0])}": left out'
        folder.warning("tag-left-out", message, file)
        if not value["shapes"]:
            folder.report_no_boxes_left(image_file.name, file)
    stated = (number(value.get("imageWidth")) or 0.0, number(value.get("imageHeight")) or 0.0)
    subset = subset_of(path.rpartition("/")[0] + "/x")
    return folder.entry(image_file, boxes, subset=subset, source=file, stated_size=stated)


def _image_file(folder: Folder, path: str, reference: str) -> Path | None:
    """The image beside the file, by its own name first: tools that rename files leave the old path inside."""
    stem = path.rpartition(".")[0]
    own = next((stem + suffix for suffix in _SUFFIXES if folder.has_image(stem + suffix)), None)
    named = as_path(reference).rpartition("/")[2]
    beside = f"{path.rpartition('/')[0]}/{named}".lstrip("/")
    if own is not None and not (named and folder.has_image(beside)):
        return folder.root / own
    return folder.image_file(reference, path) if reference else None


def _box(folder: Folder, path: str, index: int, kind: str, shape: Any) -> Box | None:
    label = str(shape.get("label") or "").strip() if isinstance(shape, dict) else ""
    listed = shape.get("points") if isinstance(shape, dict) else None
    pairs = (
        [one for one in listed if isinstance(one, list) and len(one) == 2] if isinstance(listed, list) else []
    )
    points = [(number(x), number(y)) for x, y in pairs]
    known = [(x, y) for x, y in points if x is not None and y is not None]
    is_whole = isinstance(listed, list) and len(known) == len(listed) >= 2
    if kind not in _BOXED or not is_whole or not label:
        message = f"a shape ({printable(kind) or 'no type'}) needs a label and points with numbers"
        folder.error("labelme-shape", message, folder.root / path, *_at(folder, path, index))
        return None
    corners = bounding_box(known)
    if kind == "circle":
        (x, y), edge = known[0], known[1]
        radius = math.dist((x, y), edge)
        corners = (x - radius, y - radius, x + radius, y + radius)
        folder.note_box("shape-box", "circle", folder.root / path, *_at(folder, path, index))
    elif kind == "mask":
        folder.note_box("mask-box", "mask", folder.root / path, *_at(folder, path, index))
    outline = [[part for point in known for part in point]] if kind == "polygon" and len(known) > 2 else None
    return Box(label, *corners, segmentation=outline)


def _at(folder: Folder, path: str, index: int) -> tuple[int | None, int | None]:
    return folder.json_place(path, ("shapes", index))
