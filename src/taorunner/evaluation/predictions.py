"""Reads the boxes that a detector wrote: folders of KITTI label files with a score, or a JSON file in the form of COCO.

KITTI's line has 15 columns; TAO's inference adds the score as the 16th (``networks NAME`` names the folder). Lines are
read from their end, because a class name may contain blanks. COCO's form is a list of ``{image_id, category_id, bbox,
score}``, or a whole document whose annotations have a score.
"""

from __future__ import annotations

import math
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os.path import normpath, splitext
from pathlib import Path
from typing import Any

from taorunner.contained_files import matches, open_file, opened_folders
from taorunner.errors import Finding, Severity, UnknownNameError, UserFilesError
from taorunner.text import amount, printable
from taorunner.values.bounded_reading import JsonError, TooMuchError, read_json

_COLUMNS = 15
"""After the class name: 14 numbers of KITTI and the score."""
_MOST_LABEL_BYTES = 8 * 1024**2
_MOST_FILES, _MOST_BOXES, _MOST_NAMES, _LONGEST_NAME = 500_000, 20_000_000, 10_000, 200
"""A container wrote them: its label files are neither without end nor as long as it likes."""
MOST_BYTES = 512 * 1024**2
"""Of a JSON file. It takes up to 20 times that memory."""
_FARTHEST = 1e9
"""Pixels. The area of a larger box is no number any more."""
_FOLDERS = ("labels", "inference/labels", "predictions")
"""Where TAO's inference puts its label files, below the folder that a person may name."""


@dataclass(slots=True)
class Predictions:
    """Boxes in columns, in absolute pixels of the image after EXIF rotation. ``keys`` has a place for each image that
    was inferred, also for those without a box; ``image`` and ``name`` are places in ``keys`` and ``names``."""

    keys: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    image: array[int] = field(default_factory=lambda: array("I"))
    name: array[int] = field(default_factory=lambda: array("I"))
    corners: tuple[array[float], ...] = field(default_factory=lambda: tuple(array("d") for _ in range(4)))
    scores: array[float] = field(default_factory=lambda: array("d"))
    findings: list[Finding] = field(default_factory=list)
    tells_inferred: bool = True
    """Whether a missing key means that the image was not inferred. A JSON file has only images with boxes."""

    def __len__(self) -> int:
        return len(self.scores)

    def add(self, image: int, name: int, corners: tuple[float, float, float, float], score: float) -> None:
        self.image.append(image)
        self.name.append(name)
        for column, value in zip(self.corners, corners, strict=True):
            column.append(value)
        self.scores.append(score)


class _Names(dict[str, int]):
    """The place of each class name, in the order in which they are met."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


def read_predictions(
    place: Path,
    truth: Mapping[str, Any] | None = None,
    *,
    since_s: float = 0.0,
    root: Path | None = None,
) -> Predictions:
    """The boxes of a folder of label files, or of a JSON file.

    ``truth`` is the COCO document whose numbers the latter uses; label files from before ``since_s``, in seconds of the
    epoch, are left out. ``root`` is the folder below which no link is followed, by default ``place``.
    Raises UserFilesError when nothing can be read; single bad lines are left out with a finding.
    """
    if place.is_dir():
        return _read_folder(root or place, place, since_s)
    if not place.is_file():
        raise UnknownNameError(
            f'there is no "{printable(str(place))}"',
            hint="name the folder of labels that the inference wrote",
        )
    if place.suffix.lower() != ".json":
        raise UserFilesError(
            f'"{printable(place.name)}" is no folder of label files and no JSON file',
            hint="name the folder of labels that the inference wrote, or a COCO results file",
        )
    return _read_json(place, truth)


def label_folder(root: Path, place: Path) -> Path:
    """The folder with label files: ``place`` itself, or the one that TAO's inference makes below it."""
    for folder in (place, *(place / name for name in _FOLDERS)):
        if matches(root, f"{folder.relative_to(root).as_posix()}/*.txt"):
            return folder
    return place


