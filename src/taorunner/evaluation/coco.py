"""Scores boxes by the protocol of COCO: what goes into hotcoco, and what its arrays say. Imports it late.

hotcoco (MIT, one wheel, numpy alone) gives the figures of pycocotools to nine decimals in a thirtieth of the time and a
sixth of the memory; the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import repeat
from typing import Any

from taorunner.datasets.model.boxes import corners_of, kinds_of
from taorunner.errors import MachineError
from taorunner.evaluation.measures import BOXES, MASKS
from taorunner.evaluation.predictions import Predictions
from taorunner.evaluation.result import Confusion, Protocol
from taorunner.evaluation.truth import Compared
from taorunner.values.value import Value

MAX_DETS = 100
"""Of one image, the best by score: COCO's figure."""
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
_AT_50, _AT_75 = 0, 5
"""Places of the ranges of areas and of overlaps in the arrays of the library, as COCO has them."""


class Truth(Value):
    """``document`` is the dataset in the form of the library, ``counts`` the number of objects of each class, ``table``
    an array with a row for each object, which is numbered from 1 on: place of its image, place of its class, x, y,
    width, height."""

    document: Any
    counts: Sequence[int]
    table: Any


def check_library() -> Any:
    """The module of hotcoco. Raises MachineError where the extra is not installed."""
    try:
        import hotcoco
    except ImportError:
        raise MachineError(
            "evaluation needs hotcoco, which is not installed", hint="pip install 'taorunner[evaluation]'"
        ) from None
    return hotcoco


def protocol(task: str, lowest: float) -> Protocol:
    """``lowest`` is the lowest score that was given."""
    name = "COCO" if task == BOXES else "COCO, masks"
    lowest = round(lowest, 6)
    return Protocol(
        name, f"COCO: IoU 0.50:0.95, {MAX_DETS} {task} an image, score from {lowest:g}", "hotcoco",
        version("hotcoco"), {"iou": [0.5, 0.95], "max_dets": MAX_DETS}, lowest,
    )  # fmt: skip


def run(task: str, truth: Truth, detections: Any) -> Any:
    """The evaluation of the library: ``eval`` has its arrays."""
    library = check_library()
    kind = "bbox" if task == BOXES else "segm"
    measured = library.COCOeval(truth.document, truth.document.load_res(detections), kind)
    measured.evaluate()
    measured.accumulate()
    return measured


def truth_of(compared: Compared, task: str) -> Truth:
    """Regions that do not count are crowds."""
    import numpy as np

    place_of = {name: place for place, name in enumerate(compared.classes)}
    rows, crowds, counts = [], [], [0] * len(compared.classes)
    masks: list[Any] = []
    for number, image in enumerate(compared.images):
        outlines = [box.segmentation for box in image.boxes] if task == MASKS else repeat(None)
        for (name, x_min, y_min, x_max, y_max), kind, outline in zip(
            corners_of(image.boxes), kinds_of(image.boxes), outlines, strict=False
        ):
            place = place_of.get(name)
            # A region that does not count has no class of its own: it stands for every class.
            for one in range(len(counts)) if place is None else (place,):
                rows.append((number, one, x_min, y_min, x_max - x_min, y_max - y_min))
                crowds.append(place is None or kind.iscrowd)
                if task == MASKS:
                    masks.append(_mask(outline, (x_min, y_min, x_max, y_max)))
            if place is not None and not kind.iscrowd:
                counts[place] += 1
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    images = [
        {"id": number, "width": image.width, "height": image.height, "file_name": image.path.name}
        for number, image in enumerate(compared.images, 1)
    ]
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(compared.classes)]
    numbers = table[:, :2].astype(np.int64) + 1
    columns: dict[str, Any] = {}
    if task == MASKS:
        sizes = [compared.images[int(row[0])] for row in rows]
        columns = {"segmentation": masks, "area": [
            _area(mask, image.height, image.width) for mask, image in zip(masks, sizes, strict=True)
        ]}  # fmt: skip
    document = check_library().COCO.from_arrays(
        images, categories, numbers[:, 0], numbers[:, 1], table[:, 2:], iscrowd=np.array(crowds, dtype=bool),
        **columns,
    )  # fmt: skip
    return Truth(document, counts, table)


def detections_of(compared: Compared, predictions: Predictions, rows: Sequence[int]) -> Any:
    """Columns image, x, y, width, height, score, class; the library numbers the rows from 1."""
    import numpy as np

    image_of = np.array([-1 if one is None else one for one in compared.image_of], dtype=np.int64)
    class_of = np.array([-1 if one is None else one for one in compared.class_of], dtype=np.int64)
    chosen = np.array(rows, dtype=np.int64)
    x_min, y_min, x_max, y_max = (np.array(column)[chosen] for column in predictions.corners)
    return np.column_stack([
        image_of[np.array(predictions.image, dtype=np.int64)[chosen]] + 1.0, x_min, y_min, x_max - x_min, y_max - y_min,
        np.array(predictions.scores)[chosen], class_of[np.array(predictions.name, dtype=np.int64)[chosen]] + 1.0,
    ])  # fmt: skip


