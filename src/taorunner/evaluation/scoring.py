"""Scores predicted boxes: the figures of COCO, the best threshold, and where the mistakes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.evaluation import coco
from taorunner.evaluation.measures import BEST_F1, BOXES, MASKS
from taorunner.evaluation.mistakes import Judged, label_suspects, worst_images
from taorunner.evaluation.predictions import Predictions
from taorunner.evaluation.result import ClassScore, Data, Evaluation
from taorunner.evaluation.truth import Compared
from taorunner.text import amount, printable


def score(compared: Compared, predictions: Predictions, data: Data) -> Evaluation:
    """The evaluation of all classes: of masks where predictions and truth have some, else of boxes.

    Raises MachineError where the extra is not installed, UserFilesError where only some objects have a mask.
    """
    rows = list(compared.kept(predictions))
    findings = list(compared.findings)
    task = MASKS if predictions.masks is not None else BOXES
    if task == MASKS and not compared.has_outlines:
        findings.append(_NO_OUTLINES)
        task = BOXES
    truth = coco.truth_of(compared, task)
    if task == MASKS:
        rows = check_masks(compared, predictions, rows, findings)
        detections, scaled = coco.masks_of(compared, predictions, rows)
        if scaled:
            findings.append(_scaled(scaled))
        measured = coco.run(task, truth, detections)
    else:
        measured = coco.run(task, truth, coco.detections_of(compared, predictions, rows))
    everything = measured.image_diagnostics(iou_thr=0.5, score_thr=0.0)
    best = _best_f1(compared, predictions, rows, everything["dt_status"], truth.counts)
    threshold = best[None][1] or 0.0
    judged = Judged(compared, predictions, rows, truth, everything, threshold)
    per_class = [
        ClassScore(
            name, truth.counts[place], {"AP": ap, "AP50": ap50, BEST_F1: best[place][0]}, best[place][1]
        )
        for place, (name, (ap, ap50)) in enumerate(
            zip(compared.classes, coco.by_class(measured.eval), strict=True)
        )
    ]
    return Evaluation(
        task=task,
        protocol=coco.protocol(task, min((predictions.scores[row] for row in rows), default=0.0)),
        data=data,
        overall=coco.overall(measured.eval),
        per_class=tuple(per_class),
        errors={name: round(float(value), 6) for name, value in measured.tide_errors()["delta_ap"].items()},
        confusion=coco.confusion(task, compared, measured, threshold),
        pr=coco.curves(compared, measured.eval),
        worst=worst_images(judged),
        label_suspects=label_suspects(judged),
        missing=compared.missing,
        findings=tuple(findings),
    )


_NO_OUTLINES = Finding(
    Severity.WARNING, "truth-no-masks", "the truth has no outlines: boxes are compared, not masks",
    "give the COCO dataset with the outlines: --truth DATASET",
)  # fmt: skip


def _scaled(count: int) -> Finding:
    message = f"{amount(count, 'mask')} in another size than the image: cut and scaled back"
    return Finding(Severity.INFO, "prediction-mask-size", message)


def check_masks(
    compared: Compared, predictions: Predictions, rows: Sequence[int], findings: list[Finding]
) -> list[int]:
    """The predictions that have a mask; the others are left out with a finding.

    Raises UserFilesError where an object of the truth has no outline.
    """
    for image in compared.images:
        without = sum(
            not box.segmentation and not box.iscrowd and box.name in compared.classes for box in image.boxes
        )
        if without:
            raise UserFilesError(
                f'"{printable(image.path.name)}" has {amount(without, "object")} without an outline: '
                "masks cannot be compared",
                hint="give every object an outline, or predictions without masks",
            )
    masks = predictions.masks or []
    kept = [row for row in rows if masks[row]]
    if len(kept) < len(rows):
        message = f"{amount(len(rows) - len(kept), 'prediction')} left out: without a mask, which others have"
        findings.append(Finding(Severity.WARNING, "prediction-no-mask", message))
    return kept


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
    import numpy as np

    verdicts = np.array(
        [_VERDICTS.get(status.get(number, ""), -1) for number in range(1, len(rows) + 1)], dtype=int
    )
    chosen = np.array(rows, dtype=np.int64)[verdicts >= 0]
    classes = np.array([-1 if one is None else one for one in compared.class_of], dtype=int)
    scores = np.array(predictions.scores)[chosen]
    places = classes[np.array(predictions.name, dtype=np.int64)[chosen]] if len(chosen) else chosen
    right = verdicts[verdicts >= 0] == 1
    best: dict[int | None, tuple[float | None, float | None]] = {
        None: _highest_f1(scores, right, sum(truths))
    }
    for place, count in enumerate(truths):
        best[place] = _highest_f1(scores[places == place], right[places == place], count)
    return best


_VERDICTS = {"tp": 1, "fp": 0}


def _highest_f1(scores: Any, right: Any, truths: int) -> tuple[float | None, float | None]:
    import numpy as np

    if not truths:
        return None, None
    if not len(scores):
        return 0.0, None
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    f1 = 2 * np.cumsum(right[order]) / (np.arange(1, len(ordered) + 1) + truths)
    f1[:-1][ordered[1:] == ordered[:-1]] = -1.0  # those of one score are above a threshold together
    at = int(f1.argmax())
    return (float(f1[at]), float(ordered[at])) if f1[at] > 0 else (0.0, None)