def _label_files(root: Path, folder: Path) -> list[Path]:
    found: list[Path] = []
    for below, _, _, names in opened_folders(root, folder):
        found += (below / name for name in names if name.endswith(".txt"))
        if len(found) > _MOST_FILES:
            raise UserFilesError(
                f'more than {_MOST_FILES:,} label files are in "{printable(str(folder))}"',
                hint="name the folder of labels that the inference wrote: …/inference/labels",
            )
    return sorted(found)


def _read_folder(root: Path, place: Path, since_s: float) -> Predictions:
    folder = label_folder(root, place)
    files = _label_files(root, folder)
    if not files:
        raise UserFilesError(
            f'there is no label file (.txt) in "{printable(str(place))}"',
            hint="name the folder of labels that the inference wrote: …/inference/labels",
        )
    made, names, problems, earlier = Predictions(), _Names(), _Problems(), 0
    for path in files:
        descriptor = open_file(root, path)
        if descriptor is None:
            problems.add("no-file", path, None)
            continue
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(descriptor).st_mtime < since_s:
                earlier += 1
                continue
            made.keys.append(path.relative_to(folder).with_suffix("").as_posix())
            data = file.read(_MOST_LABEL_BYTES + 1)
        _read_labels(path, data, made, names, problems)
    if earlier:
        message = f"{amount(earlier, 'label file')} of an earlier inference left out"
        made.findings.append(Finding(Severity.WARNING, "prediction-earlier", message, file=folder))
    made.names = list(names)
    made.findings += problems.findings()
    if problems.counts["no-score"] and not len(made):
        raise UserFilesError(
            f"no label file has scores: {printable(str(folder))}", findings=made.findings,
            hint="name the labels that the inference wrote; those of a dataset are given with --truth",
        )  # fmt: skip
    return made


def _read_labels(path: Path, data: bytes, made: Predictions, names: _Names, problems: _Problems) -> None:
    image = len(made.keys) - 1
    if len(data) > _MOST_LABEL_BYTES:
        problems.add("large-file", path, None)
        return
    if len(made) > _MOST_BOXES:
        raise UserFilesError(
            f"there are more than {_MOST_BOXES:,} predictions", hint="infer with a higher --min-score"
        )
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        columns = line.split()
        if not columns:
            continue
        if len(columns) <= _COLUMNS:
            problems.add("no-score" if len(columns) == _COLUMNS else "bad-line", path, number)
            continue
        read, name = _numbers(columns[-_COLUMNS:]), " ".join(columns[:-_COLUMNS])
        if read is None or len(name) > _LONGEST_NAME:
            problems.add("bad-line", path, number)
        elif not _is_box(corners := (read[3], read[4], read[5], read[6])):
            problems.add("bad-box", path, number)
        elif name not in names and len(names) >= _MOST_NAMES:
            problems.add("many-classes", path, number)
        else:
            made.add(image, names[name], corners, read[-1])


def _numbers(words: list[str]) -> tuple[float, ...] | None:
    """Finite numbers, or None."""
    try:
        read = tuple(map(float, words))
    except ValueError:
        return None
    return read if all(map(math.isfinite, read)) else None


def _is_box(corners: tuple[float, float, float, float]) -> bool:
    x_min, y_min, x_max, y_max = corners
    return x_min <= x_max and y_min <= y_max and all(abs(value) <= _FARTHEST for value in corners)


