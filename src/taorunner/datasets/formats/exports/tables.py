"""Reads tables of boxes, a row for each: TensorFlow's tutorials (tfod), VoTT and Open Images.

Rows of one image may lie apart. A row with an image and nothing else is a background image.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.errors import UserFilesError
from taorunner.text import printable
from taorunner.values.value import Value


class _Layout(Value):
    """The names of the columns. ``units``: the coordinates are pixels, fractions, or what the numbers say."""

    image: str
    name: str
    corners: tuple[str, str, str, str]
    units: str

    @property
    def columns(self) -> set[str]:
        return {self.image, self.name, *self.corners}


_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_LAYOUTS: Mapping[str, _Layout] = {
    "tfod": _Layout("filename", "class", _CORNERS, "either"),
    "vott-csv": _Layout("image", "label", _CORNERS, "pixels"),
    "openimages": _Layout("ImageID", "LabelName", ("XMin", "YMin", "XMax", "YMax"), "fractions"),
}
_SUFFIXES = ("", ".jpg", ".png", ".jpeg", ".JPG", ".PNG")
_Row = tuple[int, dict[str, str]]


def _read(folder: Folder, format_name: str) -> DetectionDataset:
    """Raises UserFilesError when no table has the columns."""
    layout = _LAYOUTS[format_name]
    tables = {
        path: rows for path in folder.with_suffix(".csv") if (rows := _rows(folder, path, layout.columns))
    }
    if not tables:
        raise UserFilesError(
            f'no table in "{printable(str(folder.root))}" has rows with the columns of {format_name}: '
            f"{', '.join(sorted(layout.columns))}",
            hint="if it is another format, give that with --from",
        )
    shown = _shown_names(folder) if format_name == "openimages" else {}
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    for path, rows in tables.items():
        for entry in _entries(folder, path, rows, layout, shown):
            images.append(entry)
            classes.update(dict.fromkeys(box.name for box in entry.boxes))
    return DetectionDataset(format_name, folder.root, tuple(images), tuple(classes), tuple(folder.findings))


READERS: Mapping[str, Callable[[Folder], DetectionDataset]] = {
    name: partial(_read, format_name=name) for name in _LAYOUTS
}


def _rows(folder: Folder, path: str, columns: set[str]) -> list[_Row]:
    """Pairs of line and row; empty for another table."""
    first = (folder.peek(path) or "").lstrip("\ufeff").partition("\n")[0]
    mark = ";" if first.count(";") > first.count(",") else ","
    if not columns <= {word.strip().strip('"') for word in first.split(mark)}:
        return []
    lines = csv.reader((folder.text(path) or "").splitlines(), delimiter=mark)
    head = [word.strip() for word in next(lines, [])]
    return [(lines.line_num, dict(zip(head, map(str.strip, row), strict=False))) for row in lines if any(row)]


def _entries(
    folder: Folder, path: str, rows: list[_Row], layout: _Layout, shown: Mapping[str, str]
) -> Iterator[ImageEntry]:
    by_image: dict[str, list[_Row]] = {}
    for line, row in rows:
        by_image.setdefault(row.get(layout.image, ""), []).append((line, row))
    are_fractions = layout.units == "fractions" or (layout.units == "either" and _are_fractions(rows))
    if are_fractions and layout.units == "either":
        message = "no coordinate is above 1: they are read as fractions of the image"
        folder.warning("table-fractions", message, folder.root / path)
    for name, members in by_image.items():
        image_file = _image_file(folder, name, path)
        if image_file is None:
            folder.missing_image(name, folder.root / path, members[0][0])
            continue
        header = folder.header(image_file)
        if header is None:
            continue
        scale = (header.width, header.height) if are_fractions else (1, 1)
        boxes = [
            box
            for line, row in members
            if (box := _box(folder, path, line, row, layout, scale, shown)) is not None
        ]
        stated = (number(members[0][1].get("width")) or 0.0, number(members[0][1].get("height")) or 0.0)
        entry = folder.entry(
            image_file, boxes, subset=subset_of(path), source=folder.root / path, stated_size=stated
        )
        if entry is not None:
            yield entry


def _are_fractions(rows: list[_Row]) -> bool:
    values = [value for _, row in rows for key in _CORNERS if (value := number(row.get(key))) is not None]
    return max(values, default=2.0) <= 1.0


def _image_file(folder: Folder, name: str, path: str) -> Path | None:
    """Open Images names images without their suffix."""
    return next((found for suffix in _SUFFIXES if (found := folder.image_file(name + suffix, path))), None)


def _box(
    folder: Folder, path: str, line: int, row: Mapping[str, str], layout: _Layout, scale: tuple[int, int],
    shown: Mapping[str, str],
) -> Box | None:  # fmt: skip
    texts = [row.get(key, "") for key in layout.corners]
    name = row.get(layout.name, "")
    if not any(texts) and not name:
        return None  # a background image
    values = [value for text in texts if (value := number(text)) is not None]
    if len(values) != 4 or not name:
        message = "a row needs a class and four numbers as corners"
        folder.error("table-row", message, folder.root / path, line, hint="correct it, or remove the row")
        return None
    (left, top, right, bottom), (width, height) = values, scale
    return Box(shown.get(name, name), left * width, top * height, right * width, bottom * height, line=line)


def _shown_names(folder: Folder) -> dict[str, str]:
    """Open Images' words for its codes, such as ``/m/0199g``: two columns, with or without a head."""
    found: dict[str, str] = {}
    for path in folder.with_suffix(".csv"):
        if "class-descriptions" not in path.rpartition("/")[2]:
            continue
        for row in csv.reader((folder.text(path) or "").splitlines()):
            if len(row) == 2 and row[0] != "LabelName":
                found[row[0].strip()] = row[1].strip()
    return found
