"""Plans the repair of a COCO, Pascal VOC or YOLO dataset: its own files, changed only where they are wrong.

Everything else in them (licences, key points, attributes, comments) is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from taorunner.datasets.files.image_header import ImageError, ImageHeader, read_header
from taorunner.datasets.files.numbers import number
from taorunner.datasets.formats import coco
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.yolo import labels as yolo
from taorunner.datasets.model.annotations import DetectionDataset
from taorunner.datasets.model.class_names import encodable
from taorunner.datasets.repair.actions import BoxRepair, Repairs, differ
from taorunner.datasets.repair.kitti import new_names

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_OBJECT = re.compile(r"[ \t]*<object>.*?</object>[ \t]*\n?", re.DOTALL)
_ENCODING = re.compile(r"""(\A\s*<\?xml[^>]*?encoding\s*=\s*["'])[^"']*(["'])""")
_FILENAME = re.compile(r"(<filename>\s*)([^<]*?)(\s*</filename>)")


def format_repairs(root: Path, dataset: DetectionDataset) -> Repairs:
    """``dataset`` was read from ``root``; its format is one of ``checks.report.REPAIRED``."""
    return _REPAIRS[dataset.format](root, dataset)


def _coco(root: Path, dataset: DetectionDataset) -> Repairs:
    repairs = Repairs(names=_names(dataset))
    folder = Folder(root)
    for path in coco.documents(folder):
        text = folder.text(path) or ""
        document = folder.json(path)
        if _repair_document(folder, path, document, repairs.names):
            indent = 1 if "\n" in text.strip() else None
            repaired = json.dumps(document, ensure_ascii=False, indent=indent)
            if encodable(repaired) != repaired:  # lone surrogates stay escapes
                repaired = json.dumps(document, indent=indent)
            repairs.texts[root / path] = repaired + "\n"
    return repairs


def _repair_document(folder: Folder, path: str, document: dict[str, Any], names: Mapping[Path, str]) -> bool:
    """Repairs ``document`` in place; True when it changed."""
    is_changed = False
    boxes: dict[object, BoxRepair] = {}
    for image in document["images"]:
        if not (isinstance(image, dict) and isinstance(image.get("file_name"), str)):
            continue
        image_file = folder.image_file(image["file_name"], path)
        if image_file is None or not isinstance(image.get("id"), int | str):
            continue
        boxes.setdefault(image["id"], BoxRepair(_annotated_size(image_file, image)))
        if image_file in names:
            above, slash, _ = image["file_name"].rpartition("/")
            image["file_name"] = above + slash + names[image_file]
            is_changed = True
    listed = document.get("annotations")
    kept = []
    for annotation in listed if isinstance(listed, list) else ():
        state = _repair_annotation(annotation, boxes)
        is_changed |= state is not False
        if state is not None:
            kept.append(annotation)
    if isinstance(listed, list):
        document["annotations"] = kept
    return is_changed


def _repair_annotation(annotation: Any, boxes: Mapping[object, BoxRepair]) -> bool | None:
    """None when it is removed, True when it changed. An unreadable annotation is left unchanged."""
    image_id = annotation.get("image_id") if isinstance(annotation, dict) else None
    bounds = annotation.get("bbox") if isinstance(annotation, dict) else None
    values = [number(value) for value in bounds] if isinstance(bounds, list) else []
    known = [value for value in values if value is not None]
    if not isinstance(image_id, int | str) or image_id not in boxes or len(values) != 4 or len(known) != 4:
        return False
    x, y, width, height = known
    left = boxes[image_id].of(annotation.get("category_id"), (x, y, x + width, y + height))
    if left is None:
        return None
    box = [left[0], left[1], left[2] - left[0], left[3] - left[1]]
    is_clipped = differ(box, known)
    if is_clipped:
        annotation["bbox"] = [round(value, 4) for value in box]
    if "area" not in annotation or (is_clipped and not annotation.get("segmentation")):
        annotation["area"] = round(box[2] * box[3], 4)
        return True
    return is_clipped


def _annotated_size(image_file: Path, image: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size that the boxes are drawn on; None when the image has another one, so that boxes are not clipped."""
    header = _header(image_file)
    if header is None:
        return None
    annotated = (number(image.get("width")), number(image.get("height")))
    seen = (header.width, header.height)
    if not all(annotated) or annotated == seen:
        return seen
    return None  # also for the stored size: boxes may be drawn on the rotated image


