"""Writes datasets of texts as OCDNet and OCRNet read them, and reads the written files again.

Source: tao-pytorch 7.0.1 cv/ocdnet/utils/util.py get_datalist, cv/ocrnet/dataloader/ocr_dataset.py RawGTDataset.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taorunner.datasets.model.annotations import ImageEntry
from taorunner.datasets.model.class_names import image_names
from taorunner.datasets.model.texts import ILLEGIBLE, OUTLINES, WORDS, TextImage

Named = Sequence[tuple[str, TextImage]]
LABELS, CHARACTERS = "labels.txt", "characters.txt"
CROPS = "crops.json"
"""File beside words that were cropped from images: the words of each image."""


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a network of texts reads them. ``images``: the folder of the images in a subset."""

    kind: str
    images: str
    write: Callable[[Path, Named], None]
    count: Callable[[Path], Counter[str]]


def text_image_names(
    to: str, images: Sequence[TextImage], root: Path, suffixes: Mapping[Path, str]
) -> list[str]:
    """A file name for each image in one folder. OCRNet reads none with blanks: they become ``_``."""
    if any(one.crop for one in images):
        names = _crop_names(images, root)
    else:
        names = image_names([_entry(one) for one in images], root, suffixes)
    if to != "ocrnet":
        return names
    taken = {name.rpartition(".")[0].lower() for name in names if not re.search(r"\s", name)}
    made = []
    for name in names:
        stem, _, suffix = name.rpartition(".")
        if re.search(r"\s", name):
            plain, number = re.sub(r"\s", "_", stem), 2
            stem = plain
            while stem.lower() in taken:
                stem, number = f"{plain}_{number}", number + 1
            taken.add(stem.lower())
        made.append(f"{stem}.{suffix}")
    return made


def _entry(image: TextImage) -> ImageEntry:
    return ImageEntry(image.path, image.width, image.height)


def _crop_names(images: Sequence[TextImage], root: Path) -> list[str]:
    """The name of the image with the number of the word on it."""
    by_path = {one.path: _entry(one) for one in images}
    stems = {
        path: name.rpartition(".")[0]
        for path, name in zip(by_path, image_names(by_path.values(), root), strict=True)
    }
    counts: Counter[Path] = Counter()
    taken: set[str] = set()
    names = []
    for one in images:
        while True:
            counts[one.path] += 1
            stem = f"{stems[one.path]}_{counts[one.path]}"
            if stem.lower() not in taken:
                break
        taken.add(stem.lower())
        names.append(f"{stem}.png")
    return names


def write_crops(root: Path, crops: Mapping[str, Sequence[str]]) -> None:
    """Writes which words were cropped from each image, so that a later split keeps them together."""
    if crops:
        (root / CROPS).write_text(json.dumps(crops, ensure_ascii=False, indent=1), encoding="utf-8")


def _write_outlines(folder: Path, images: Named) -> None:
    """A file for each image, also without a text: OCDNet stops at a missing one."""
    (folder / "gt").mkdir()
    for name, image in images:
        rows = "".join(
            f"{','.join(_number(value) for value in text.corners)},{text.text}\n" for text in image.texts
        )
        (folder / "gt" / f"gt_{name.rpartition('.')[0]}.txt").write_text(rows, encoding="utf-8", newline="\n")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else f"{value:.2f}"


def _count_outlines(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for path in (folder / "gt").iterdir():
        for row in path.read_text(encoding="utf-8").split("\n")[:-1]:
            text = ",".join(row.split(",")[8:])
            counts["illegible" if text in ILLEGIBLE else "text"] += 1
    return counts


def _write_words(folder: Path, images: Named) -> None:
    rows = "".join(f"{name}\t{image.texts[0].text}\n" for name, image in images)
    (folder / LABELS).write_text(rows, encoding="utf-8", newline="\n")


def _count_words(folder: Path) -> Counter[str]:
    """Only lines that are two words at white space, as OCRNet splits them."""
    rows = (folder / LABELS).read_text(encoding="utf-8").split("\n")
    return Counter(word=sum(len(row.split()) == 2 for row in rows))


def write_characters(root: Path, characters: Sequence[str]) -> None:
    """One a line, for all subsets: the place in the list is the class."""
    (root / CHARACTERS).write_text("".join(f"{one}\n" for one in characters), encoding="utf-8", newline="\n")


FORMS: Mapping[str, TextForm] = {
    "ocdnet": TextForm(OUTLINES, "img", _write_outlines, _count_outlines),
    "ocrnet": TextForm(WORDS, "", _write_words, _count_words),
}
TEXT_TARGETS = tuple(FORMS)