@dataclass(slots=True)
class _Problems:
    """What was left out: how often, and where first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[Path, int | None]] = field(default_factory=dict)

    def add(self, code: str, path: Path, line: int | None) -> None:
        self.counts[code] += 1
        self.first.setdefault(code, (path, line))

    def findings(self) -> Iterator[Finding]:
        for code, count in self.counts.items():
            said, hint = _SAID[code]
            path, line = self.first[code]
            message = f"{amount(count, 'prediction')} left out: {said}"
            yield Finding(Severity.WARNING, f"prediction-{code}", message, hint, path, line)


_SAID = {
    "no-score": ("without a score, KITTI's 16th column", "give the labels of an inference"),
    "bad-line": ("the line is not that of KITTI with a score", "a class name, 14 numbers, and the score"),
    "bad-box": (
        "the corners are swapped, too far away, or no numbers",
        "correct what writes the predictions",
    ),
    "large-file": ("the label file is larger than 8 MiB", "write the labels again"),
    "no-file": ("a link, or what cannot be read, is in the place of a label file", "look at it: ls -l"),
    "many-classes": (f"there are more than {_MOST_NAMES:,} class names", "give the labels of an inference"),
    "unknown-image": ("the truth has no image of that number", "give the dataset that the results are of"),
    "unknown-category": (
        "the truth has no category of that number",
        "give the dataset that the results are of",
    ),
}


def _read_json(path: Path, truth: Mapping[str, Any] | None) -> Predictions:
    try:
        document = read_json(path, most_bytes=MOST_BYTES)
    except (JsonError, TooMuchError) as error:
        raise UserFilesError(
            f'"{printable(path.name)}" cannot be read: {error.message}', hint="write the results again"
        ) from None
    if isinstance(document, Mapping):
        truth, rows = document, document.get("annotations")
    else:
        rows = document
    if not isinstance(rows, list) or (rows and not isinstance(rows[0], Mapping)):
        raise UserFilesError(
            f'"{printable(path.name)}" has no list of detections',
            hint='a list of {"image_id", "category_id", "bbox", "score"}',
        )
    if truth is None:
        raise UserFilesError(
            f'"{printable(path.name)}" has numbers of images and classes; the truth has none',
            hint="give the dataset whose COCO file the results are of: --truth DATASET",
        )
    return _from_rows(path, rows, truth)


def _from_rows(path: Path, rows: list[Any], truth: Mapping[str, Any]) -> Predictions:
    made, problems = Predictions(tells_inferred=False), _Problems()
    images, categories = _by_id(truth, "images", "file_name"), _by_id(truth, "categories", "name")
    keys, names = _Names(), _Names()
    for row in rows:
        image = _looked_up(images, row, "image_id")
        if image is None:
            problems.add("unknown-image", path, None)
            continue
        name = _looked_up(categories, row, "category_id")
        if name is None:
            problems.add("unknown-category", path, None)
            continue
        box, score = row.get("bbox"), row.get("score")
        read = _numbers([str(one) for one in (*box, score)]) if isinstance(box, list) else None
        if read is None or len(read) != 5:
            problems.add("no-score" if score is None else "bad-box", path, None)
            continue
        left, top, width, height, value = read
        corners = (left, top, left + width, top + height)
        if not _is_box(corners):
            problems.add("bad-box", path, None)
        else:
            key = normpath(splitext(image)[0])  # noqa: PTH122 (a text)
            made.add(keys[key], names[name], corners, value)
    made.keys, made.names = list(keys), list(names)
    made.findings += problems.findings()
    if not len(made):
        raise UserFilesError(
            f'no detection of "{printable(path.name)}" can be used', findings=made.findings,
            hint="give the dataset whose COCO file the results are of: --truth DATASET",
        )  # fmt: skip
    return made


def _looked_up(by_id: Mapping[Any, str], row: Any, key: str) -> str | None:
    value = row.get(key) if isinstance(row, Mapping) else None
    return by_id.get(value) if isinstance(value, int | str) else None


def _by_id(document: Mapping[str, Any], key: str, value: str) -> dict[Any, str]:
    rows = document.get(key)
    return {
        row["id"]: row[value]
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping)
        and isinstance(row.get(value), str)
        and isinstance(row.get("id"), int | str)
    }
