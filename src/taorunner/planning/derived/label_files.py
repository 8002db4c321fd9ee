"""Reads the facts of labels with boxes: COCO, its panoptic form, ODVG and KITTI."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taorunner.datasets.files.coco_rows import batches
from taorunner.datasets.files.image_header import ImageError, read_header
from taorunner.datasets.files.json_pieces import JsonObject, JsonSource, NotInPiecesError, read_in_pieces
from taorunner.datasets.files.layout import files_in, images_in
from taorunner.datasets.files.mask_reading import spread
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.derived.facts import Collected, Size, SubsetFacts
from taorunner.text import printable
from taorunner.values.bounded_reading import JsonError, TooMuchError, parse_json, read_file, read_json

_MOST_HEADERS = 2000
"""Images of a folder whose sizes are read, evenly spread."""
_NO_CLASS = "dontcare"
_COLUMNS = 8
_MAX_WHOLE_BYTES = 64 * 1024**2
"""Of a file that cannot be read in pieces, to say why."""


def add_coco(to: Collected, subset: str, file: Path) -> None:
    """A COCO file, of boxes or panoptic. Raises UserFilesError where it cannot be read."""
    document = _document(file)
    names = _categories(document, file)
    to.ids |= names
    sizes: dict[Any, Size] = {}
    images = 0
    for image in document.elements("images"):
        if not isinstance(image, Mapping) or not isinstance(image.get("id"), (int, str)):
            raise _unread(file, "coco-image", 'an image is no object with "id" and "file_name"')
        images += 1
        width, height = image.get("width"), image.get("height")
        if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
            sizes[image.get("id")] = (width, height)
            to.sizes[(width, height)] += 1
        to.suffixes[os.path.splitext(str(image.get("file_name") or image.get("path") or ""))[1]] += 1  # noqa: PTH122
    boxes: Counter[str] = Counter()
    of_image: Counter[Any] = Counter()
    without_outline = 0
    for image_id, category, box, has_outline in _annotations(document):
        if not isinstance(image_id, (int, str)) or not isinstance(category, (int, str)):
            continue  # which dataset check reports
        of_image[image_id] += 1
        without_outline += not has_outline
        boxes[names.get(category, str(category)) if isinstance(category, int) else category] += 1
        if box is not None and image_id in sizes:
            to.add_shape(box[2], box[3], sizes[image_id])
    to.subsets[subset] = SubsetFacts(images, boxes, max(of_image.values(), default=0), without_outline)


def add_odvg(to: Collected, subset: str, file: Path) -> None:
    """JSON lines, and the names of their classes in ``label_map.json`` beside. Raises UserFilesError."""
    names = _label_map(file.parent / "label_map.json")
    to.ids |= names
    images, most = 0, 0
    boxes: Counter[str] = Counter()
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                row, images = _odvg_row(file, number, line), images + 1
                size = (_whole(row.get("width")), _whole(row.get("height")))
                to.sizes[size] += 1
                found = [one for one in _instances(row) if isinstance(one, dict)]
                most = max(most, len(found))
                for one in found:
                    label = one.get("label")
                    name = names.get(label) if isinstance(label, int) else None
                    boxes[name if name is not None else str(one.get("category", label))] += 1
                    box = _numbers(one.get("bbox"))
                    if box is not None:
                        to.add_shape(box[2] - box[0], box[3] - box[1], size)
    except (OSError, UnicodeDecodeError) as error:
        raise _unread(file, "odvg-unread", f"the file cannot be read: {error}") from None
    to.subsets[subset] = SubsetFacts(images, boxes, most)


def add_kitti(to: Collected, subset: str, labels: Path, images: Path, *, is_trained: bool) -> None:
    """A folder of KITTI labels, and the folder of their images. Classes count only where they are trained on.

    Raises UserFilesError where there are no labels.
    """
    files = [name for name in files_in(labels) if name.endswith(".txt")]
    pictures = images_in(images)
    if is_trained and not files:
        raise _unread(labels, "no-labels", "there is no label file (.txt) in this folder")
    by_stem = {os.path.splitext(name)[0]: name for name in pictures}  # noqa: PTH122 (a name)
    looked_at = set(spread(files, _MOST_HEADERS))
    boxes: Counter[str] = Counter()
    most = 0
    for name in files:
        rows = list(_kitti_rows(labels / name))
        boxes.update(row[0] for row in rows)
        most = max(most, len(rows))
        picture = by_stem.get(name[:-4])
        if name in looked_at and picture is not None and (size := _size(to, images / picture)) is not None:
            to.sizes[size] += 1
            for _, x_min, y_min, x_max, y_max in rows:
                to.add_shape(x_max - x_min, y_max - y_min, size)
    to.suffixes.update(os.path.splitext(name)[1] for name in pictures)  # noqa: PTH122 (names)
    if is_trained:
        to.names |= dict.fromkeys(sorted(boxes))
    to.subsets[subset] = SubsetFacts(len(pictures), boxes, most)


def size_of(to: Collected, file: Path) -> Size | None:
    """Width and height of an image; None where it cannot be read. Notes its channels."""
    return _size(to, file)


def _size(to: Collected, file: Path) -> Size | None:
    try:
        header = read_header(file)
    except (ImageError, OSError):
        return None
    to.channels = max(to.channels, 1 if header.channels in (1, 2) and not header.palette else 3)
    return header.width, header.height


def _document(file: Path) -> JsonObject:
    try:
        return read_in_pieces(JsonSource(file), ("images", "annotations"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _unread(file, "dataset-unread", f"the file cannot be read: {reason}") from None
    except NotInPiecesError:
        pass
    try:
        read = read_json(file, most_bytes=_MAX_WHOLE_BYTES)
    except JsonError as error:
        raise _unread(file, "json-syntax", f"this is no JSON: {error}", error.line, error.column) from None
    if not isinstance(read, dict):
        raise _unread(file, "coco-layout", 'a COCO file is an object with "images" and "annotations"')
    raise _unread(file, "json-syntax", "the file cannot be read as JSON in UTF-8")


def _categories(document: JsonObject, file: Path) -> dict[int, str]:
    listed = document.values.get("categories")
    rows = listed if isinstance(listed, list) else []
    found = {
        one["id"]: str(one["name"])
        for one in rows
        if isinstance(one, dict) and isinstance(one.get("id"), int) and "name" in one
    }
    if not found or "images" not in document.lists:
        raise _unread(file, "coco-layout", 'there are no "images", or no "categories" with "id" and "name"')
    return found


def _annotations(document: JsonObject) -> Iterator[tuple[Any, Any, tuple[float, ...] | None, bool]]:
    """Image, category and box (x, y, width, height) of each, and whether it has an outline; the segments of a panoptic
    file."""
    for batch in batches(document):
        if batch.annotations is not None:
            yield from (
                (one.image_id, one.category_id, one.bbox, one.has_outline) for one in batch.annotations
            )
            continue
        for one in parse_json(batch.text, most_bytes=len(batch.text), finite=False):
            if not isinstance(one, dict):
                continue
            segments = one.get("segments_info")
            for part in segments if isinstance(segments, list) else [one]:
                if isinstance(part, dict):
                    outline = bool(part.get("segmentation"))
                    yield one.get("image_id"), part.get("category_id"), _numbers(part.get("bbox")), outline


def _label_map(file: Path) -> dict[int, str]:
    try:
        read = read_json(file)
        return {int(number): str(name) for number, name in read.items()}
    except (OSError, ValueError, AttributeError, TypeError, OverflowError) as error:
        raise _unread(file, "label-map", f"the names of the classes cannot be read: {error}") from None


def _odvg_row(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = parse_json(line, finite=False)
    except ValueError as error:
        raise _unread(file, "json-syntax", f"this is no JSON: {error}", number) from None
    if not isinstance(row, dict):
        raise _unread(file, "odvg-line", "the line is no JSON object", number)
    return row


def _instances(row: Mapping[str, Any]) -> list[Any]:
    for key, inner in (("detection", "instances"), ("grounding", "regions")):
        part = row.get(key)
        found = part.get(inner) if isinstance(part, dict) else None
        if isinstance(found, list):
            return found
    return []


def _numbers(box: Any) -> tuple[float, ...] | None:
    """The four numbers of a box."""
    is_box = isinstance(box, list) and len(box) == 4 and all(isinstance(one, int | float) for one in box)
    return tuple(box) if is_box else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _kitti_rows(file: Path) -> Iterator[tuple[str, float, float, float, float]]:
    """Class in lower case and the corners of each box; other lines are left to ``dataset check``."""
    try:
        lines = read_file(file).decode("utf-8", "replace").splitlines()
    except (OSError, TooMuchError):
        return
    for line in lines:
        words = line.split()
        if len(words) < _COLUMNS or words[0].lower() == _NO_CLASS:
            continue
        try:
            x_min, y_min, x_max, y_max = map(float, words[4:8])
        except ValueError:
            continue
        yield words[0].lower(), x_min, y_min, x_max, y_max


def _unread(
    file: Path, code: str, message: str, line: int | None = None, column: int | None = None
) -> UserFilesError:
    hint = "taorunner dataset check DATASET says what is wrong in a dataset"
    finding = Finding(Severity.ERROR, code, message, hint, file, line, column)
    return UserFilesError(f'"{printable(str(file))}" cannot be read', findings=(finding,))