def masks_of(
    compared: Compared, predictions: Predictions, rows: Sequence[int]
) -> tuple[list[dict[str, Any]], int]:
    """Detections with a mask each, in pixels of their image, and how many of them had another size before."""
    made: list[dict[str, Any]] = []
    scaled = 0
    for row in rows:
        image = compared.image_of[predictions.image[row]]
        place = compared.class_of[predictions.name[row]]
        mask = (predictions.masks or ())[row]
        if image is None or place is None:
            continue
        entry = compared.images[image]
        if isinstance(mask, Mapping) and mask["size"] != [entry.height, entry.width]:
            mask, scaled = fitted(mask, entry.height, entry.width), scaled + 1
        made.append({
            "image_id": image + 1, "category_id": place + 1, "score": predictions.scores[row], "segmentation": mask,
        })  # fmt: skip
    return made, scaled


def fitted(mask: Mapping[str, Any], height: int, width: int) -> dict[str, Any]:
    """A mask in the input size of a network, in which the image was scaled and put at the top left, as one of the
    image: cut and scaled back to the nearest pixel."""
    import numpy as np

    coder = check_library().mask
    pixels = coder.decode(_packed(mask))
    scale = min(pixels.shape[0] / height, pixels.shape[1] / width)
    rows = np.minimum((np.arange(height) + 0.5) * scale, pixels.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(width) + 0.5) * scale, pixels.shape[1] - 1).astype(int)
    made = coder.encode(np.asfortranarray(pixels[np.ix_(rows, columns)]))
    return {"size": [height, width], "counts": made["counts"].decode("ascii")}


def _packed(mask: Mapping[str, Any]) -> Any:
    """Run lengths in the text form."""
    if isinstance(mask["counts"], str):
        return dict(mask)
    height, width = mask["size"]
    return check_library().mask.fr_py_objects(dict(mask), height, width)


def _mask(outline: Any, corners: tuple[float, float, float, float]) -> Any:
    """What an object without an outline covers is its box: only regions that do not count have none."""
    if isinstance(outline, Mapping):
        return _packed(outline)
    if outline:
        return outline if isinstance(outline[0], list) else [outline]
    x_min, y_min, x_max, y_max = corners
    return [[x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max]]


def _area(mask: Any, height: int, width: int) -> float:
    """In pixels, as COCO counts those of a drawn outline."""
    coder = check_library().mask
    drawn = mask if isinstance(mask, Mapping) else coder.merge(coder.fr_py_objects(mask, height, width))
    return float(coder.area(drawn))


def overall(arrays: Mapping[str, Any]) -> dict[str, float | None]:
    """The means of COCO's summary, which the library itself would print."""
    precision, recall = arrays["precision"][..., -1], arrays["recall"][..., -1]
    return {
        "AP": _mean(precision[..., _ALL]),
        "AP50": _mean(precision[_AT_50, ..., _ALL]),
        "AP75": _mean(precision[_AT_75, ..., _ALL]),
        "APs": _mean(precision[..., _SMALL]),
        "APm": _mean(precision[..., _MEDIUM]),
        "APl": _mean(precision[..., _LARGE]),
        "AR100": _mean(recall[..., _ALL]),
    }


def _mean(values: Any) -> float | None:
    """Of what was measured: COCO writes -1 where the truth has no box."""
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else None


def by_class(arrays: Mapping[str, Any]) -> Iterator[tuple[float | None, float | None]]:
    """AP and AP50 of each class. Precision has the axes overlap, recall, class, size of boxes, number of detections."""
    precision = arrays["precision"][:, :, :, _ALL, -1]
    for place in range(precision.shape[2]):
        yield _mean(precision[:, :, place]), _mean(precision[_AT_50, :, place])


def curves(
    compared: Compared, arrays: Mapping[str, Any]
) -> dict[str, tuple[tuple[float, float, float], ...]]:
    """At an overlap of 0.5. Recalls that are not reached have no point."""
    precision, scores = (arrays[name][_AT_50, :, :, _ALL, -1] for name in ("precision", "scores"))
    return {
        name: tuple(
            (step / 100, round(float(precision[step, place]), 4), round(float(scores[step, place]), 4))
            for step in range(precision.shape[0])
            if precision[step, place] > 0
        )
        for place, name in enumerate(compared.classes)
    }


def confusion(task: str, compared: Compared, measured: Any, threshold: float) -> Confusion:
    made = measured.confusion_matrix(iou_thr=0.5, max_det=MAX_DETS, min_score=threshold)
    matrix = tuple(tuple(int(value) for value in row) for row in made["matrix"])
    return Confusion(tuple(compared.classes), matrix, round(threshold, 6), task)
