"""What the paths of a dataset say: whether a file is an image, which subset it is of, what a reference means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlparse

from taorunner.datasets.files.image_header import IMAGE_SUFFIXES

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
               "test": "test", "testing": "test", "trainval": "trainval", "default": ""}  # fmt: skip
"""Names of subsets in other tools, and the names used here."""


def is_image(path: str) -> bool:
    return path[path.rfind(".") :].lower() in IMAGE_SUFFIXES


def subset_of(path: str) -> str:
    """The subset in a file's folders or name, as in ``instances_val.json`` or ``valid/x.json``; else ""."""
    parts = path.lower().split("/")
    stem = parts[-1].partition(".")[0]
    words = [*reversed(re.split(r"[_\-\d]+", stem)), *reversed(parts[:-1])]
    return next((SPLIT_NAMES[word] for word in words if SPLIT_NAMES.get(word)), "")


def subset_in(path: str) -> str:
    """The subset of the last word in ``path`` that names one, as in ``images/train2017``; else ""."""
    words = re.split(r"[/_\-.\d]+", path.lower())
    return next((SPLIT_NAMES[word] for word in reversed(words) if SPLIT_NAMES.get(word)), "")


def parents_of(path: str) -> list[str]:
    """The folders around ``path``, the outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def few_of_each(paths: Iterable[str], most: int = 20, depth: int = 4) -> Iterator[str]:
    """The first ``most`` paths of each folder that is less than ``depth`` folders deep."""
    counts: Counter[str] = Counter()
    for path in paths:
        parent = path.rpartition("/")[0]
        if counts[parent] < most and parent.count("/") < depth - 1:
            counts[parent] += 1
            yield path


def as_path(reference: str) -> str:
    """A path with slashes from a path of any system, or the address of a file."""
    if reference.startswith("file:"):
        reference = unquote(urlparse(reference).path)
        reference = reference[1:] if re.match(r"/[A-Za-z]:", reference) else reference
    elif "://" in reference:
        reference = unquote(urlparse(reference).path)
    return reference.replace("\\", "/")
