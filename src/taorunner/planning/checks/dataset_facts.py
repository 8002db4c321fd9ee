"""Facts about a dataset on this host that spec checks need. Each is read once for all experiments that share it.

Counts and names only; ``dataset check`` checks the labels and images themselves. What cannot be read is unknown (None
or empty), never a finding. Paths are plain text, because they are compared thousands of times.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import stat
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from taorunner.contained_files import walk
from taorunner.datasets.files.image_header import IMAGE_SUFFIXES
from taorunner.datasets.files.layout import files_in, folders_in
from taorunner.progress.tfrecord_frames import BrokenRecordsError, count_records
from taorunner.values.bounded_reading import TooMuchError, parse_json, read_file
from taorunner.values.value import MutableValue, Value, field

MAX_LABEL_FILES = 500
"""This many files show the usual classes in a tenth of a second. With more files, a missing class is not reported."""
_MAX_CATEGORIES = 4 * 1024 * 1024
_MAX_LIST = 1024 * 1024
_NPY_HEAD = 4096
_WALKED_BYTES = 64 * 1024 * 1024
_NPY_SHAPE = re.compile(rb"'shape': \((\d{1,12}),")
_CATEGORIES = re.compile(rb'"categories"\s*:\s*\[')
_NO_IMAGES = re.compile(rb'"images"\s*:\s*\[\s*\]')
_FILE_NAMES = re.compile(rb'"file_name"\s*:')


class Labels(Value):
    """``classes`` in lower case, as TAO reads them; ``is_all`` is False when only a part of the files was read."""

    classes: frozenset[str]
    files: int
    is_all: bool


class DatasetFacts(MutableValue):
    _images: dict[str, Mapping[str, int]] = field(default_factory=dict)
    _folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _stems: dict[str, frozenset[str]] = field(default_factory=dict)
    _labels: dict[str, Labels | None] = field(default_factory=dict)
    _categories: dict[str, Mapping[int, str]] = field(default_factory=dict)
    _listed: dict[str, int | None] = field(default_factory=dict)
    _lines: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    _arrays: dict[str, int | None] = field(default_factory=dict)
    _maskless: dict[str, int | None] = field(default_factory=dict)
    _kind_of: dict[str, str | None] = field(default_factory=dict)
    _filled: dict[str, bool] = field(default_factory=dict)
    _broken: dict[str, str | None] = field(default_factory=dict)

    def pictures(self, folder: str) -> Mapping[str, int]:
        """The number of images of each suffix in ``folder``; upper and lower case are different suffixes."""
        if folder not in self._images:
            suffixes = (os.path.splitext(name)[1] for name in _names(folder))  # noqa: PTH122 (names, not paths)
            self._images[folder] = Counter(one for one in suffixes if one.lower() in IMAGE_SUFFIXES)
        return self._images[folder]

    def kind(self, path: str) -> str | None:
        """``folder`` or ``file``; None where nothing is, empty where it cannot be known."""
        if path not in self._kind_of:
            self._kind_of[path] = _kind(path)
        return self._kind_of[path]

    def is_empty(self, path: str) -> bool:
        """True for a file of no bytes, and for a folder in which nothing is."""
        if path not in self._filled:
            self._filled[path] = _is_filled(path)
        return not self._filled[path]

    def has_files(self, folder: str) -> bool:
        """Whether any file is in ``folder``, or deeper; True where it cannot be read."""
        key = f"{folder}/**"
        if key not in self._filled:
            unread: list[OSError] = []
            has_any = any(files for _, _, files in walk(Path(folder), unread.append))
            self._filled[key] = has_any or any(isinstance(one, PermissionError) for one in unread)
        return self._filled[key]

    def broken_records(self, file: str) -> str | None:
        """What is wrong with a file of TFRecords, as the rest of a sentence; None for other files and sound ones.

        Of a large file only the first record is looked at. Converters also write lists (``.json``) and indices
        (``idx-``).
        """
        name = file.rpartition("/")[2]
        if "tfrecord" not in name or name.endswith(".json") or name.startswith("idx-"):
            return None
        if file not in self._broken:
            self._broken[file] = _broken(file)
        return self._broken[file]

    def count(self, folder: str) -> int:
        """The number of images in ``folder``."""
        return sum(self.pictures(folder).values())

    def folders(self, folder: str) -> tuple[str, ...]:
        """The folders in ``folder``, sorted: the classes of a dataset for classification."""
        if folder not in self._folders:
            self._folders[folder] = tuple(folders_in(Path(folder)))
        return self._folders[folder]

    def labels(self, folder: str) -> Labels | None:
        """The classes in the KITTI labels of ``folder``; None when there are none."""
        if folder not in self._labels:
            names = [name for name in files_in(Path(folder)) if name.endswith(".txt")]
            self._labels[folder] = _labels(folder, names) if names else None
        return self._labels[folder]

    def stems(self, folder: str, *, is_label: bool) -> frozenset[str]:
        """The names without suffix of the images in ``folder``, or of its labels."""
        key = f"{folder}/*.{'txt' if is_label else 'image'}"
        if key not in self._stems:
            suffixes = (".txt",) if is_label else IMAGE_SUFFIXES
            parts = (os.path.splitext(name) for name in _names(folder))  # noqa: PTH122 (names, not paths)
            self._stems[key] = frozenset(stem for stem, suffix in parts if suffix.lower() in suffixes)
        return self._stems[key]

    def is_without_boxes(self, folder: str) -> bool:
        """True where every label of ``folder`` is empty; only of folders that are read whole."""
        labels = self.stems(folder, is_label=True)
        return 0 < len(labels) <= MAX_LABEL_FILES and self.labels(folder) is None

    def category_ids(self, file: str) -> tuple[int, ...]:
        """The ids of a COCO file's categories, sorted. Only that list is parsed, even in a large file."""
        return tuple(self.categories(file))

    def categories(self, file: str) -> Mapping[int, str]:
        """The names of a COCO file's categories by id, in the order of the ids."""
        if file not in self._categories:
            self._categories[file] = dict(sorted(_read_categories(file).items()))
        return self._categories[file]

    def listed_images(self, file: str) -> int | None:
        """The number of images that a COCO file lists, by their names; None when there is none to read."""
        if file not in self._listed:
            self._listed[file] = _matches(file, _FILE_NAMES)
        return self._listed[file]

    def lists_no_image(self, file: str) -> bool:
        """True for a COCO file whose list of images is there and empty."""
        key = f"{file}: images"
        if key not in self._listed:
            self._listed[key] = _matches(file, _NO_IMAGES, 1)
        return self._listed[key] == 1

    def lines(self, file: str) -> tuple[str, ...] | None:
        """The lines of a list of names, without blanks at their ends; None when there is none to read."""
        if file not in self._lines:
            self._lines[file] = _read_lines(file)
        return self._lines[file]

    def array_length(self, file: str) -> int | None:
        """The length of the first axis of an array that NumPy saved; None when there is none to read."""
        if file not in self._arrays:
            self._arrays[file] = _read_length(file)
        return self._arrays[file]

    def line_without_mask(self, file: str) -> int | None:
        """The first line of an ODVG file with an object that has no mask; only the beginning of the file is read."""
        if file not in self._maskless:
            self._maskless[file] = _read_maskless(file)
        return self._maskless[file]


