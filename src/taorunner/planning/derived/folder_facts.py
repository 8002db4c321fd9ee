"""Reads the facts of folders: of classes, of masks, and of lists of texts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from taorunner.datasets.files.image_header import ImageError, read_header
from taorunner.datasets.files.layout import files_in, folders_in, images_in
from taorunner.datasets.files.mask_reading import spread, values_in
from taorunner.datasets.files.pixels import has_pillow
from taorunner.datasets.writers.class_masks import CLASSES_FILE
from taorunner.errors import Finding, MachineError, Severity, UserFilesError
from taorunner.planning.derived.facts import Collected, SubsetFacts
from taorunner.planning.derived.label_files import size_of
from taorunner.text import printable
from taorunner.values.bounded_reading import TooMuchError, read_file

_MOST_MASKS = 400
"""Masks that are decoded, evenly spread."""
_MOST_SIZES = 200


def add_class_folders(to: Collected, subset: str, folder: Path, *, is_trained: bool) -> None:
    """A folder with one folder for each class. Raises UserFilesError where the training has none."""
    names = folders_in(folder)
    if is_trained and not names:
        raise _unread(folder, "no-classes", "there are no class folders in this folder")
    counts: Counter[str] = Counter()
    for name in names:
        pictures = images_in(folder / name)
        counts[name] = len(pictures)
        for picture in spread(pictures, max(1, _MOST_SIZES // len(names))):
            if (size := size_of(to, folder / name / picture)) is not None:
                to.sizes[size] += 1
        to.suffixes.update(Path(picture).suffix for picture in pictures)
    if is_trained:
        to.names |= dict.fromkeys(names)
    without_class = images_in(folder)
    to.suffixes.update(Path(picture).suffix for picture in without_class)
    to.subsets[subset] = SubsetFacts(counts.total() + len(without_class), counts)


def add_masks(to: Collected, subset: str, masks: Path, images: Path) -> None:
    """A folder of masks with the values of their pixels, and their names where a list of them lies in the dataset.

    Raises UserFilesError, and MachineError without Pillow."""
    names = images_in(masks)
    if not names and subset == "train":
        raise _unread(masks, "no-masks", "there are no masks in this folder")
    if names and not has_pillow():
        raise MachineError(
            "the values in masks cannot be read: Pillow is missing",
            hint="pip install 'taorunner[datasets]', then repeat the command",
        )
    listed = masks.parent.parent / CLASSES_FILE
    if listed.is_file():
        to.mask_names |= {(value,): name for value, name in enumerate(_text(listed).splitlines())}
    looked_at = spread(names, _MOST_MASKS)
    is_coloured = any(_is_coloured(masks / name) for name in looked_at)
    for name in looked_at:
        try:
            to.mask_values |= values_in(masks / name, coloured=is_coloured)
        except (OSError, ValueError, SyntaxError) as error:
            raise _unread(masks / name, "image-undecodable", f"the mask cannot be decoded: {error}") from None
    pictures = images_in(images)
    for picture in spread(pictures, _MOST_SIZES):
        if (size := size_of(to, images / picture)) is not None:
            to.sizes[size] += 1
    to.suffixes.update(Path(picture).suffix for picture in pictures)
    to.subsets[subset] = SubsetFacts(len(pictures))


def add_texts(to: Collected, subset: str, source: Path) -> None:
    """A list of images and texts with tabs between, or a folder of files with one text each."""
    if source.is_dir():
        texts = [_text(source / name).strip() for name in files_in(source) if name.endswith(".txt")]
    else:
        rows = [line.rstrip("\r\n").split("\t", 1) for line in _text(source).splitlines() if line.strip()]
        texts = [row[1] if len(row) > 1 else row[0].split(None, 1)[-1] for row in rows]
    to.longest_text = max([to.longest_text, *map(len, texts)])
    to.subsets[subset] = SubsetFacts(len(texts))


_MAX_LIST_BYTES = 64 * 1024**2


def _text(file: Path) -> str:
    try:
        return read_file(file, most_bytes=_MAX_LIST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError, TooMuchError) as error:
        raise _unread(file, "dataset-unread", f"the file cannot be read: {error}") from None


def _is_coloured(mask: Path) -> bool:
    try:
        header = read_header(mask)
    except (ImageError, OSError):
        return False
    return header.channels >= 3 and not header.palette


def _unread(path: Path, code: str, message: str) -> UserFilesError:
    hint = "taorunner dataset check DATASET says what is wrong in a dataset"
    finding = Finding(Severity.ERROR, code, message, hint, path)
    return UserFilesError(f'"{printable(str(path))}" cannot be read', findings=(finding,))