def _yolo(root: Path, dataset: DetectionDataset) -> Repairs:
    """Images that list files name are not renamed."""
    folder = Folder(root)
    has_lists = any(
        ".txt" in (folder.text(path) or "") for path in folder.with_suffix(".yaml", ".yml", ".data")
    )
    repairs = Repairs(names={} if has_lists else _names(dataset))
    for image in dataset.images:
        label, header = image.source, _header(image.path)
        if label is None or header is None or label in repairs.texts:
            continue
        text = folder.text(label.relative_to(root).as_posix()) or ""
        boxes = BoxRepair((header.width, header.height))
        lines = [_repaired_line(line, boxes, header) for line in text.splitlines()]
        repaired = "".join(f"{line}\n" for line in lines if line is not None)
        if repaired.split() != text.split() or b"\r" in label.read_bytes():
            repairs.texts[label] = repaired
    return repairs


def _repaired_line(line: str, boxes: BoxRepair, header: ImageHeader) -> str | None:
    words = line.split()
    values = [number(word) for word in words[1:]]
    known = [value for value in values if value is not None]
    if len(words) not in (5, 6) or len(known) < len(values):
        return line if words else None
    x, y, w, h = (
        known[0] * header.width,
        known[1] * header.height,
        known[2] * header.width,
        known[3] * header.height,
    )
    corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    left = boxes.of(words[0], corners)
    if left is None or not differ(left, corners):
        return line if left is not None else None
    return yolo.line_of(words[0], left, (header.width, header.height)) + "".join(
        f" {word}" for word in words[5:]
    )


def _voc(root: Path, dataset: DetectionDataset) -> Repairs:
    repairs = Repairs(names=_names(dataset))
    folder = Folder(root)
    for image in dataset.images:
        if image.source is None or image.source in repairs.texts:
            continue
        text = folder.text(image.source.relative_to(root).as_posix()) or ""
        header = _header(image.path)
        repaired = text
        if header is not None and header.orientation == 1 and not _is_of_another_size(text, header):
            boxes = BoxRepair((header.width, header.height))
            repaired = _OBJECT.sub(partial(_repaired_object, boxes), text)
        new_name = repairs.names.get(image.path)
        if new_name is not None:
            repaired = _FILENAME.sub(partial(_renamed, new_name), repaired, count=1)
        if repaired != text:  # written as UTF-8, whatever the original encoding
            repairs.texts[image.source] = _ENCODING.sub(r"\1UTF-8\2", repaired, count=1)
    return repairs


def _is_of_another_size(text: str, header: ImageHeader) -> bool:
    annotated = [_number_in(text, tag) for tag in ("width", "height")]
    return all(annotated) and annotated != [header.width, header.height]


def _renamed(name: str, match: re.Match[str]) -> str:
    return match[1] + escape(name, quote=False) + match[3]


def _repaired_object(boxes: BoxRepair, match: re.Match[str]) -> str:
    """Empty when it is removed. An object whose parts have boxes is left unchanged."""
    text = match[0]
    values = [_number_in(text, corner) for corner in _CORNERS]
    name = re.search(r"<name>\s*([^<]*?)\s*</name>", text)
    known = [value for value in values if value is not None]
    if len(known) < 4 or name is None or text.count("<bndbox>") != 1:
        return text
    corners = (known[0], known[1], known[2], known[3])
    left = boxes.of(name[1], corners)
    if left is None:
        return ""
    for corner, value, before in zip(_CORNERS, left, corners, strict=True):
        if differ([value], [before]):
            text = re.sub(rf"(<{corner}>\s*)[^<]*?(\s*</{corner}>)", rf"\g<1>{value:g}\g<2>", text)
    return text


def _number_in(text: str, tag: str) -> float | None:
    match = re.search(rf"<{tag}>\s*([^<]*?)\s*</{tag}>", text)
    return number(match[1]) if match is not None else None


def _names(dataset: DetectionDataset) -> dict[Path, str]:
    """New names of the images, folder by folder; images outside the dataset are not renamed."""
    by_folder: dict[Path, list[str]] = {}
    for image in dataset.images:
        name = image.path.name
        if image.path.is_relative_to(dataset.root) and encodable(name) == name:
            by_folder.setdefault(image.path.parent, []).append(image.path.name)
    return {
        path: name for folder, names in by_folder.items() for path, name in new_names(folder, names).items()
    }


def _header(path: Path) -> ImageHeader | None:
    try:
        return read_header(path)
    except (ImageError, OSError):
        return None


_REPAIRS: Mapping[str, Callable[[Path, DetectionDataset], Repairs]] = {
    "coco": _coco,
    "voc": _voc,
    "yolo": _yolo,
}
