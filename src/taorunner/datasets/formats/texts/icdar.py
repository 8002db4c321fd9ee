"""Outlines of texts as ICDAR has them: a text file for each image, a line for each text.

A line is ``x1,y1,x2,y2,x3,y3,x4,y4,text``; the text may have commas, and ``###`` is one that cannot be read. The file
is called ``gt_<name of the image>.txt`` or as the image. Also read: the script before the text (MLT, of
ICDAR 2017 and 2019), and two corners with a quoted text (ICDAR 2013).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from taorunner.datasets.files.names import subset_in
from taorunner.datasets.files.numbers import number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.texts import OUTLINES, Text, TextDataset, TextImage
from taorunner.text import amount, printable

_NUMBER = r"\s*-?\d{1,9}(?:\.\d{1,20})?\s*"
_ROW = re.compile(rf"\ufeff?{_NUMBER}(?:,{_NUMBER}){{7}},(.*)")
_TWO_CORNERS = re.compile(rf'\ufeff?{_NUMBER}(?:[, ]{_NUMBER}){{3}}[, ]\s*"(.*)"\s*\Z')
_SPLIT = re.compile(r"[,\s]+")
_BESIDE = re.compile(
    r"(^|/)(_?classes|characters?|char_?list|readme[^/]*|licen[cs]e[^/]*|notice)\.txt$", re.IGNORECASE
)
_PREFIX = "gt_"
_LOOKED_AT = 5
_SCRIPTS = frozenset({
    "arabic", "bangla", "chinese", "devanagari", "hindi", "japanese", "korean", "latin", "mixed", "none", "symbols",
})  # fmt: skip
"""Names before the text in the files of ICDAR MLT."""


@dataclass(slots=True)
class _Read:
    """What is counted over the whole dataset."""

    images: list[TextImage] = field(default_factory=list)
    rectangles: int = 0


def recognise(folder: Folder) -> bool:
    return bool(_label_folders(folder))


def read(folder: Folder) -> TextDataset:
    made = _Read()
    parents = _label_folders(folder)
    by_stem = _images_by_stem(folder)
    paired: dict[str, str] = {}
    for path in folder.with_suffix(".txt"):
        if path.rpartition("/")[0] not in parents or _BESIDE.search(path):
            continue
        image = _image_of(path, by_stem)
        if image is None:
            folder.error("label-without-image", "there is no image for this file of outlines", folder.root / path,
                         hint="add the image, or delete the file")  # fmt: skip
        elif image in paired:
            message = f'"{printable(paired[image])}" has outlines of the same image'
            folder.error("label-twice", message, folder.root / path, hint="keep one of the two files")
        else:
            paired[image] = path
    _add_images(folder, made, paired)
    if made.rectangles:
        message = f"two corners of {amount(made.rectangles, 'text')} became four, as OCDNet reads them"
        folder.report_info("corners-completed", message, folder.root)
    images = _without_scripts(folder, made.images)
    return TextDataset("icdar", OUTLINES, folder.root, tuple(images), (), tuple(folder.findings))


def _add_images(folder: Folder, made: _Read, paired: dict[str, str]) -> None:
    with_labels = {path.rpartition("/")[0] for path in paired}
    bare = Counter(path.rpartition("/")[0] for path in folder.image_files if path not in paired)
    for path in folder.image_files:
        label = paired.get(path)
        parent = path.rpartition("/")[0]
        if label is None and parent not in with_labels:
            continue
        header = folder.header(folder.root / path)
        texts = _texts(folder, label, made) if label is not None else ()
        if header is None or texts is None:
            continue
        source = folder.root / (label or path)
        subset = subset_in(path) or subset_in(label or "")
        made.images.append(TextImage(folder.root / path, header.width, header.height, texts, subset, source))
    for parent, count in sorted(bare.items()):
        one = next(
            path for path in folder.image_files if path.rpartition("/")[0] == parent and path not in paired
        )
        if parent in with_labels:
            message = f'{amount(count, "image")} without a file of outlines, such as "{printable(one)}": '
            folder.warning(
                "image-without-label", message + "taken as images without a text", folder.root / one
            )
        else:
            message = (
                f'none of the {amount(count, "image")} in "{printable(parent or ".")}" has a file of outlines'
            )
            folder.error("images-without-labels", message, folder.root / one,
                         hint="add the files, or move the images away; --skip-bad leaves them out")  # fmt: skip


def _texts(folder: Folder, path: str, made: _Read) -> tuple[Text, ...] | None:
    """None (and findings) when a line cannot be read: its image must not be trained on without this text."""
    rows = folder.text(path)
    if rows is None:
        return None
    found = []
    for line, row in enumerate(rows.split("\n"), start=1):
        row = row.strip("\r\ufeff")
        if row.strip():
            found.append(_text_of(folder, path, line, row, made))
    texts = tuple(text for text in found if text is not None)
    return texts if len(texts) == len(found) else None


def _text_of(folder: Folder, path: str, line: int, row: str, made: _Read) -> Text | None:
    place = folder.root / path
    parts = row.split(",")
    corners = tuple(value for value in map(number, parts[:8]) if value is not None)
    if len(corners) == 8 and len(parts) > 8:
        more = [number(part) for part in parts[8:12]]
        if len(more) == 4 and None not in more:
            message = "the outline has more than four corners, which ICDAR's lines do not have"
            folder.error("outline-corners", message, place, line, 1, hint="draw four corners")
            return None
        return Text(",".join(parts[8:]).strip(), corners, line)
    two = _TWO_CORNERS.match(row)
    if two is not None:
        values = [number(part) for part in _SPLIT.split(row.strip())[:4]]
        if None not in values:
            left, top, right, bottom = (value or 0.0 for value in values)
            made.rectangles += 1
            return Text(two[1], (left, top, right, top, right, bottom, left, bottom), line)
    if len(corners) == 8:
        folder.error("text-missing", "there is no text after the eight numbers", place, line, 1,
                     hint="add a comma and the text, or ### where it cannot be read")  # fmt: skip
    else:
        shown = printable(row)[:60]
        folder.error("outline-line", f'eight numbers and a text should be here, not "{shown}"', place, line, 1,
                     hint="x1,y1,x2,y2,x3,y3,x4,y4,text")  # fmt: skip
    return None


def _without_scripts(folder: Folder, images: list[TextImage]) -> list[TextImage]:
    """Takes away the script before each text, where every text has one."""
    texts = [text.text for image in images for text in image.texts]
    if not texts or not all(text.partition(",")[0].lower() in _SCRIPTS and "," in text for text in texts):
        return images
    message = (
        f'the scripts of {amount(len(texts), "text")} are left out, such as "{texts[0].partition(",")[0]}"'
    )
    folder.warning("scripts-left-out", message, images[0].source or folder.root)
    return [
        replace(image, texts=tuple(replace(text, text=text.text.partition(",")[2]) for text in image.texts))
        for image in images
    ]


def _label_folders(folder: Folder) -> set[str]:
    """Folders with text files of this form: a few of each are looked at."""
    looked_at: Counter[str] = Counter()
    found: set[str] = set()
    by_stem: dict[str, list[str]] | None = None
    for path in folder.with_suffix(".txt"):
        parent, _, name = path.rpartition("/")
        if parent in found or looked_at[parent] >= _LOOKED_AT or _BESIDE.search(path):
            continue
        looked_at[parent] += 1
        rows = [row for row in (folder.peek(path) or "").splitlines() if row.strip()][:20]
        texts = [match[1] for match in map(_ROW.match, rows) if match is not None]
        if name.lower().startswith(_PREFIX):
            is_fit = bool(texts) or any(map(_TWO_CORNERS.match, rows))
        else:
            is_fit = any(text.strip() and number(text) is None and text.strip(", ") for text in texts)
            is_fit = is_fit and any(number(text.partition(",")[0]) is None for text in texts)
        if is_fit:
            by_stem = _images_by_stem(folder) if by_stem is None else by_stem
            if _image_of(path, by_stem) is not None:
                found.add(parent)
    return found


def _images_by_stem(folder: Folder) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in folder.image_files:
        found.setdefault(path.rpartition("/")[2].rpartition(".")[0], []).append(path)
    return found


def _image_of(path: str, by_stem: dict[str, list[str]]) -> str | None:
    """The image of a text file: of its stem, with or without ``gt_``; of several, the nearest one."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    plain = stem[len(_PREFIX) :] if stem.lower().startswith(_PREFIX) else stem
    found = by_stem.get(plain) or by_stem.get(stem) or []
    of_label = subset_in(path)
    found = [one for one in found if of_label in ("", subset_in(one)) or not subset_in(one)]
    if len(found) > 1:
        parent = path.rpartition("/")[0]
        above = parent.rpartition("/")[0]
        for near in (
            [one for one in found if one.rpartition("/")[0] == parent],
            [one for one in found if one.rpartition("/")[0].rpartition("/")[0] == above],
            [one for one in found if subset_in(one) == subset_in(path)],
        ):
            if len(near) == 1:
                return near[0]
        return None
    return found[0] if found else None
