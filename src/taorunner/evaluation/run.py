"""Evaluates predictions against a dataset: reads both, puts them beside each other, and scores.

The layout of the dataset says what is compared: classes of images, masks of pixels, or boxes and masks of objects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from taorunner.contained_files import open_file
from taorunner.datasets.files.mask_pairs import find_pairs
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.datasets.transform.split_folders import kind_of, sound_folders
from taorunner.datasets.writers.class_masks import CLASSES_FILE
from taorunner.errors import UnknownNameError, UserFilesError, has_errors
from taorunner.evaluation.classified import MOST_BYTES, Table, read_table, score_classes
from taorunner.evaluation.pixels import find_masks, score_pixels
from taorunner.evaluation.predictions import AT_ANY_TIME, Written, read_predictions
from taorunner.evaluation.result import Evaluation
from taorunner.evaluation.scoring import score
from taorunner.evaluation.truth import Compared, compare, data_of, images_of_split, numbers_of
from taorunner.text import printable

_TABLES = ("result.csv", "inference/result.csv", "trt_inference/result.csv")
_MOST_NAMES_BYTES = 1024**2


def evaluate_predictions(
    predictions: Path,
    truth: Path,
    *,
    from_: str | None = None,
    split: str | None = None,
    mapped: Mapping[str, str] | None = None,
    written: Written = AT_ANY_TIME,
    progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """``predictions``: what an inference wrote, a folder of KITTI labels with scores, masks, a ``result.csv``, or COCO
    results; ``truth``: a dataset in any format that ``dataset convert`` reads, class folders, or images with masks.
    ``mapped``: the class of the truth for classes of predictions. ``written`` as in ``read_predictions``.

    Raises UserFilesError, with all findings, where one of them cannot be read or no image and no class is in both.
    """
    kind = kind_of(truth) if from_ is None else None
    if kind == "classification":
        return _classes(predictions, truth, split, mapped or {}, written)
    if kind == "segmentation":
        return _pixels(predictions, truth, split, written)
    dataset = read_dataset(truth, from_, progress)
    read = read_predictions(predictions, numbers_of(dataset), written)
    compared = compare(dataset, read, split=split, mapped=mapped or {})
    return score(compared, read, data_of(compared, truth.name, split))


def _classes(
    predictions: Path, truth: Path, split: str | None, mapped: Mapping[str, str], written: Written
) -> Evaluation:
    images, _, findings = sound_folders(truth, "classification")
    if has_errors(findings) or not images:
        raise UserFilesError(
            "the truth has errors" if findings else "the truth has no image", findings=findings,
            hint="taorunner dataset check DATASET",
        )  # fmt: skip
    names = tuple(sorted({image.boxes[0].name for image in images}))
    table = _table(predictions, written)
    dataset = DetectionDataset("classification", truth, tuple(images), names, tuple(findings))
    compared = compare(dataset, table.predictions, split=split, mapped=mapped)
    return score_classes(compared, table, data_of(compared, truth.name, split))


def _table(place: Path, written: Written) -> Table:
    path = place
    if place.is_dir():
        path = next((one for name in _TABLES if (one := place / name).is_file()), place / _TABLES[0])
    elif not place.exists():
        raise UnknownNameError(
            f'there is no "{printable(str(place))}"', hint="name the result.csv that the inference wrote"
        )
    descriptor = open_file(written.root or (place if place.is_dir() else path.parent), path)
    if descriptor is None:
        raise UserFilesError(
            f'there is no table "{printable(path.name)}" in "{printable(str(path.parent))}"',
            hint="the truth has class folders: give the result.csv of an inference",
        )
    with os.fdopen(descriptor, "rb") as file:
        modified_s = os.fstat(descriptor).st_mtime
        if not written.since_s <= modified_s <= written.until_s:
            raise UserFilesError(
                f'"{printable(str(path))}" is not of this inference', hint="run the inference again"
            )
        return read_table(path, file.read(MOST_BYTES + 1))


def _pixels(predictions: Path, truth: Path, split: str | None, written: Written) -> Evaluation:
    images, truths = _with_masks(truth)
    if not predictions.is_dir():
        raise UnknownNameError(
            f'there is no folder "{printable(str(predictions))}"',
            hint="name the folder of masks that the inference wrote",
        )
    masks = find_masks(predictions, written)
    subsets = tuple(dict.fromkeys(image.subset for image in images))
    images = images_of_split(images, subsets, split)
    if split is None:
        inferred = {image.subset for image in images if image.path.stem in masks.files}
        images = [image for image in images if image.subset in inferred] or images
    compared = Compared(truth, images, [], [], [])
    names = truth / CLASSES_FILE
    lines = _first_lines(names) if names.is_file() else []
    data = data_of(compared, truth.name, split, [truths[image.path] for image in images])
    return score_pixels(images, truths, masks, lines, data)


def _first_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        return file.read(_MOST_NAMES_BYTES).decode("utf-8", "replace").splitlines()


def _with_masks(truth: Path) -> tuple[list[ImageEntry], dict[Path, Path]]:
    """The images that have a mask, and the mask of each; the others are no truth."""
    folder = Folder(truth)
    found = find_pairs(folder.image_files)
    images, masks = [], {}
    for key in sorted(found.images.keys() & found.masks.keys()):
        for paths in (found.images[key], found.masks[key]):
            if len(paths) > 1:
                raise UserFilesError(
                    f'"{printable(paths[0])}" and "{printable(paths[1])}" share a name: '
                    "which mask belongs to which image is not clear",
                    hint="rename one of them",
                )
        image, mask = truth / found.images[key][0], truth / found.masks[key][0]
        header = folder.header(image)
        if header is not None:
            images.append(ImageEntry(image, header.width, header.height, (), key[0]))
            masks[image] = mask
    if not images:
        raise UserFilesError("the truth has no image", hint="taorunner dataset check DATASET")
    return images, masks