def _kind(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a str)
    except PermissionError:
        return ""  # a container may run as another user
    except (OSError, ValueError):
        return None
    return "folder" if stat.S_ISDIR(mode) else "file"


def _is_filled(path: str) -> bool:
    try:
        state = os.stat(path)  # noqa: PTH116 (a str)
        if not stat.S_ISDIR(state.st_mode):
            return state.st_size > 0 or not stat.S_ISREG(state.st_mode)
        with os.scandir(path) as entries:
            return any(True for _ in entries)
    except OSError:
        return True  # not known


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (OSError, ValueError):  # no folder, or no path at all
        return []


def _labels(folder: str, names: list[str]) -> Labels | None:
    classes: set[bytes] = set()
    read = 0
    for name in names[:MAX_LABEL_FILES]:
        try:
            lines = read_file(Path(folder, name)).splitlines()
        except (OSError, TooMuchError):
            continue
        read += 1
        classes.update(line.split(None, 1)[0] for line in lines if line.strip())
    words = frozenset(one.decode("utf-8", "replace").lower() for one in classes)
    return Labels(words, read, read == len(names)) if words else None


def _read_lines(file: str) -> tuple[str, ...] | None:
    try:
        if not os.path.isfile(file) or os.path.getsize(file) > _MAX_LIST:  # noqa: PTH113, PTH202 (a str)
            return None
        return tuple(line.rstrip() for line in Path(file).read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):  # no text
        return None


def _beginning(file: str, size: int) -> bytes:
    """The first ``size`` bytes; none where there is no file to read."""
    if not os.path.isfile(file):  # noqa: PTH113 (a str); a pipe would be waited for
        return b""
    try:
        with Path(file).open("rb") as stream:
            return stream.read(size)
    except OSError:
        return b""


def _read_length(file: str) -> int | None:
    """Source: the format of ``.npy`` files in NumPy's manual: magic, version, size, a dict as text."""
    head = _beginning(file, _NPY_HEAD)
    match = _NPY_SHAPE.search(head) if head.startswith(b"\x93NUMPY") else None
    return int(match[1]) if match is not None else None


def _read_maskless(file: str) -> int | None:
    text = _beginning(file, _MAX_LIST)
    lines = text.splitlines()
    if len(text) == _MAX_LIST:  # the last line may be cut off
        del lines[-1]
    for number, line in enumerate(lines, start=1):
        try:
            read: Any = parse_json(line, finite=False) if line.strip() else None
        except ValueError:
            return None
        detection = read.get("detection") if isinstance(read, dict) else None
        objects = detection.get("instances") if isinstance(detection, dict) else None
        if isinstance(objects, list) and any(isinstance(one, dict) and "mask" not in one for one in objects):
            return number
    return None


def _read_categories(file: str) -> dict[int, str]:
    if not os.path.isfile(file):  # noqa: PTH113 (a str); a pipe would be waited for
        return {}
    try:
        with (
            Path(file).open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            match = _CATEGORIES.search(content)
            text = content[match.end() - 1 : match.end() + _MAX_CATEGORIES] if match else b""
        listed: Any = json.JSONDecoder().raw_decode(text.decode("utf-8", "replace"))[0]
    except (OSError, ValueError, RecursionError):  # an empty file cannot be mapped
        return {}
    known = [(one.get("id"), one.get("name")) for one in listed if isinstance(one, dict)]
    return {one: str(name) for one, name in known if isinstance(one, int) and not isinstance(one, bool)}


def _matches(file: str, pattern: re.Pattern[bytes], at_most: int | None = None) -> int | None:
    if not os.path.isfile(file):  # noqa: PTH113 (a str); a pipe would be waited for
        return None
    try:
        with (
            Path(file).open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return sum(1 for _ in islice(pattern.finditer(content), at_most))
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None


def _broken(file: str) -> str | None:
    path = Path(file)
    try:
        is_large = path.stat().st_size > _WALKED_BYTES
        count_records(path, at_most=1 if is_large else None)
    except BrokenRecordsError as problem:
        return str(problem)
    except FileNotFoundError:
        return "is a link to nothing"
    except OSError:
        return None
    return None
