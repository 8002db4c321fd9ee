"""Reads DOTA: one text file per image, with the four corners of each oriented box.

Source: the task page of DOTA: ``x1 y1 x2 y2 x3 y3 x4 y4 category difficult`` in pixels, after lines ``imagesource:``
and ``gsd:``, which later versions leave out.
"""

from __future__ import annotations

import re
from collections import Counter

from taorunner.datasets.files.image_header import IMAGE_SUFFIXES
from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.datasets.model.geometry import is_upright
from taorunner.text import amount, printable

_NUMBER = r"-?\d{1,9}(\.\d{0,12})?"
_ROW = re.compile(rf"({_NUMBER}[ \t]+){{8}}(?P<name>[^\d\s-]\S*)([ \t]+\d)?[ \t]*\r?$", re.MULTILINE)
_HEAD = re.compile(r"\ufeff?([ \t]*(imagesource|gsd)[^\n]*\n)+", re.IGNORECASE)
_COLUMNS = 8


def recognise(folder: Folder) -> bool:
    return bool(documents(folder))


def documents(folder: Folder) -> list[str]:
    """The label files; one that is empty, or that has the name of an image, counts where others are beside it."""
    texts = {path: folder.peek(path) or "" for path in folder.with_suffix(".txt")}
    found = {path for path, text in texts.items() if _is_document(text)}
    places = {path.rpartition("/")[0] for path in found}
    kinds = {place.rpartition("/")[2] for place in places}  # such as labelTxt
    places |= {part for path in texts if (part := path.rpartition("/")[0]).rpartition("/")[2] in kinds - {""}}
    stems = {path.rpartition("/")[2].rpartition(".")[0] for path in folder.image_files} if found else set()
    return [
        path
        for path, text in texts.items()
        if path in found
        or (
            path.rpartition("/")[0] in places
            and (
                path.rpartition("/")[2].rpartition(".")[0] in stems
                or not _HEAD.sub("", text, count=1).strip()
            )
        )
    ]


def _is_document(text: str) -> bool:
    head = _HEAD.match(text)
    rest = text[head.end() :] if head is not None else text.removeprefix("\ufeff")
    return _ROW.match(rest.lstrip()) is not None


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    labelled: Counter[str] = Counter()
    used: set[str] = set()
    for path in documents(folder):
        stem = path.rpartition("/")[2].rpartition(".")[0]
        names = [name for suffix in sorted(IMAGE_SUFFIXES) for name in (stem + suffix, stem + suffix.upper())]
        image_file = next(
            (found for name in names if (found := folder.image_file(name, path)) is not None), None
        )
        if image_file is None:
            present = next((name for name in names if folder.has_named(name)), f"{stem}.png")
            folder.missing_image(present, folder.root / path)
            continue
        boxes = [
            box for line, text in _lines(folder, path) if (box := _box(folder, path, line, text)) is not None
        ]
        classes.update(dict.fromkeys(box.name for box in boxes))
        relative = image_file.relative_to(folder.root).as_posix()
        used.add(relative)
        labelled[relative.rpartition("/")[0]] += 1
        entry = folder.entry(image_file, boxes, subset=_subset(relative), source=folder.root / path)
        if entry is not None:
            images.append(entry)
    images += _backgrounds(folder, used, labelled)
    return DetectionDataset("dota", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _backgrounds(folder: Folder, used: set[str], labelled: Counter[str]) -> list[ImageEntry]:
    """Images without a label file beside images that have one."""
    left = [path for path in folder.image_files if path not in used and labelled[path.rpartition("/")[0]]]
    if left:
        verb = "has" if len(left) == 1 else "have"
        shown = f'{amount(len(left), "image")}, such as "{printable(left[0])}",'
        message = f"{shown} {verb} no label file: used as background images"
        folder.warning("label-missing", message, folder.root / left[0])
    entries = (folder.entry(folder.root / path, (), subset=_subset(path)) for path in left)
    return [entry for entry in entries if entry is not None]


def _subset(path: str) -> str:
    return subset_of(path.rpartition("/")[0] + "/x")


def _lines(folder: Folder, path: str) -> list[tuple[int, str]]:
    lines = enumerate((folder.text(path) or "").splitlines(), start=1)
    return [(at, line) for at, line in lines if line.strip() and not _HEAD.match(line + "\n")]


def _box(folder: Folder, path: str, line: int, text: str) -> Box | None:
    words = text.split()
    values = [value for value in map(number, words[:_COLUMNS]) if value is not None]
    if len(values) < _COLUMNS or len(words) not in (_COLUMNS + 1, _COLUMNS + 2):
        message = f'an object needs x and y of four corners and a class, not "{printable(text.strip())[:60]}"'
        folder.error("dota-line", message, folder.root / path, line, 1)
        return None
    points = list(zip(values[::2], values[1::2], strict=True))
    if not is_upright(points):
        folder.note_box("box-rotated", "oriented box", folder.root / path, line)
    is_marked = len(words) > _COLUMNS + 1 and words[-1] != "0"
    extra = {"difficult": words[-1]} if is_marked else None
    return Box(words[_COLUMNS], *bounding_box(points), segmentation=[values], line=line, extra=extra)
