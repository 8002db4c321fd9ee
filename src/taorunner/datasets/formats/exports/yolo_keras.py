"""Reads lists of images with their boxes in pixels: ``path x1,y1,x2,y2,class …``, a line an image.

keras-yolo3 and yolov4-pytorch train on them; Roboflow writes ``_annotations.txt`` with ``_classes.txt`` beside it.
"""

from __future__ import annotations

import re

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.errors import UserFilesError
from taorunner.text import amount, printable

_IMAGE = r"\S.{0,500}?\.(?:jpe?g|png|bmp|webp|tiff?)"
_NUMBER = r"-?\d{1,9}(?:\.\d{1,12})?"
_BOX = rf"{_NUMBER}(?:,{_NUMBER}){{3}},\d{{1,6}}"
_LIST = re.compile(rf"\A\s*{_IMAGE}(?: +{_BOX})*\s*$", re.MULTILINE | re.IGNORECASE)
_LINE = re.compile(rf"\s*(?P<image>{_IMAGE})(?P<boxes>(?: +\S+)*)\s*", re.IGNORECASE)
_WORD = re.compile(_BOX)
_CLASSES = re.compile(r"(^|/)[^/]*classes[^/]*\.txt\Z|\.names\Z", re.IGNORECASE)


def read(folder: Folder) -> DetectionDataset:
    """Raises UserFilesError when no text file is such a list with boxes."""
    texts = [path for path in folder.with_suffix(".txt") if not _CLASSES.search(path)]
    lists = [path for path in texts if _LIST.match(text := folder.text(path) or "") and "," in text]
    if not lists:
        raise UserFilesError(
            f'no text file in "{printable(str(folder.root))}" has lines of an image with its boxes',
            hint="if it is another format, give that with --from",
        )
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    for path in lists:
        names = _names(folder, path)
        classes.update(dict.fromkeys(names))
        for line, text in enumerate((folder.text(path) or "").splitlines(), start=1):
            entry = _entry(folder, path, line, text, names) if text.strip() else None
            if entry is not None:
                images.append(entry)
    return DetectionDataset("yolo-keras", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _names(folder: Folder, path: str) -> list[str]:
    """The class names beside the list, or in one of the folders above it."""
    found = [one for one in folder.other_files if _CLASSES.search(one)]
    place = path.rpartition("/")[0]
    while True:
        beside = [one for one in found if one.rpartition("/")[0] == place]
        if beside:
            lines = (folder.text(beside[0]) or "").rstrip().splitlines()
            return [line.strip() or f"class_{number}" for number, line in enumerate(lines)]
        if not place:
            break
        place = place.rpartition("/")[0]
    message = "there is no list of class names for its numbers"
    hint = "write classes.txt beside it, one name per line in the order of the numbers"
    folder.error("yolo-names", message, folder.root / path, hint=hint)
    return []


def _entry(folder: Folder, path: str, line: int, text: str, names: list[str]) -> ImageEntry | None:
    file = folder.root / path
    match = _LINE.fullmatch(text)
    if match is None:
        folder.error("list-line", f'not an image with boxes: "{printable(text)[:60]}"', file, line)
        return None
    image_file = folder.image_file(match["image"], path)
    if image_file is None:
        folder.missing_image(match["image"], file, line)
        return None
    boxes: list[Box] = []
    wrong = 0
    for word in match["boxes"].split():
        if not _WORD.fullmatch(word):
            message = f'not a box of four corners and a class: "{printable(word)[:60]}"'
            folder.error("list-line", message, file, line)
            wrong += 1
            continue
        *corners, number = word.split(",")
        if int(number) >= len(names):
            wrong += 1
            if names:
                message = f'the class is "{number}", but there are {amount(len(names), "class name")}'
                folder.error("yolo-class", message, file, line)
            continue
        left, top, right, bottom = map(float, corners)
        boxes.append(Box(names[int(number)], left, top, right, bottom, line=line))
    if wrong and not boxes:
        folder.report_no_boxes_left(match["image"], file, line)
    return folder.entry(image_file, boxes, subset=subset_of(path), source=file)
