"""Reads Label Studio's JSON and JSON-MIN exports; coordinates are percentages of the image size."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlparse

from taorunner.datasets.files.brush_masks import brush_extent
from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.text import amount, printable

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
_ANSWERS = frozenset(
    {"choices", "textarea", "rating", "taxonomy", "number", "datetime", "pairwise", "ranker"}
)
"""Results that are no shapes; some of them belong to the whole image."""
_LABELLED = ("rectanglelabels", "polygonlabels", "ellipselabels")
_SHAPES = frozenset({"rectangle", "polygon", "ellipse", "brush", "keypoint"})
"""Shapes without their label, which another result with the same id has."""
Steps = tuple[str | int, ...]


_ANNOTATIONS = ("annotations", "completions")
"""The second was the name before Label Studio 1.0."""
_WORDS = ('"annotations"', '"completions"', '"label"', '"image"')


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
    listed = value.get(_key(value))
    is_others = isinstance(listed, list) and any(
        not isinstance(one, Mapping) or "result" not in one for one in listed
    )
    return bool(_reference(value)) and not is_others


def _key(task: Mapping[str, Any]) -> str:
    return next((key for key in _ANNOTATIONS if key in task), _ANNOTATIONS[0])


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    for path in _documents(folder):
        _report_unannotated(folder, path)
        _report_several(folder, path)
        _report_answers(folder, path)
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


def _report_several(folder: Folder, path: str) -> None:
    """Reports tasks that several annotators annotated: an error if the annotations differ, as one must be chosen."""
    tasks = [task for task in folder.json(path) if isinstance(task, Mapping) and len(_valid(task)) > 1]
    differing = [task for task in tasks if len(_valid(task)) != _agreeing(task) and _truth(task) is None]
    chosen = len(tasks) - len(differing)
    if chosen:
        message = (
            f"{amount(chosen, 'task')} {_has(chosen)} several annotations: the one that is marked as ground truth is "
            "used, else the first of equal ones"
        )
        folder.warning("annotation-chosen", message, folder.root / path)
    if differing:
        message = (
            f"{amount(len(differing), 'task')} {_has(len(differing))} several annotations that differ, such as that of "
            f'"{printable(_image_name(_reference(differing[0])))}"'
        )
        hint = "keep one of them in Label Studio, or mark one as ground truth; --skip-bad takes the first of each"
        folder.error("annotations-differ", message, folder.root / path, hint=hint)


def _report_answers(folder: Folder, path: str) -> None:
    """Reports answers that are no shapes: labels of whole images, texts, ratings."""
    kinds = Counter(
        _type(result)
        for task in folder.json(path)
        if isinstance(task, Mapping)
        for _, result in _results(0, task)
        if _type(result) in _ANSWERS
    )
    if kinds:
        listed = ", ".join(f"{count:,} of {kind}" for kind, count in sorted(kinds.items()))
        verb = "is" if kinds.total() == 1 else "are"
        message = f"{amount(kinds.total(), 'answer')} that {verb} no box: left out ({listed})"
        folder.warning("tag-left-out", message, folder.root / path)


def _valid(task: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """The annotations that are not cancelled, with their places."""
    listed = task.get(_key(task))
    return [
        (at, one)
        for at, one in enumerate(listed if isinstance(listed, list) else ())
        if isinstance(one, Mapping) and not one.get("was_cancelled")
    ]


def _agreeing(task: Mapping[str, Any]) -> int:
    """The number of annotations with the same results as the first."""
    shown = [_shown(one.get("result")) for _, one in _valid(task)]
    return sum(one == shown[0] for one in shown)


def _shown(results: Any) -> list[str]:
    """The results as texts, without ids and in one order."""
    listed = results if isinstance(results, list) else ()
    return sorted(
        json.dumps((one.get("type"), one.get("value")) if isinstance(one, Mapping) else one, sort_keys=True)
        for one in listed
    )


def _truth(task: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]] | None:
    """The annotation that is marked as ground truth, if there is exactly one."""
    marked = [pair for pair in _valid(task) if pair[1].get("ground_truth") is True]
    return marked[0] if len(marked) == 1 else None


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _is_unannotated(task: Any) -> bool:
    """True without annotations, or with cancelled ones only."""
    listed = task.get(_key(task)) if isinstance(task, Mapping) else None
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
    if _has_several_images(task):
        message = f'the task of "{printable(reference)}" has shapes on several images'
        hint = "import each image as a task of its own; --skip-bad leaves these images out"
        folder.error("several-images", message, file, *folder.json_place(path, (index,)), hint)
        return None
    if not _is_readable(task):
        message = f'the annotations of "{printable(reference)}" have no list "result"'
        folder.error(
            "json-syntax", message, file, *folder.json_place(path, (index,)), hint="export the project again"
        )
        return None
    count_before = len(folder.findings)
    results = list(_results(index, task))
    labelled = [
        one["id"] for _, one in results if isinstance(one, Mapping) and one.get("id") and _labels(_value(one))
    ]
    boxes = [
        box
        for steps, result in results
        if not (_type(result) in _SHAPES and result.get("id") in labelled)
        for box in _boxes(folder, path, steps, result, header.width, header.height)
    ]
    if not boxes and any(finding.code == "shape-left-out" for finding in folder.findings[count_before:]):
        folder.report_no_boxes_left(reference, file, *folder.json_place(path, (index,)))
    inside = image_file.relative_to(folder.root).as_posix() if image_file.is_relative_to(folder.root) else ""
    return folder.entry(image_file, boxes, subset=subset_of(inside.rpartition("/")[0] + "/x"), source=file)


def _has_several_images(task: Mapping[str, Any]) -> bool:
    """True when the shapes are on more than one image of the task."""
    drawn = [
        result for _, result in _results(0, task) if isinstance(result, Mapping) and _labels(_value(result))
    ]
    return len({(str(one.get("to_name")), str(one.get("item_index"))) for one in drawn}) > 1


def _results(index: int, task: Mapping[str, Any]) -> Iterator[tuple[Steps, Any]]:
    """Results of the ground truth, else of the first annotation that is not cancelled."""
    key = _key(task)
    if isinstance(task.get(key), list):
        for place, annotation in [_truth(task) or next(iter(_valid(task)), (0, {}))]:
            results = annotation.get("result")
            for at, result in enumerate(results if isinstance(results, list) else ()):
                yield (index, key, place, "result", at), result
        return
    for name, value in task.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping) and _labels(value[0]):
            for at, result in enumerate(value):
                yield (index, name, at), result


def _is_readable(task: Mapping[str, Any]) -> bool:
    """False when there are annotations whose results are not where Label Studio writes them."""
    annotations = task.get(_key(task), None if isinstance(task.get("data"), Mapping) else [])
    if not isinstance(annotations, list):
        return False
    listed = [one for one in annotations if not (isinstance(one, Mapping) and one.get("was_cancelled"))]
    return all(isinstance(one, Mapping) and isinstance(one.get("result"), list) for one in listed)


def _labels(value: Mapping[str, Any]) -> list[str]:
    for key in ("rectanglelabels", "polygonlabels", "ellipselabels", "labels"):
        if isinstance(value.get(key), list):
            return [str(label) for label in value[key]]
    return []


def _around_brush(
    folder: Folder, path: str, steps: Steps, kind: str, value: Mapping[str, Any], width: int, height: int
) -> list[Box]:
    """The box around a mask; an error if it cannot be read, so that no object is lost."""
    labels, place = value.get("brushlabels"), folder.json_place(path, steps)
    try:
        corners = brush_extent(value.get("rle") or (), width, height)
    except ValueError as error:
        message = f'"{kind}" is a mask that cannot be read: {error}'
        hint = "export polygons or rectangles; --skip-bad leaves it out"
        folder.error("brush-left-out", message, folder.root / path, *place, hint)
        return []
    if not isinstance(labels, list) or not labels:
        folder.error("brush-left-out", f'"{kind}" has no label', folder.root / path, *place)
        return []
    folder.note_box("mask-box", "mask", folder.root / path, *place)
    return [Box(str(label), *corners) for label in labels]


def _type(result: Any) -> str:
    return str(result.get("type")) if isinstance(result, Mapping) else ""


def _value(result: Mapping[str, Any]) -> Mapping[str, Any]:
    value = result.get("value", result)
    return value if isinstance(value, Mapping) else {}


def _boxes(folder: Folder, path: str, steps: Steps, result: Any, width: int, height: int) -> list[Box]:
    value = _value(result) if isinstance(result, Mapping) else {}
    labels = _labels(value)
    if not labels:
        if _type(result) in _ANSWERS:
            return []  # reported
        kind = printable(_type(result) or "a result")
        if kind.startswith("brush"):
            return _around_brush(folder, path, steps, kind, value, width, height)
        is_whole = isinstance(result, Mapping) and isinstance(result.get("value", {}), Mapping)
        if not is_whole or kind in _LABELLED:
            message = f'"{kind}" has no {"label" if is_whole else "value"}: no box can be read'
            folder.error("label-studio-box", message, folder.root / path, *folder.json_place(path, steps))
            return []
        message = f'"{kind}" has no {"label" if kind in _SHAPES else "box"}: left out'
        folder.warning("shape-left-out", message, folder.root / path, *folder.json_place(path, steps))
        return []
    corners = _corners(value, width, height)
    if corners is None:
        message = "x, y, width and height must be numbers in percent"
        folder.error("label-studio-box", message, folder.root / path, *folder.json_place(path, steps))
        return []
    shape = (
        "ellipse"
        if "radiusX" in value
        else "rotated box"
        if (number(value.get("rotation")) or 0) % 90
        else None
    )
    if shape is not None:
        code = "shape-box" if shape == "ellipse" else "box-rotated"
        folder.note_box(code, shape, folder.root / path, *folder.json_place(path, steps))
    return [Box(label, *corners, segmentation=_outline(value, width, height)) for label in labels]


def _outline(value: Mapping[str, Any], width: int, height: int) -> list[list[float]] | None:
    """The polygon, whose points ``_corners`` has checked."""
    points = value.get("points")
    if "radiusX" in value or not isinstance(points, list) or len(points) < 3:
        return None
    return [[round(float(at) * size / 100, 4) for x, y in points for at, size in ((x, width), (y, height))]]


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
