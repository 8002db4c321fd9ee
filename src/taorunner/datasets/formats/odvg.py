"""Reads and writes ODVG: JSON lines, one per image, and a label map from index to name.

Source: tao/datasets.md A2: grounding_dino and mask_grounding_dino train on it; its indices start at 0.
tao/layouts.md: every release reads "file_name"; other tools and earlier versions of taorunner wrote "filename".
Outlines are in "mask", in the form of COCO's "segmentation", and each line has an "image_id": tao-pytorch 7.0.1
cv/mask_grounding_dino/dataloader/odvg.py stops at an instance or a line without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from taorunner.datasets.files.json_text import parse_json
from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.text import printable, whole_number

FILE_NAME = "file_name"
_FILE_NAMES = (FILE_NAME, "filename")
_MASK = "mask"
_PEEKED = 20
_READ = frozenset({"bbox", "label", "category"})
_READ_OF_LINE = frozenset({*_FILE_NAMES, "height", "width", "detection"})


def recognise(folder: Folder) -> bool:
    return bool(documents(folder))


def documents(folder: Folder) -> list[str]:
    """The files of JSON lines, relative to the folder."""
    return [path for path in folder.with_suffix(".jsonl") if _is_document(folder.text(path) or "")]


def _is_document(text: str) -> bool:
    """False for lines of other tools, which name their files likewise and have their objects elsewhere."""
    lines = text.split("\n", _PEEKED)[:_PEEKED]
    return any(f'"{key}"' in line for line in lines for key in _FILE_NAMES) and (
        not any('"objects"' in line for line in lines) or any('"detection"' in line for line in lines)
    )


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    for path in documents(folder):
        names = _label_map(folder, path)
        classes.update(dict.fromkeys(names.values()))
        for line_number, line in enumerate((folder.text(path) or "").splitlines(), start=1):
            if not line.strip():
                continue
            entry = _image(folder, path, line_number, line, names)
            if entry is not None:
                images.append(entry)
                classes.update(dict.fromkeys(box.name for box in entry.boxes))
    return DetectionDataset("odvg", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def lines_of(
    images: Iterable[tuple[str, ImageEntry]], classes: Mapping[str, tuple[int, str]]
) -> Iterator[str]:
    """The lines for pairs ``(file name, image)``; ``classes`` has the index and written name of each class.

    Background images have no instances.
    """
    for number_of_line, (name, image) in enumerate(images):
        instances = [
            {
                **(box.extra or {}),
                **({_MASK: _outline(box.segmentation)} if box.segmentation else {}),
                "bbox": [_short(box.x_min), _short(box.y_min), _short(box.x_max), _short(box.y_max)],
                "label": classes[box.name][0],
                "category": classes[box.name][1],
            }
            for box in image.boxes
        ]
        value = {
            "image_id": number_of_line, **(image.extra or {}), FILE_NAME: name, "height": image.height,
            "width": image.width,
        }  # fmt: skip
        yield json.dumps({**value, "detection": {"instances": instances}}, ensure_ascii=False) + "\n"


def _outline(outline: Any) -> Any:
    """Polygons as a list of lists, also where the source has one polygon without the outer list."""
    return [outline] if isinstance(outline, list) and not isinstance(outline[0], list) else outline


def _short(value: float) -> float:
    return round(value, 4)


def _label_map(folder: Folder, path: str) -> dict[int, str]:
    """The label map: the JSON in the same folder whose keys are digits."""
    here = path.rpartition("/")[0]
    for candidate in folder.with_suffix(".json"):
        if candidate.rpartition("/")[0] == here:
            value = folder.json(candidate)
            names = value if isinstance(value, dict) else {}
            keys = {index: key for key in names if (index := whole_number(key)) is not None}
            if names and len(keys) == len(names):
                return {index: str(names[keys[index]]) for index in sorted(keys)}
    return {}


def _image(
    folder: Folder, path: str, line_number: int, line: str, names: Mapping[int, str]
) -> ImageEntry | None:
    file = folder.root / path
    value, problem = parse_json(line)
    if problem is not None:
        folder.error("json-syntax", problem.message, file, line_number, problem.column)
        return None
    names_of_file = [value.get(key) for key in _FILE_NAMES] if isinstance(value, dict) else []
    reference = next((name for name in names_of_file if isinstance(name, str)), None)
    if reference is None:
        folder.error("odvg-line", f'a line needs "{FILE_NAME}"', file, line_number, 1)
        return None
    image_file = folder.image_file(reference, path)
    if image_file is None:
        folder.missing_image(reference, file, line_number, 1)
        return None
    detection = value.get("detection")
    instances = detection.get("instances") if isinstance(detection, dict) else None
    if not isinstance(instances, list):
        _report_no_instances(folder, file, line_number, value)
        return None
    boxes = []
    for instance in instances:
        box = _box(instance, names, line_number)
        if box is None:
            message = f'an instance needs "bbox" of four numbers and a known label ({printable(str(instance))[:60]})'
            folder.error("odvg-instance", message, file, line_number, 1)
        else:
            boxes.append(box)
    stated_size = (number(value.get("width")) or 0.0, number(value.get("height")) or 0.0)
    entry = folder.entry(image_file, boxes, subset=subset_of(path), source=file, stated_size=stated_size)
    extra = {key: one for key, one in value.items() if key not in _READ_OF_LINE}
    return None if entry is None else replace(entry, extra=extra)


def _report_no_instances(folder: Folder, file: Path, line_number: int, value: Mapping[str, Any]) -> None:
    if "grounding" in value:
        message = 'this line has "grounding", a caption with phrases, which are not classes'
        hint = 'grounding_dino trains on such lines without conversion; dataset commands read lines with "detection"'
        folder.error("odvg-grounding", message, file, line_number, 1, hint)
    else:
        message = 'a line needs "detection" with "instances", an empty list for an image without objects'
        folder.error("odvg-line", message, file, line_number, 1)


def _box(instance: Any, names: Mapping[int, str], line_number: int) -> Box | None:
    corners = instance.get("bbox") if isinstance(instance, dict) else None
    values = [number(value) for value in corners] if isinstance(corners, list) else []
    known = [value for value in values if value is not None]
    if len(known) != 4 or len(values) != 4:
        return None
    label = instance.get("label")
    name = instance.get("category") or (names.get(label) if isinstance(label, int) else None)
    if not isinstance(name, str):
        return None
    extra = {key: value for key, value in instance.items() if key not in _READ}
    mask = extra.pop(_MASK) if extra.get(_MASK) and isinstance(extra[_MASK], list | dict) else None
    return Box(name, known[0], known[1], known[2], known[3], line=line_number, extra=extra, segmentation=mask)
