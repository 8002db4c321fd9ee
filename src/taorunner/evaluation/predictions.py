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
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from taorunner.contained_files import matches, open_file, opened_folders
from taorunner.errors import Finding, Severity, UnknownNameError, UserFilesError
from taorunner.text import amount, printable
from taorunner.values.value import Value

_NOTHING = "Empty"
"""The line of Mask Grounding DINO for an image in which nothing was found.
Source: NVIDIA-TAO/tao-pytorch cv/mask_grounding_dino/model/post_process.py."""
_COLUMNS = 15
"""After the class name: 14 numbers of KITTI and the score."""
MOST_LABEL_BYTES = 8 * 1024**2
MOST_FILES, _MOST_BOXES, MOST_NAMES, LONGEST_NAME = 500_000, 20_000_000, 10_000, 200
"""A container wrote them: its label files are neither without end nor as long as it likes."""
MOST_BYTES = 512 * 1024**2
"""Of a JSON file, and of the JSON files of all images together. They take up to 20 times that memory."""
_FARTHEST = 1e9
"""Pixels. The area of a larger box is no number any more."""
_SUFFIXES = (".txt", ".json")
"""Mask R-CNN writes a list of COCO's form for each image, all others KITTI's lines."""
_STATUS = "status.json"
_HINT = "name the folder of labels that the inference wrote: …/inference/labels"
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
    masks: list[Any] | None = None
    """Of each box, in COCO's run lengths or polygons; None where the predictions have none."""
    findings: list[Finding] = field(default_factory=list)
    tells_inferred: bool = True
    """Whether a missing key means that the image was not inferred. A JSON file has only images with boxes."""

    def __len__(self) -> int:
        return len(self.scores)

    def add(
        self,
        image: int,
        name: int,
        corners: tuple[float, float, float, float],
        score: float,
        mask: Any = None,
    ) -> None:
        self.image.append(image)
        self.name.append(name)
        for column, value in zip(self.corners, corners, strict=True):
            column.append(value)
        self.scores.append(score)
        if self.masks is not None:
            self.masks.append(mask)


class Numbers(Value):
    """What the numbers in COCO results mean: file names of images, and names of categories."""

    images: Mapping[Any, str]
    categories: Mapping[Any, str]


class Names(dict[str, int]):
    """The place of each class name, in the order in which they are met."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


class Written(Value):
    """When the files of a run were written: from ``since_s`` to ``until_s``, in seconds of the epoch. No link below
    ``root`` is followed, because a container can write there."""

    root: Path | None = None
    since_s: float = 0.0
    until_s: float = math.inf


AT_ANY_TIME = Written()


def read_predictions(
    place: Path, numbers: Numbers | None = None, written: Written = AT_ANY_TIME
) -> Predictions:
    """The boxes, and masks, of a folder of label files, or of a JSON file.

    ``numbers`` are those of the truth, which the latter uses. Label files that were not ``written`` then are left
    out. Raises UserFilesError when nothing can be read; single bad lines are left out with a finding.
    """
    if place.is_dir():
        return _read_folder(place, numbers, written)
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
    from taorunner.evaluation.json_predictions import read_results

    return read_results(place, numbers)


def label_folder(root: Path, place: Path) -> Path:
    """The folder with label files: ``place`` itself, or the one that TAO's inference makes below it."""
    for folder in (place, *(place / name for name in _FOLDERS)):
        below = folder.relative_to(root).as_posix()
        found = (path for suffix in _SUFFIXES for path in matches(root, f"{below}/*{suffix}"))
        if any(path.name != _STATUS for path in found):
            return folder
    return place


def found_files(root: Path, folder: Path, suffixes: Collection[str], hint: str) -> list[Path]:
    """What may be a file, in ``folder`` and its folders, in order; it can be a link. Raises UserFilesError for too
    many."""
    found: list[Path] = []
    for below, _, _, names in opened_folders(root, folder):
        found += (below / name for name in names if PurePath(name).suffix.lower() in suffixes)
        if len(found) > MOST_FILES:
            raise UserFilesError(
                f'more than {MOST_FILES:,} files are in "{printable(str(folder))}"', hint=hint
            )
    return sorted(found)


