"""Scores predicted boxes by the protocol of COCO. The one home of hotcoco.

hotcoco (MIT, one wheel, numpy alone) gives the figures of pycocotools to nine decimals in a thirtieth of the time and a
sixth of the memory; the tests compare the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from taorunner.datasets.model.boxes import corners_of, kinds_of
from taorunner.errors import MachineError
from taorunner.evaluation.predictions import Predictions
from taorunner.evaluation.result import ClassScore, Confusion, Evaluation, Protocol, Suspect, WorstImage
from taorunner.evaluation.truth import Compared

MAX_DETS = 100
"""Of one image, the best by score: COCO's figure."""
_MOST_WORST, _MOST_SUSPECTS = 24, 100
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
_AT_50, _AT_75 = 0, 5
"""Places of the ranges of areas and of overlaps in the arrays of the library, as COCO has them."""


def score(compared: Compared, predictions: Predictions, *, data: Mapping[str, Any]) -> Evaluation:
    """The evaluation of all classes. Raises MachineError where the extra is not installed."""
    library = check_library()
    truth, truths, owners = _truth(library, compared)
    rows = list(compared.kept(predictions))
    measured = _run(library, truth, _detections(compared, predictions, rows))
    arrays = measured.eval
    everything = measured.image_diagnostics(iou_thr=0.5, score_thr=0.0)
    best = _best_f1(compared, predictions, rows, everything["dt_status"], truths)
    threshold = best[None][1] or 0.0
    return Evaluation(
        protocol=Protocol(
            "hotcoco", version("hotcoco"), (0.5, 0.95), MAX_DETS,
            round(min((predictions.scores[row] for row in rows), default=0.0), 6),
        ),
        data=dict(data),
        overall=_overall(arrays),
        per_class=tuple(_class_scores(compared, arrays, truths, best)),
        errors={name: round(float(value), 6) for name, value in measured.tide_errors()["delta_ap"].items()},
        confusion=_confusion(compared, measured, threshold),
        pr=_curves(compared, arrays),
        worst=_worst(compared, predictions, rows, owners, everything, threshold),
        label_suspects=_suspects(compared, predictions, rows, measured, threshold),
        missing=compared.missing,
        findings=tuple(compared.findings),
    )  # fmt: skip


def check_library() -> Any:
    """The module of hotcoco. Raises MachineError where the extra is not installed."""
    try:
        import hotcoco
    except ImportError:
        raise MachineError(
            "evaluation needs hotcoco, which is not installed", hint="pip install 'taorunner[evaluation]'"
        ) from None
    return hotcoco


def _run(library: Any, truth: Any, detections: Any) -> Any:
    measured = library.COCOeval(truth, truth.load_res(detections), "bbox")
    measured.evaluate()
    measured.accumulate()
    return measured


def _truth(library: Any, compared: Compared) -> tuple[Any, list[int], list[int]]:
    """The dataset in the form of the library, the number of boxes of each class, and the place of each box's image.

    Regions that do not count are crowds.
    """
    import numpy as np

    place_of = {name: place for place, name in enumerate(compared.classes)}
    rows, crowds, truths = [], [], [0] * len(compared.classes)
    for number, image in enumerate(compared.images, 1):
        for (name, x_min, y_min, x_max, y_max), kind in zip(
            corners_of(image.boxes), kinds_of(image.boxes), strict=True
        ):
            place = place_of.get(name)
            # A region that does not count has no class of its own: it stands for every class.
            for one in range(len(truths)) if place is None else (place,):
                rows.append((number, one + 1, x_min, y_min, x_max - x_min, y_max - y_min))
                crowds.append(place is None or kind.iscrowd)
            if place is not None and not kind.iscrowd:
                truths[place] += 1
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    images = [
        {"id": number, "width": image.width, "height": image.height, "file_name": image.path.name}
        for number, image in enumerate(compared.images, 1)
    ]
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(compared.classes)]
    truth = library.COCO.from_arrays(
        images, categories, table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:],
        iscrowd=np.array(crowds, dtype=bool),
    )  # fmt: skip
    return truth, truths, [row[0] - 1 for row in rows]


def _detections(compared: Compared, predictions: Predictions, rows: Sequence[int]) -> Any:
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


_Best = Mapping["int | None", "tuple[float | None, float | None]"]


