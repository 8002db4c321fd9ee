"""Reads KITTI: one text file per image, one object per line, 15 columns (16 with a detection score).

Source: tao/tensorflow.md section 7: exactly 15 columns separated by spaces, an integer for occlusion, a label file for
every image, even without objects; images and labels are paired by base name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from taorunner.datasets.files.names import SPLIT_NAMES
from taorunner.datasets.files.yolo_rows import is_yolo_row
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry, KittiFields
from taorunner.text import amount, printable

_IMAGES = ("image_2", "images", "image")
_LABELS = ("label_2", "labels", "label")
_MOST_COLUMNS = 30
"""With a class name of several words; a line with more is none of KITTI."""
_THREE_D = ("velodyne", "calib")
_PLAIN = KittiFields()
_FIELDS = ("truncation", "occlusion", "alpha", "x_min", "y_min", "x_max", "y_max", "height", "width", "length",
           "x", "y", "z", "rotation_y")  # fmt: skip


def recognise(folder: Folder) -> bool:
    """True for a pair of folders with labels of 15 or 16 columns, or such a file beside an image."""
    return any(_is_row(line) for _, labels, _ in _pairs(folder) for line in _first_lines(folder, labels))


def is_all_background(folder: Folder) -> bool:
    """True when image folders have label folders beside them and every label file is empty."""
    labels = [path for _, place, _ in _pairs(folder) for path in _directly_in(folder, place, ".txt")]
    return bool(labels) and all(not (folder.text(path) or "").strip() for path in labels)


def image_folders(folder: Folder) -> set[Path]:
    """The folders of images that have labels beside them."""
    return {folder.root / place for place, _, _ in _pairs(folder)}


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    pairs = _pairs(folder)
    report_unread(folder, {labels for _, labels, _ in pairs})
    if beside := folder.folders_named(_THREE_D):
        message = f'"{printable(beside[0])}": left out, only images and labels are read'
        hint = "bevfusion and pointpillars read such a dataset without conversion"
        folder.warning("folders-left-out", message, folder.root / beside[0], hint=hint)
    for image_files, labels, subset in pairs:
        by_stem = {_stem(path): path for path in _directly_in(folder, labels, ".txt")}
        used: set[str] = set()
        for image_file in (p for p in folder.image_files if _parent(p) == image_files):
            stem = _stem(image_file)
            label = by_stem.get(stem)
            boxes: list[Box] = []
            source: Path | None = None
            if label is None:
                message = f'"{printable(image_file)}" has no label file: used as a background image'
                folder.warning("label-missing", message, folder.root / image_file)
            else:
                used.add(stem)
                if folder.text(label) is None:
                    continue  # reported; it must not become a background image
                source = folder.root / label
                boxes = list(_boxes(folder, label))
            classes.update(dict.fromkeys(box.name for box in boxes))
            entry = folder.entry(folder.root / image_file, boxes, subset=subset, source=source)
            if entry is not None:
                images.append(entry)
        for stem in sorted(set(by_stem) - used):
            message = f'there is no image for "{printable(by_stem[stem])}"'
            folder.error("picture-missing", message, folder.root / by_stem[stem])
    return DetectionDataset("kitti", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def report_unread(folder: Folder, paired: set[str]) -> None:
    """Reports labels in other folders than ``paired``, which have no images beside them."""
    left: dict[str, list[str]] = {}
    for path in folder.with_suffix(".txt"):
        parent = _parent(path)
        if parent in paired:
            continue
        is_named = any(part.lower() in _LABELS for part in parent.split("/"))
        if is_named or _is_row(next(iter((folder.peek(path) or "").splitlines()), "")):
            left.setdefault(parent, []).append(path)
    for parent, paths in sorted(left.items()):
        message = f'there are no images for {amount(len(paths), "label file")} in "{printable(parent)}"'
        folder.error(
            "picture-missing", message, folder.root / paths[0], hint="add them, or delete the labels"
        )


def _is_row(line: str) -> bool:
    words = line.removeprefix("\ufeff").split()
    return 15 <= len(words) <= _MOST_COLUMNS and _is_number(words[-1]) and not is_yolo_row(words)


def line_of(box: Box, name: str) -> str:
    """One line of 15 columns; coordinates have at most four decimals, so that 0.01 px is kept."""
    k = box.kitti
    if k is None:
        return plain_line(name, box.x_min, box.y_min, box.x_max, box.y_max)
    where = f"{_short(box.x_min)} {_short(box.y_min)} {_short(box.x_max)} {_short(box.y_max)}"
    rest = " ".join(_short(value) for value in (*k.dimensions, *k.location, k.rotation_y))
    return f"{name} {_short(k.truncation)} {k.occlusion} {_short(k.alpha)} {where} {rest}\n"


def plain_line(name: str, x_min: float, y_min: float, x_max: float, y_max: float) -> str:
    """The same for a box without fields of KITTI's own."""
    where = f"{_short(x_min)} {_short(y_min)} {_short(x_max)} {_short(y_max)}"
    return f"{name} 0 0 0 {where} 0 0 0 0 0 0 0\n"


