"""Pairs images with their masks by the names of folders and files, in the layouts of public datasets.

Only paths are looked at. The layouts: ``images/x.jpg`` with ``masks/x.png`` (also with other words, such as
``JPEGImages`` and ``SegmentationClass``), ``train/x.png`` with ``trainannot/x.png``, ``x.jpg`` with ``x_mask.png``
beside it, and Cityscapes' ``leftImg8bit`` with ``gtFine``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from taorunner.datasets.files.names import SPLIT_NAMES

Key = tuple[str, str]
"""Subset and stem of an image."""
Role = Literal["image", "mask"]

_IMAGE_WORDS = frozenset({"images", "image", "img", "imgs", "jpegimages", "leftimg", "rgb"})
_MASK_WORDS = frozenset({
    "masks", "mask", "labels", "label", "annotations", "gt", "gtfine", "groundtruth", "segmentationclass",
    "segmentationclasspng",
})  # fmt: skip
_MASK_FOLDER = re.compile(r"(?P<image>.+?)[_ -]?(annot|masks?|labels?|gt|annotations?)\Z", re.IGNORECASE)
"""A folder of masks named after the folder of their images."""
_MASK_NAME = re.compile(
    r"(?P<image>.+?)[_-](masks?|gt|labels?|seg|segmentation|gtFine_labelIds|gtFine_labelTrainIds)\Z",
    re.IGNORECASE,
)
_OTHER_NAME = re.compile(r".+_gtFine_(instanceIds|color)\Z")
"""Cityscapes' files beside the masks of classes."""
_FIRST_WORD = re.compile(r"(image|img|gt|mask|label|seg)[_-](?=\d)", re.IGNORECASE)
_LAST_WORD = "_leftImg8bit"


@dataclass(slots=True)
class MaskPairs:
    """``images`` and ``masks``: all files with the same subset and stem. ``other``: files that are neither."""

    images: dict[Key, list[str]] = field(default_factory=dict)
    masks: dict[Key, list[str]] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)

    @property
    def are_most(self) -> bool:
        """True when at least half of the files that are an image or a mask belong together."""
        both = self.images.keys() & self.masks.keys()
        return bool(both) and 2 * len(both) >= max(len(self.images), len(self.masks))


def find_pairs(paths: Iterable[str]) -> MaskPairs:
    """``paths``: relative paths of images, masks included, with ``/``."""
    listed = list(paths)
    folders = {path.rpartition("/")[0].lower() for path in listed}
    stems = {path.rpartition(".")[0] for path in listed}
    found = MaskPairs()
    masks: list[tuple[str, str]] = []
    for path in listed:
        above, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        role = _role(above, folders)
        if role is None:
            role = _role_beside(above, stem, stems)
        if role == "image":
            key = (_subset(above), stem.removesuffix(_LAST_WORD))
            found.images.setdefault(key, []).append(path)
        elif role == "mask" and not _OTHER_NAME.fullmatch(stem):
            masks.append((path, stem))
        else:
            found.other.append(path)
    bare = _bare(found.images)
    for path, stem in masks:
        key = _key_of_mask((_subset(path.rpartition("/")[0]), stem), found.images, bare)
        found.masks.setdefault(key, []).append(path)
    return found


def _role(above: str, folders: set[str]) -> Role | None:
    """What the innermost folder with a known name holds; else what a folder with the name of another one holds."""
    for part in reversed(above.lower().split("/")):
        words = set(re.findall(r"[a-z]+", part))
        if words & _MASK_WORDS:
            return "mask"
        if words & _IMAGE_WORDS:
            return "image"
    known = _MASK_FOLDER.fullmatch(above.lower())
    if known and known["image"] in folders:
        return "mask"
    if above and any(
        other != above.lower() and (one := _MASK_FOLDER.fullmatch(other)) and one["image"] == above.lower()
        for other in folders
    ):
        return "image"
    return None


def _role_beside(above: str, stem: str, stems: set[str]) -> Role | None:
    """Roboflow's layout: the mask lies beside its image."""
    below = f"{above}/" if above else ""
    known = _MASK_NAME.fullmatch(stem)
    if known and below + known["image"] in stems:
        return "mask"
    return "image" if f"{below}{stem}_mask" in stems else None


def _subset(above: str) -> str:
    for part in above.lower().split("/"):
        known = _MASK_FOLDER.fullmatch(part)
        for word in (part, known["image"] if known else "", *re.split(r"[_\-\d]+", part)):
            if SPLIT_NAMES.get(word):
                return SPLIT_NAMES[word]
    return "train"


def _bare(images: Mapping[Key, object]) -> dict[Key, Key]:
    """The keys of images whose names begin with a word, such as ``image_0001``, by their names without it."""
    found: dict[Key, Key] = {}
    for key in images:
        found.setdefault((key[0], _FIRST_WORD.sub("", key[1], count=1)), key)
    return found


def _key_of_mask(key: Key, images: Mapping[Key, object], bare: Mapping[Key, Key]) -> Key:
    """The key of the image that the mask belongs to; its own where there is none."""
    if key in images:
        return key
    known = _MASK_NAME.fullmatch(key[1])
    if known and (key[0], known["image"]) in images:
        return key[0], known["image"]
    return bare.get((key[0], _FIRST_WORD.sub("", key[1], count=1)), key)