def _read_folder(place: Path, numbers: Numbers | None, written: Written) -> Predictions:
    root = written.root or place
    folder = label_folder(root, place)
    found = found_files(root, folder, _SUFFIXES, _HINT)
    texts = [path for path in found if path.suffix.lower() == ".txt"]
    files = texts or [path for path in found if path.name != _STATUS]
    if not files:
        raise UserFilesError(f'there is no label file (.txt) in "{printable(str(place))}"', hint=_HINT)
    from taorunner.evaluation.json_predictions import add_rows

    made, names, problems = Predictions(), Names(), Problems()
    outside, total = Counter[str](), 0
    for path in files:
        descriptor = open_file(root, path)
        if descriptor is None:
            problems.add("no-file", path, None)
            continue
        with os.fdopen(descriptor, "rb") as file:
            modified_s = os.fstat(descriptor).st_mtime
            if not written.since_s <= modified_s <= written.until_s:
                outside["earlier" if modified_s < written.since_s else "later"] += 1
                continue
            made.keys.append(path.relative_to(folder).with_suffix("").as_posix())
            data = file.read(MOST_LABEL_BYTES + 1)
        if len(data) > MOST_LABEL_BYTES:
            problems.add("large-file", path, None)
        elif path.suffix.lower() == ".txt":
            _read_labels(path, data, made, names, problems)
        else:
            total += len(data)
            if total > MOST_BYTES:
                raise UserFilesError(
                    f'the lists in "{printable(str(folder))}" are larger than 512 MiB together',
                    hint="infer with a higher --min-score",
                )
            add_rows(path, data, made, names, numbers, problems)
    made.findings += of_other_runs(outside, folder)
    if not made.keys:
        raise UserFilesError(
            f'no label file in "{printable(str(folder))}" is of this inference', findings=made.findings,
            hint="run the inference again",
        )  # fmt: skip
    made.names = list(names)
    made.findings += problems.findings()
    if problems.counts["no-score"] and not len(made):
        raise UserFilesError(
            f"no label file has scores: {printable(str(folder))}", findings=made.findings,
            hint="name the labels that the inference wrote; those of a dataset are given with --truth",
        )  # fmt: skip
    return made


def of_other_runs(counts: Mapping[str, int], folder: Path) -> Iterator[Finding]:
    """Says how many files were written ``earlier`` and ``later``."""
    for which, count in counts.items():
        article = "an" if which == "earlier" else "a"
        message = f"{amount(count, 'file')} of {article} {which} inference left out"
        yield Finding(Severity.WARNING, f"prediction-{which}", message, file=folder)


def _read_labels(path: Path, data: bytes, made: Predictions, names: Names, problems: Problems) -> None:
    image, text = len(made.keys) - 1, data.decode("utf-8-sig", "replace")
    refuse_too_many(made)
    for number, line in enumerate(text.splitlines(), 1):
        columns = line.split()
        if not columns or columns == [_NOTHING]:
            continue
        if len(columns) <= _COLUMNS:
            problems.add("no-score" if len(columns) == _COLUMNS else "bad-line", path, number)
            continue
        read, name = numbers_in(columns[-_COLUMNS:]), " ".join(columns[:-_COLUMNS])
        if read is None or len(name) > LONGEST_NAME:
            problems.add("bad-line", path, number)
        elif not is_box(corners := (read[3], read[4], read[5], read[6])):
            problems.add("bad-box", path, number)
        elif name not in names and len(names) >= MOST_NAMES:
            problems.add("many-classes", path, number)
        else:
            made.add(image, names[name], corners, read[-1])


def refuse_too_many(made: Predictions) -> None:
    """Raises UserFilesError."""
    if len(made) > _MOST_BOXES:
        raise UserFilesError(
            f"there are more than {_MOST_BOXES:,} predictions", hint="infer with a higher --min-score"
        )


def numbers_in(words: list[str]) -> tuple[float, ...] | None:
    """Finite numbers, or None."""
    try:
        read = tuple(map(float, words))
    except ValueError:
        return None
    return read if all(map(math.isfinite, read)) else None


def is_box(corners: tuple[float, float, float, float]) -> bool:
    """Whether the corners are in order, and so near that the area is a number."""
    x_min, y_min, x_max, y_max = corners
    return x_min <= x_max and y_min <= y_max and all(abs(value) <= _FARTHEST for value in corners)


@dataclass(slots=True)
class Problems:
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
    "bad-row": ("the row is not an image, its class and a score", "write the table again"),
    "twice": ("the image has a row already", "give the table of one inference"),
    "bad-box": (
        "the corners are swapped, too far away, or no numbers",
        "correct what writes the predictions",
    ),
    "no-file": ("a link, or what cannot be read, is in the place of a label file", "look at it: ls -l"),
    "large-file": ("the label file is larger than 8 MiB", "write the labels again"),
    "many-classes": (f"there are more than {MOST_NAMES:,} class names", "give the labels of an inference"),
    "bad-mask": ("the mask is no outline of COCO's form", "correct what writes the predictions"),
    "no-list": ("the file is no list of detections", "write the labels again"),
    "unknown-image": ("the truth has no image of that number", "give the dataset that the results are of"),
    "unknown-category": (
        "the truth has no category of that number",
        "give the dataset that the results are of",
    ),
}
