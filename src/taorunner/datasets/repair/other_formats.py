"""What would repair a dataset in COCO, Pascal VOC or YOLO? Its own files, changed where they are wrong and only there.

Whatever else stands in them (licences, key points, attributes, comments) stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from taorunner.datasets.files.image_header import PictureError, PictureHeader, read_header
from taorunner.datasets.formats import coco, yolo
from taorunner.datasets.formats.folder import Folder, number
from taorunner.datasets.model.annotations import DetectionDataset
from taorunner.datasets.model.class_names import encodable
from taorunner.datasets.repair.actions import BoxRepair, Repairs, differ
from taorunner.datasets.repair.kitti import new_names

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_OBJECT = re.compile(r"[ \t]*<object>.*?</object>[ \t]*\n?", re.DOTALL)
_ENCODING = re.compile(r"""(\A\s*<\?xml[^>]*?encoding\s*=\s*["'])[^"']*(["'])""")
_FILENAME = re.compile(r"(<filename>\s*)([^<]*?)(\s*</filename>)")


def format_repairs(root: Path, dataset: DetectionDataset) -> Repairs:
    """``dataset`` was read from ``root`` and is in one of ``check_report.REPAIRED``."""
    return _REPAIRS[dataset.format](root, dataset)


def _coco(root: Path, dataset: DetectionDataset) -> Repairs:
    repairs = Repairs(names=_names(dataset))
    folder = Folder(root)
    for path in coco.documents(folder):
        text = folder.text(path) or ""
        document = folder.json(path)
        if _mend_document(folder, path, document, repairs.names):
            indent = 1 if "\n" in text.strip() else None
            mended = json.dumps(document, ensure_ascii=False, indent=indent)
            if encodable(mended) != mended:  # halves of characters: as escapes, as they came
                mended = json.dumps(document, indent=indent)
            repairs.texts[root / path] = mended + "\n"
    return repairs


def _mend_document(folder: Folder, path: str, document: dict[str, Any], names: Mapping[Path, str]) -> bool:
    """Changes ``document``; True when something was wrong."""
    is_changed = False
    boxes: dict[object, BoxRepair] = {}
    for image in document["images"]:
        if not (isinstance(image, dict) and isinstance(image.get("file_name"), str)):
            continue
        picture = folder.picture(image["file_name"], path)
        if picture is None or not isinstance(image.get("id"), int | str):
            continue
        boxes.setdefault(image["id"], BoxRepair(_annotated_size(picture, image)))
        if picture in names:
            above, slash, _ = image["file_name"].rpartition("/")
            image["file_name"] = above + slash + names[picture]
            is_changed = True
    listed = document.get("annotations")
    kept = []
    for annotation in listed if isinstance(listed, list) else ():
        state = _mend_annotation(annotation, boxes)
        is_changed |= state is not False
        if state is not None:
            kept.append(annotation)
    if isinstance(listed, list):
        document["annotations"] = kept
    return is_changed


def _mend_annotation(annotation: Any, boxes: Mapping[object, BoxRepair]) -> bool | None:
    """None when it goes, True when it was changed. What cannot be read stays for a person."""
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


def _annotated_size(picture: Path, image: Mapping[str, Any]) -> tuple[int, int] | None:
    """What the boxes are drawn on; None when the picture is not that one, and its edges say nothing."""
    header = _header(picture)
    if header is None:
        return None
    said = (number(image.get("width")), number(image.get("height")))
    seen = (header.width, header.height)
    if not all(said) or said == seen:
        return seen
    return None  # also of a stored size: boxes may be drawn on the picture as EXIF turns it


def _yolo(root: Path, dataset: DetectionDataset) -> Repairs:
    """Names stay where lists of pictures name them."""
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
        lines = [_mended_line(line, boxes, header) for line in text.splitlines()]
        mended = "".join(f"{line}\n" for line in lines if line is not None)
        if mended.split() != text.split() or b"\r" in label.read_bytes():
            repairs.texts[label] = mended
    return repairs


def _mended_line(line: str, boxes: BoxRepair, header: PictureHeader) -> str | None:
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
        mended = text
        if header is not None and header.orientation == 1 and not _is_of_another_size(text, header):
            boxes = BoxRepair((header.width, header.height))
            mended = _OBJECT.sub(partial(_mended_object, boxes), text)
        new_name = repairs.names.get(image.path)
        if new_name is not None:
            mended = _FILENAME.sub(partial(_renamed, new_name), mended, count=1)
        if mended != text:  # written as UTF-8, whatever it was
            repairs.texts[image.source] = _ENCODING.sub(r"\1UTF-8\2", mended, count=1)
    return repairs


def _is_of_another_size(text: str, header: PictureHeader) -> bool:
    said = [_number_in(text, tag) for tag in ("width", "height")]
    return all(said) and said != [header.width, header.height]


def _renamed(name: str, match: re.Match[str]) -> str:
    return match[1] + escape(name) + match[3]


def _mended_object(boxes: BoxRepair, match: re.Match[str]) -> str:
    """Empty when it goes. One with parts that have boxes of their own stays as it is."""
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
    """New names of the pictures, folder by folder; those of pictures outside the dataset stay."""
    by_folder: dict[Path, list[str]] = {}
    for image in dataset.images:
        name = image.path.name
        if image.path.is_relative_to(dataset.root) and encodable(name) == name:
            by_folder.setdefault(image.path.parent, []).append(image.path.name)
    return {
        path: name for folder, names in by_folder.items() for path, name in new_names(folder, names).items()
    }


def _header(path: Path) -> PictureHeader | None:
    try:
        return read_header(path)
    except (PictureError, OSError):
        return None


_REPAIRS: Mapping[str, Callable[[Path, DetectionDataset], Repairs]] = {
    "coco": _coco,
    "voc": _voc,
    "yolo": _yolo,
}
