"""Reads WIDER FACE: one text file per subset, with each image's path, number of faces, and a line for each face.

Source: the readme of WIDER FACE's annotations: x, y, width and height in pixels, then blur, expression, illumination,
invalid, occlusion and pose; an image without faces has a line of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.datasets.files.names import is_image, subset_of
from taorunner.datasets.files.numbers import number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.text import printable, whole_number

_CLASS = "face"
_FIELDS = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
Row = tuple[int, list[float]]
"""Line, and its numbers."""


def recognise(folder: Folder) -> bool:
    return bool(_documents(folder))


def _documents(folder: Folder) -> list[str]:
    return [path for path in folder.with_suffix(".txt") if _is_document(folder.peek(path) or "")]


def _is_document(text: str) -> bool:
    lines = text.lstrip("\ufeff").split("\n", 3)
    return (
        len(lines) >= 3
        and is_image(lines[0].strip())
        and whole_number(lines[1].strip()) is not None
        and len(lines[2].split()) >= 4
        and all(number(word) is not None for word in lines[2].split())
    )


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    for path in _documents(folder):
        for line, reference, rows in _images(folder, path):
            image_file = folder.image_file(reference, path)
            if image_file is None:
                folder.missing_image(reference, folder.root / path, line, 1)
                continue
            boxes = [_box(at, values) for at, values in rows]
            entry = folder.entry(image_file, boxes, subset=subset_of(path), source=folder.root / path)
            if entry is not None:
                images.append(entry)
    return DetectionDataset("wider-face", folder.root, tuple(images), (_CLASS,), tuple(folder.findings))


def _images(folder: Folder, path: str) -> Iterator[tuple[int, str, list[Row]]]:
    """Line number, path and faces of each image."""
    lines = (folder.text(path) or "").splitlines()
    at = 0
    while at < len(lines):
        reference = lines[at].strip()
        if not reference:
            at += 1
            continue
        count = whole_number(lines[at + 1].strip()) if at + 1 < len(lines) else None
        if not is_image(reference) or count is None:
            message = f'expected an image and its number of faces, not "{printable(reference)[:60]}"'
            folder.error("wider-face-line", message, folder.root / path, at + 1, 1)
            return
        rows: list[Row] = []
        follows = max(1, count)  # a line of zeros for an image without faces
        for place in range(at + 2, min(at + 2 + follows, len(lines))):
            words = lines[place].split()
            if not count and is_image(lines[place].strip()):
                follows = 0  # some tools leave the zeros out
                break
            values = [value for value in map(number, words) if value is not None]
            if len(values) < 4 or len(values) < len(words):
                message = f'a face needs x, y, width and height, not "{printable(lines[place])[:60]}"'
                folder.error("wider-face-line", message, folder.root / path, place + 1, 1)
                continue
            rows.append((place + 1, values))
        yield at + 1, reference, rows if count else []
        at += 2 + follows


def _box(line: int, values: list[float]) -> Box:
    x, y, width, height = values[:4]
    attributes = {key: int(value) for key, value in zip(_FIELDS, values[4:], strict=False) if value}
    extra = {"attributes": attributes} if attributes else None
    return Box(_CLASS, x, y, x + width, y + height, line=line, extra=extra)
