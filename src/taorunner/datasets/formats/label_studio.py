"""Reads Label Studio's JSON and JSON-MIN exports; coordinates are percentages of the image size."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlparse

from taorunner.datasets.formats.folder import Folder, bounding_box, number, subset_of
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.text import amount, printable

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
Steps = tuple[str | int, ...]


_WORDS = ('"annotations"', '"label"', '"image"')


def recognise(folder: Folder) -> bool:
    return bool(_documents(folder))


def _documents(folder: Folder) -> list[str]:
    found = []
    for path in folder.with_suffix(".json"):
        if folder.begins_with(path, "[") and any(folder.mentions(path, word) for word in _WORDS):
            value = folder.json(path)
            if isinstance(value, list) and value and isinstance(value[0], Mapping) and _is_task(value[0]):
                found.append(path)
    return found


def _is_task(value: Mapping[str, Any]) -> bool:
    """True when it names an image and its annotations, if any, have results; other tools use the same keys."""
    listed = value.get("annotations")
    is_others = isinstance(listed, list) and any(
        not isinstance(one, Mapping) or "result" not in one for one in listed
    )
    return bool(_reference(value)) and not is_others


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    for path in _documents(folder):
        _report_unannotated(folder, path)
        for index, task in enumerate(folder.json(path)):
            if _has_only_predictions(task):
                continue  # reported; it must not become a background image
            entry = _image(folder, path, index, task)
            if entry is not None:
                images.append(entry)
                classes.update(dict.fromkeys(box.name for box in entry.boxes))
    return DetectionDataset(
        "label-studio", folder.root, tuple(images), tuple(classes), tuple(folder.findings)
    )


def _report_unannotated(folder: Folder, path: str) -> None:
    """Reports the number of tasks without annotations: with predictions of a model only, and empty ones."""
    tasks = folder.json(path)
    predicted = sum(_has_only_predictions(task) for task in tasks)
    if predicted:
        message = (
            f"{amount(predicted, 'task')} of {len(tasks):,} {_has(predicted)} predictions of a model only"
        )
        hint = (
            "accept them as annotations in Label Studio and export again; --skip-bad leaves these images out"
        )
        folder.error("only-predictions", message, folder.root / path, hint=hint)
    empty = sum(_is_unannotated(task) for task in tasks) - predicted
    if empty:
        message = f"{amount(empty, 'task')} of {len(tasks):,} {_has(empty)} no annotation: used as background images"
        folder.warning("label-missing", message, folder.root / path)


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _is_unannotated(task: Any) -> bool:
    """True without annotations, or with cancelled ones only."""
    listed = task.get("annotations") if isinstance(task, Mapping) else None
    return isinstance(listed, list) and all(
        isinstance(one, Mapping) and bool(one.get("was_cancelled")) for one in listed
    )


def _has_only_predictions(task: Any) -> bool:
    predictions = task.get("predictions") if isinstance(task, Mapping) else None
    return (
        _is_unannotated(task)
        and isinstance(predictions, list)
        and any(isinstance(one, Mapping) and one.get("result") for one in predictions)
    )


def _reference(task: Mapping[str, Any]) -> str:
    data = task.get("data") if isinstance(task.get("data"), Mapping) else task
    texts = [data.get("image"), *data.values()] if isinstance(data, Mapping) else []
    return next((text for text in texts if isinstance(text, str) and _image_name(text)), "")


def _image_name(address: str) -> str:
    """The path in a URL; in ``/data/local-files/?d=…`` it is in the query."""
    parsed = urlparse(address)
    hidden = parse_qs(parsed.query).get("d")
    path = hidden[0] if hidden else parsed.path
    return path if re.search(r"\.(jpe?g|png|bmp|gif|webp|tiff?)\Z", path, re.IGNORECASE) else ""


def _image(folder: Folder, path: str, index: int, task: Any) -> ImageEntry | None:
    file = folder.root / path
    reference = _image_name(_reference(task)) if isinstance(task, Mapping) else ""
    name = reference.rpartition("/")[2]
    candidates = [reference.lstrip("/"), reference, name, _UPLOAD.sub("", name, count=1)] if reference else []
    image_file = next(
        (found for text in candidates if (found := folder.image_file(text, path)) is not None), None
    )
    if image_file is None:
        folder.missing_image(reference, file, *folder.json_place(path, (index,)))
        return None
    header = folder.header(image_file)
    if header is None:
        return None
    if not _is_readable(task):
        message = f'the annotations of "{printable(reference)}" have no list "result"'
        folder.error(
            "json-syntax", message, file, *folder.json_place(path, (index,)), hint="export the project again"
        )
        return None
    count_before = len(folder.findings)
    boxes = [
        box
        for steps, result in _results(index, task)
        for box in _boxes(folder, path, steps, result, header.width, header.height)
    ]
    if not boxes and any(finding.code == "shape-left-out" for finding in folder.findings[count_before:]):
        folder.report_no_boxes_left(reference, file, *folder.json_place(path, (index,)))
    inside = image_file.relative_to(folder.root).as_posix() if image_file.is_relative_to(folder.root) else ""
    return folder.entry(image_file, boxes, subset=subset_of(inside.rpartition("/")[0] + "/x"), source=file)


def _results(index: int, task: Mapping[str, Any]) -> Iterator[tuple[Steps, Any]]:
    """Results of the first annotation that is not cancelled; further ones are by other annotators."""
    annotations = task.get("annotations")
    if isinstance(annotations, list):
        for number_, annotation in enumerate(annotations):
            if isinstance(annotation, Mapping) and not annotation.get("was_cancelled"):
                results = annotation.get("result")
                for at, result in enumerate(results if isinstance(results, list) else ()):
                    yield (index, "annotations", number_, "result", at), result
                return
        return
    for key, value in task.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping) and _labels(value[0]):
            for at, result in enumerate(value):
                yield (index, key, at), result


def _is_readable(task: Mapping[str, Any]) -> bool:
    """False when there are annotations whose results are not where Label Studio writes them."""
    annotations = task.get("annotations", [])
    if not isinstance(annotations, list):
        return False
    listed = [one for one in annotations if not (isinstance(one, Mapping) and one.get("was_cancelled"))]
    return all(isinstance(one, Mapping) and isinstance(one.get("result"), list) for one in listed)


def _labels(value: Mapping[str, Any]) -> list[str]:
    for key in ("rectanglelabels", "polygonlabels", "ellipselabels", "labels"):
        if isinstance(value.get(key), list):
            return [str(label) for label in value[key]]
    return []


def _boxes(folder: Folder, path: str, steps: Steps, result: Any, width: int, height: int) -> list[Box]:
    value = result.get("value", result) if isinstance(result, Mapping) else {}
    if not isinstance(value, Mapping):
        value = {}
    labels = _labels(value)
    if not labels:
        if isinstance(result, Mapping) and result.get("type") in (
            "rectangle",
            "choices",
            "textarea",
            "rating",
        ):
            return []  # the same rectangle occurs again with its label
        kind = printable(str(result.get("type"))) if isinstance(result, Mapping) else "a result"
        if kind.startswith("brush"):
            message = f'"{kind}" is a mask; masks of Label Studio are not read'
            hint = "export polygons or rectangles; --skip-bad leaves it out"
            place = folder.json_place(path, steps)
            folder.error("brush-left-out", message, folder.root / path, *place, hint)
            return []
        message = f'"{kind}" has no box: left out'
        folder.warning("shape-left-out", message, folder.root / path, *folder.json_place(path, steps))
        return []
    corners = _corners(value, width, height)
    if corners is None:
        message = "x, y, width and height must be numbers in percent"
        folder.error("label-studio-box", message, folder.root / path, *folder.json_place(path, steps))
        return []
    return [Box(label, *corners) for label in labels]


def _corners(value: Mapping[str, Any], width: int, height: int) -> tuple[float, float, float, float] | None:
    if "radiusX" in value:
        return _around_ellipse(value, width, height)
    points = value.get("points")
    if isinstance(points, list) and points:
        pairs = [(number(p[0]), number(p[1])) for p in points if isinstance(p, list) and len(p) == 2]
        known = [(x * width / 100, y * height / 100) for x, y in pairs if x is not None and y is not None]
        return bounding_box(known) if len(known) == len(points) else None
    x, y, w, h = (number(value.get(key)) for key in ("x", "y", "width", "height"))
    if x is None or y is None or w is None or h is None:
        return None
    left, top, wide, high = x * width / 100, y * height / 100, w * width / 100, h * height / 100
    angle = number(value.get("rotation")) or 0.0
    if angle % 360 == 0:
        return left, top, left + wide, top + high
    return _turned_about_corner(left, top, wide, high, angle)


def _around_ellipse(
    value: Mapping[str, Any], width: int, height: int
) -> tuple[float, float, float, float] | None:
    """x and y are the centre of the ellipse, which is rotated about it."""
    x, y, rx, ry = (number(value.get(key)) for key in ("x", "y", "radiusX", "radiusY"))
    if x is None or y is None or rx is None or ry is None:
        return None
    angle = math.radians(number(value.get("rotation")) or 0.0)
    a, b = rx * width / 100, ry * height / 100
    wide, high = (
        math.hypot(a * math.cos(angle), b * math.sin(angle)),
        math.hypot(a * math.sin(angle), b * math.cos(angle)),
    )
    return x * width / 100 - wide, y * height / 100 - high, x * width / 100 + wide, y * height / 100 + high


def _turned_about_corner(
    left: float, top: float, wide: float, high: float, angle: float
) -> tuple[float, float, float, float]:
    """Label Studio rotates about the top left corner."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [(0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high)]
    return bounding_box([(left + x * cosine - y * sine, top + x * sine + y * cosine) for x, y in corners])
