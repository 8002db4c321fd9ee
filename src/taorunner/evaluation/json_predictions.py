"""Reads predictions in COCO's form: one list of detections, or one for each image, as Mask R-CNN's inference writes.

Masks are run lengths or polygons in pixels of the image. Mask R-CNN writes them in the input size of the network, in
which the image lies at the top left: they are cut and scaled back (``coco.fitted``).
Source: NVIDIA-TAO/tao-deploy cv/mask_rcnn/inferencer.py, scripts/inference.py; NVIDIA/tao_tensorflow1_backend
cv/mask_rcnn/scripts/inference_trt.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from os.path import normpath, splitext
from pathlib import Path
from typing import Any

from taorunner.datasets.model.segmentation import area, extent, polygons
from taorunner.errors import UserFilesError
from taorunner.evaluation.predictions import (
    MOST_BYTES,
    Names,
    Numbers,
    Predictions,
    Problems,
    is_box,
    refuse_too_many,
)
from taorunner.text import printable
from taorunner.values.bounded_reading import JsonError, TooMuchError, parse_json, read_json

_HINT = "give the dataset whose COCO file the results are of: --truth DATASET"


def read_results(path: Path, numbers: Numbers | None) -> Predictions:
    """The detections of a JSON file: a list, or a whole document whose annotations have scores.

    Raises UserFilesError where it has no list of detections, or none can be used.
    """
    try:
        document = read_json(path, most_bytes=MOST_BYTES)
    except (JsonError, TooMuchError) as error:
        raise UserFilesError(
            f'"{printable(path.name)}" cannot be read: {error.message}', hint="write the results again"
        ) from None
    rows = document
    if isinstance(document, Mapping):
        rows = document.get("annotations")
        numbers = Numbers(by_id(document, "images", "file_name"), by_id(document, "categories", "name"))
    if not isinstance(rows, list) or (rows and not isinstance(rows[0], Mapping)):
        raise UserFilesError(
            f'"{printable(path.name)}" has no list of detections',
            hint='a list of {"image_id", "category_id", "bbox", "score"}',
        )
    if numbers is None or not numbers.images:
        raise UserFilesError(
            f'"{printable(path.name)}" has numbers of images and classes; the truth has none', hint=_HINT
        )
    made, names, problems = Predictions(tells_inferred=False), Names(), Problems()
    keys, places = Names(), dict[str, int]()
    for row in rows:
        image = _looked_up(numbers.images, row, "image_id")
        if image is None:
            problems.add("unknown-image", path, None)
            continue
        if image not in places:
            places[image] = keys[normpath(splitext(image)[0])]  # noqa: PTH122 (a text)
        _add(path, row, made, places[image], names, numbers, problems)
    made.keys, made.names = list(keys), list(names)
    made.findings += problems.findings()
    if rows and not len(made):
        raise UserFilesError(
            f'no detection of "{printable(path.name)}" can be used', findings=made.findings, hint=_HINT
        )
    return made


def add_rows(
    path: Path, data: bytes, made: Predictions, names: Names, numbers: Numbers | None, problems: Problems
) -> None:
    """The detections of the last image of ``made``, from a file of its own."""
    try:
        rows = parse_json(data, most_bytes=len(data))
    except JsonError:
        rows = None
    if not isinstance(rows, list):
        problems.add("no-list", path, None)
        return
    refuse_too_many(made)
    for row in rows:
        if isinstance(row, Mapping) and numbers is not None:
            _add(path, row, made, len(made.keys) - 1, names, numbers, problems)
        else:
            problems.add("unknown-category", path, None)


def by_id(document: Mapping[str, Any], key: str, value: str) -> dict[Any, str]:
    """``value`` of each object in the list ``key`` of a COCO document, by its id."""
    rows = document.get(key)
    return {
        row["id"]: row[value]
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping)
        and isinstance(row.get(value), str)
        and isinstance(row.get("id"), int | str)
    }


def _add(
    path: Path, row: Mapping[str, Any], made: Predictions, image: int, names: Names, numbers: Numbers,
    problems: Problems,
) -> None:  # fmt: skip
    name = _looked_up(numbers.categories, row, "category_id")
    score: Any = row.get("score")
    if name is None or not _is_finite(score):
        problems.add("unknown-category" if name is None else "no-score", path, None)
        return
    mask, box = row.get("segmentation"), _box(row.get("bbox"))
    if mask:
        try:
            box = _box_of(mask) if box is None or isinstance(mask, Mapping) else box
            area(mask)
        except ValueError:
            problems.add("bad-mask", path, None)
            return
        if made.masks is None:
            made.masks = [None] * len(made)
    if box is None:
        problems.add("bad-box", path, None)
    else:
        made.add(image, names[name], box, score, mask or None)


def _box(value: object) -> tuple[float, float, float, float] | None:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_finite, value)):
        return None
    left, top, width, height = value
    corners = (left, top, left + width, top + height)
    return corners if is_box(corners) else None


def _is_finite(value: Any) -> bool:
    return value.__class__ in (int, float) and math.isfinite(value)


def _box_of(mask: Any) -> tuple[float, float, float, float]:
    """Raises ValueError for what is no outline, and for a mask without pixels."""
    if isinstance(mask, Mapping):
        return extent(mask)
    xs, ys = zip(*(point for points in polygons(mask) for point in points), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _looked_up(by_number: Mapping[Any, str], row: Any, key: str) -> str | None:
    value = row.get(key) if isinstance(row, Mapping) else None
    return by_number.get(value) if isinstance(value, int | str) else None
