"""Finds the subsets of a dataset folder: image folders with their label, mask or class folders.

Only names are read. Other formats (COCO, VOC, YOLO, VoTT) have no subsets of this kind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from taorunner.datasets.files.image_header import IMAGE_SUFFIXES
from taorunner.text import printable
from taorunner.values.value import Value

LABEL_PAIRS = (("image_2", "label_2"), ("images", "labels"))
_MASK_FOLDER = "masks"
_DEPTH = 3
_MAX_DEPTH = 12
_SUBSETS = ("train", "training", "val", "valid", "validation", "test", "testing")
PARTS_OF_FORMATS = frozenset({
    "images", "image", "jpegimages", "masks", "mask", "labels", "annotations", "image_2", "label_2", "imagesets",
})  # fmt: skip
_NO_CLASSES = PARTS_OF_FORMATS | set(_SUBSETS)


class Subset(Value):
    """``name``: path relative to the root, empty for the root itself. ``labels``: the folder of ``<stem>.txt``."""

    name: str
    images: Path
    labels: Path


def find_kitti(root: Path) -> list[Subset]:
    """Every pair of image and label folders below ``root``, sorted by name."""
    found: list[Subset] = []
    _search(root, root, _DEPTH, found)
    found = [subset for subset in found if not _holds_masks(subset.labels)]
    return sorted(found, key=lambda subset: subset.name)


def _holds_masks(labels: Path) -> bool:
    """True when the label folder holds images, which are masks."""
    return bool(images_in(labels)) and not any(name.endswith(".txt") for name in files_in(labels))


def unpaired(subsets: Sequence[Subset]) -> tuple[list[Path], list[Path]]:
    """Image folders without a label folder, and label folders without an image folder."""
    without_labels: set[Path] = set()
    without_images: set[Path] = set()
    both = {
        (subset.images.parent, subset.labels.parent)
        for subset in subsets
        if subset.labels.name == subset.images.name
    }
    for images, labels in both:
        here, there = set(folders_in(images)), set(folders_in(labels))
        without_labels |= {images / name for name in here - there if images_in(images / name)}
        without_images |= {
            labels / name
            for name in there - here
            if any(file.endswith(".txt") for file in files_in(labels / name))
        }
    return sorted(without_labels), sorted(without_images)


def find_masks(root: Path) -> list[Subset]:
    """Subsets of a segmentation dataset: ``images/<subset>`` with ``masks/<subset>``, ``images`` with ``masks``, or
    ``<subset>/images`` with ``<subset>/masks``."""
    images, masks = root / "images", root / _MASK_FOLDER
    if not (images.is_dir() and masks.is_dir()):
        pairs = [(name, root / name / "images", root / name / _MASK_FOLDER) for name in folders_in(root)]
        return [Subset(*pair) for pair in pairs if pair[1].is_dir() and pair[2].is_dir()]
    names = sorted(name for name in folders_in(images) if (masks / name).is_dir())
    return [Subset(name, images / name, masks / name) for name in names] or [Subset("", images, masks)]


def find_class_folders(root: Path) -> dict[str, list[str]]:
    """Classes by split of the layout ``<split>/<class>/`` (ImageFolder), under "" for ``<class>/``; empty for other
    layouts."""
    top = folders_in(root)
    splits = {name: folders_in(root / name) for name in top}
    splits = {name: classes for name, classes in splits.items() if classes}
    if sum(name.lower() in PARTS_OF_FORMATS for name in top) > 1:
        return {}  # images beside masks or labels
    filled = [name for name in top if images_in(root / name)]
    others = (name for name in top if name not in filled)
    is_flat = len(filled) > 1 and not any(
        files_in(root / name) for name in others
    )  # a class may be empty yet
    if not splits and is_flat and not images_in(root):
        return {"": top} if not any(name.lower() in _NO_CLASSES for name in top) else {}
    has_images = any(
        images_in(root / split / name) for split, classes in splits.items() for name in classes[:5]
    )
    return splits if has_images else {}


def has_format_folders(splits: Mapping[str, Sequence[str]]) -> bool:
    """True when a "class" has the name of a part of another layout, such as ``image_2`` or ``masks``."""
    return any(name.lower() in _NO_CLASSES for names in splits.values() for name in names)


def images_in(folder: Path) -> list[str]:
    """Names of the images directly in ``folder``, sorted."""
    return [name for name in files_in(folder) if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES]  # noqa: PTH122


def files_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if not e.name.startswith(".") and is_file(e))
    except (OSError, ValueError):  # not a folder, or not a valid path
        return []


def folders_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                e.name for e in entries if not e.name.startswith(".") and is_folder(e) and not leads_back(e)
            )
    except (OSError, ValueError):  # not a folder, or not a valid path
        return []


def files_below(
    root: Path, error: Callable[[str, str, Path], None], warning: Callable[[str, str, Path], None]
) -> Iterator[str]:
    """Paths relative to ``root``, with ``/`` and in no order, of all files but hidden ones, pipes and devices.

    ``error`` and ``warning`` take code, message and place of what is left out."""
    pending = [("", 0)]
    while pending:
        below, depth = pending.pop()
        try:
            entries = list(os.scandir(root / below))
        except OSError as problem:
            error("unreadable", f"cannot be listed: {(problem.strerror or 'unknown').lower()}", root / below)
            continue
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name == "__MACOSX":
                continue
            path = f"{below}/{name}" if below else name
            if is_file(entry):
                yield path
            elif is_special(entry):
                continue
            elif not is_folder(entry):
                yield path
            elif leads_back(entry):
                message = f'"{printable(path)}" is a link to a parent folder: not followed'
                warning("link-loop", message, root / path)
            elif depth < _MAX_DEPTH:
                pending.append((path, depth + 1))
            else:
                error("too-deep", f"folders deeper than {_MAX_DEPTH} are not read", root / path)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Follows links; False for a link to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_special(entry: os.DirEntry[str]) -> bool:
    """A pipe, a socket or a device: to read one may never end."""
    try:
        if entry.is_file() or entry.is_dir():
            return False
    except OSError:  # a link to itself
        return False
    return not entry.is_symlink() or os.path.exists(entry.path)  # noqa: PTH110 (a str)


def leads_back(entry: os.DirEntry[str]) -> bool:
    """True for a link to a parent folder, which would be followed endlessly."""
    if not entry.is_symlink():
        return False
    above = os.path.realpath(os.path.dirname(entry.path))  # noqa: PTH120
    target = os.path.realpath(entry.path)
    return above == target or above.startswith(target.rstrip("/") + "/")


def is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _search(root: Path, folder: Path, depth: int, found: list[Subset]) -> None:
    for image_name, label_name in LABEL_PAIRS:
        images, labels = folder / image_name, folder / label_name
        if not (images.is_dir() and labels.is_dir()):
            continue
        name = "" if folder == root else folder.relative_to(root).as_posix()
        inner = [part for part in folders_in(images) if (labels / part).is_dir()]
        if inner and not images_in(images):
            found += [
                Subset("/".join(filter(None, (name, part))), images / part, labels / part) for part in inner
            ]
        else:
            found.append(Subset(name, images, labels))
        return
    if depth:
        for part in folders_in(folder):
            _search(root, folder / part, depth - 1, found)