def _best_f1(
    compared: Compared,
    predictions: Predictions,
    rows: Sequence[int],
    status: Mapping[int, str],
    truths: Sequence[int],
) -> _Best:
    """By class, and for all together as None: the best F1 and the lowest score of the predictions that give it.

    A prediction's match does not depend on those with a lower score, so one pass from the highest score gives each F1.
    """
    counted: dict[int | None, list[tuple[float, bool]]] = {None: []}
    for number, row in enumerate(rows, 1):
        verdict = status.get(number)
        if verdict in ("tp", "fp"):
            one = (predictions.scores[row], verdict == "tp")
            counted[None].append(one)
            counted.setdefault(compared.class_of[predictions.name[row]], []).append(one)
    wanted: dict[int | None, int] = {None: sum(truths), **dict(enumerate(truths))}
    return {name: _highest_f1(counted.get(name, []), count) for name, count in wanted.items()}


def _highest_f1(found: list[tuple[float, bool]], truths: int) -> tuple[float | None, float | None]:
    if not truths:
        return None, None
    best, at, right = 0.0, None, 0
    ordered = sorted(found, reverse=True)
    for count, (value, is_right) in enumerate(ordered, 1):
        right += is_right
        if count < len(ordered) and ordered[count][0] == value:
            continue  # those of one score are above a threshold together
        f1 = 2 * right / (count + truths)
        if f1 > best:
            best, at = f1, value
    return best, at


def _overall(arrays: Mapping[str, Any]) -> dict[str, float | None]:
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


def _class_scores(
    compared: Compared, arrays: Mapping[str, Any], truths: Sequence[int], best: _Best
) -> Iterator[ClassScore]:
    """Precision has the axes overlap, recall, class, size of boxes, number of detections."""
    precision = arrays["precision"][:, :, :, _ALL, -1]
    for place, name in enumerate(compared.classes):
        own = precision[:, :, place]
        f1, at = best[place]
        yield ClassScore(
            name, truths[place], _mean(own), _mean(own[_AT_50]), f1, at,
        )  # fmt: skip


def _curves(
    compared: Compared, arrays: Mapping[str, Any]
) -> dict[str, tuple[tuple[float, float, float], ...]]:
    """At an overlap of 0.5. Recalls that are not reached have no point."""
    precision, scores = (arrays[name][_AT_50, :, :, _ALL, -1] for name in ("precision", "scores"))
    return {
        name: tuple(
            (step / 100, round(float(precision[step, place]), 6), round(float(scores[step, place]), 6))
            for step in range(precision.shape[0])
            if precision[step, place] > 0
        )
        for place, name in enumerate(compared.classes)
    }


def _confusion(compared: Compared, measured: Any, threshold: float) -> Confusion:
    made = measured.confusion_matrix(iou_thr=0.5, max_det=MAX_DETS, min_score=threshold)
    matrix = tuple(tuple(int(value) for value in row) for row in made["matrix"])
    return Confusion(tuple(compared.classes), matrix, round(threshold, 6))


def _worst(
    compared: Compared,
    predictions: Predictions,
    rows: Sequence[int],
    owners: Sequence[int],
    everything: Mapping[str, Any],
    threshold: float,
) -> tuple[WorstImage, ...]:
    """The images with most mistakes, first. The library's own summary of an image counts boxes of every score."""
    wrong: Counter[int | None] = Counter()
    right: Counter[int | None] = Counter()
    missed: Counter[int | None] = Counter()
    for number, verdict in everything["dt_status"].items():
        row = rows[number - 1]
        if predictions.scores[row] >= threshold and verdict in ("tp", "fp"):
            (right if verdict == "tp" else wrong)[compared.image_of[predictions.image[row]]] += 1
    for number, verdict in everything["gt_status"].items():
        finder = everything["gt_match"].get(number)
        is_found = finder is not None and predictions.scores[rows[finder - 1]] >= threshold
        if verdict in ("fn", "matched") and not is_found:
            missed[owners[number - 1]] += 1
    places = {place for place in (*wrong, *missed) if place is not None}
    rated = [WorstImage(compared.name(one), right[one], wrong[one], missed[one]) for one in places]
    return tuple(sorted(rated, key=lambda one: (-(one.fp + one.fn), one.tp, one.image))[:_MOST_WORST])


def _suspects(
    compared: Compared, predictions: Predictions, rows: Sequence[int], measured: Any, threshold: float
) -> tuple[Suspect, ...]:
    """The surest first. A label is doubted only from the score with the best F1 on, and from 0.5 on."""
    found = measured.image_diagnostics(iou_thr=0.5, score_thr=max(threshold, 0.5))["label_errors"]
    return tuple(
        Suspect(
            compared.name(one["image_id"] - 1), one["type"], one["dt_category"], one["gt_category"],
            round(one["dt_score"], 6), _corners(predictions, rows[one["dt_id"] - 1]),
        )
        for one in sorted(found, key=lambda one: -one["dt_score"])[:_MOST_SUSPECTS]
    )  # fmt: skip


def _corners(predictions: Predictions, row: int) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = (column[row] for column in predictions.corners)
    return x_min, y_min, x_max, y_max