def _short(value: float) -> str:
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _boxes(folder: Folder, label: str) -> Iterator[Box]:
    text = folder.text(label)
    for number, line in enumerate((text or "").splitlines(), start=1):
        columns = line.split()
        if not columns:
            continue
        box = _box(folder, folder.root / label, number, line, columns)
        if box is not None:
            yield box


def _box(folder: Folder, file: Path, number: int, line: str, columns: list[str]) -> Box | None:
    name, values = _name_and_values(columns)
    if len(values) not in (14, 15):
        message = f"{len(columns)} columns, but a KITTI line has 15 (16 with a score)"
        folder.error("kitti-columns", message, file, number, 1)
        return None
    numbers: list[float] = []
    for title, value in zip((*_FIELDS, "score"), values, strict=False):
        parsed = _finite(value)
        if parsed is None:
            column = _column_of(line, columns, len(columns) - len(values) + len(numbers))
            message = f'{title} is "{printable(value)}", which is not a number'
            folder.error("kitti-number", message, file, number, column)
            return None
        numbers.append(parsed)
    truncation, occlusion, alpha, x_min, y_min, x_max, y_max, *rest = numbers
    fields = KittiFields(
        truncation, int(occlusion), alpha, (rest[0], rest[1], rest[2]), (rest[3], rest[4], rest[5]), rest[6]
    )
    score = rest[7] if len(rest) > 7 else None
    kitti = None if fields == _PLAIN else fields
    return Box(name, x_min, y_min, x_max, y_max, kitti, score, line=number)


def _name_and_values(columns: list[str]) -> tuple[str, list[str]]:
    """Accepts spaces in class names, which other tools write: "traffic light" gives 16 or 17 columns."""
    if len(columns) > 15:
        first = next((i for i, text in enumerate(columns[1:], start=1) if _is_number(text)), 1)
        if len(columns) - first in (14, 15):
            return " ".join(columns[:first]), columns[first:]
    return columns[0], columns[1:]


def _pairs(folder: Folder) -> list[tuple[str, str, str]]:
    """(image folder, label folder, subset) of each part of the dataset."""
    parents = {_parent(path) for path in folder.image_files}
    with_text = sorted({_parent(path) for path in folder.with_suffix(".txt")})
    pairs = []
    for image_files in sorted(parents):
        above, _, own = image_files.rpartition("/")
        below = ""
        if own.lower() not in _IMAGES:  # images/train beside labels/train
            upper, _, middle = above.rpartition("/")
            if middle.lower() in _IMAGES:
                above, own, below = upper, middle, own
        if own.lower() in _IMAGES:
            for labels in _LABELS:
                wanted = "/".join(part for part in (above, labels, below) if part).lower()
                candidate = next((place for place in with_text if place.lower() == wanted), None)
                if candidate is not None:
                    name = below or above.rpartition("/")[2]
                    pairs.append((image_files, candidate, _subset(name)))
                    break
        else:
            stems = {_stem(path) for path in folder.image_files if _parent(path) == image_files}
            if any(_stem(path) in stems for path in _directly_in(folder, image_files, ".txt")):
                pairs.append((image_files, image_files, _subset(own)))
    return pairs


def _subset(name: str) -> str:
    return SPLIT_NAMES.get(name.lower(), name)


def _directly_in(folder: Folder, parent: str, suffix: str) -> list[str]:
    return [path for path in folder.with_suffix(suffix) if _parent(path) == parent]


def _first_lines(folder: Folder, labels: str) -> Iterator[str]:
    """The first line of each file that has one, of at most 50 such files."""
    found = 0
    for path in _directly_in(folder, labels, ".txt"):
        for line in (folder.peek(path) or "").removeprefix("\ufeff").splitlines():
            if line.strip():
                yield line
                found += 1
                break
        if found >= 50:
            return


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column_of(line: str, columns: list[str], index: int) -> int:
    at = 0
    for text in columns[: index + 1]:
        at = line.index(text, at) + len(text)
    return at - len(columns[index]) + 1


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]
