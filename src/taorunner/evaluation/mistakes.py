"""Where a detector was wrong: the worst images with their boxes, and labels that may be wrong themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taorunner.evaluation.coco import Truth
from taorunner.evaluation.predictions import Predictions
from taorunner.evaluation.result import Drawn, Suspect, WorstImage
from taorunner.evaluation.truth import Compared
from taorunner.values.value import Value

_MOST_WORST, _MOST_SUSPECTS, _MOST_DRAWN = 24, 100, 60
"""Images, labels, and boxes of an image, that are kept."""
_SURE = 0.5
"""A prediction with a lower score casts no doubt on a label."""


class Judged(Value):
    """What became of each prediction and object at ``threshold``, by the numbers of the library."""

    compared: Compared
    predictions: Predictions
    rows: Sequence[int]
    truth: Truth
    everything: Mapping[str, Any]
    threshold: float

    def found(self) -> Iterator[tuple[int, int, bool]]:
        """The image, the row and the verdict of each prediction that counts."""
        scores = self.predictions.scores
        for number, verdict in self.everything["dt_status"].items():
            row = self.rows[number - 1]
            if scores[row] < self.threshold:
                continue
            image = self.compared.image_of[self.predictions.image[row]]
            if image is not None and verdict in ("tp", "fp"):
                yield image, row, verdict == "tp"

    def missed(self) -> Iterator[tuple[int, int]]:
        """The image of each object without a prediction, and the row of the object."""
        for number, verdict in self.everything["gt_status"].items():
            finder = self.everything["gt_match"].get(number)
            is_found = finder is not None and self.predictions.scores[self.rows[finder - 1]] >= self.threshold
            if verdict in ("fn", "matched") and not is_found:
                yield int(self.truth.table[number - 1, 0]), number - 1


def worst_images(judged: Judged) -> tuple[WorstImage, ...]:
    """The images with most mistakes, first. The library's own summary of an image counts boxes of every score."""
    wrong, right, missed = Counter[int](), Counter[int](), Counter[int]()
    for image, _, is_right in judged.found():
        (right if is_right else wrong)[image] += 1
    for image, _ in judged.missed():
        missed[image] += 1
    name = judged.compared.name
    rated = sorted({*wrong, *missed}, key=lambda one: (-(wrong[one] + missed[one]), right[one], one))
    drawn = _drawn(judged, set(rated[:_MOST_WORST]))
    return tuple(
        WorstImage(
            name(one), judged.compared.images[one].width, judged.compared.images[one].height,
            {"tp": right[one], "fp": wrong[one], "fn": missed[one]}, tuple(drawn[one][:_MOST_DRAWN]),
        )
        for one in rated[:_MOST_WORST]
    )  # fmt: skip


def _drawn(judged: Judged, images: set[int]) -> Mapping[int, list[Drawn]]:
    """The boxes of ``images``: wrong ones first, by their scores, then missed ones, then right ones."""
    made: defaultdict[int, list[Drawn]] = defaultdict(list)
    predictions = judged.predictions
    for image, row, is_right in judged.found():
        if image in images:
            name, score = predictions.names[predictions.name[row]], round(predictions.scores[row], 4)
            made[image].append(
                Drawn("right" if is_right else "wrong", name, score, _corners(predictions, row))
            )
    for image, row in judged.missed():
        if image in images:
            _, place, left, top, width, height = judged.truth.table[row].tolist()
            corners = (left, top, left + width, top + height)
            made[image].append(Drawn("missed", judged.compared.classes[int(place)], None, _rounded(corners)))
    order = ("wrong", "missed", "right")
    for boxes in made.values():
        boxes.sort(key=lambda one: (order.index(one.kind), -(one.score or 0.0)))
    return made


def label_suspects(judged: Judged) -> tuple[Suspect, ...]:
    """The surest first. A label is doubted only from the score with the best F1 on, and from ``_SURE`` on."""
    least = max(judged.threshold, _SURE)
    found = [one for one in judged.everything["label_errors"] if one["dt_score"] >= least]
    return tuple(
        Suspect(
            judged.compared.name(one["image_id"] - 1), one["type"], one["dt_category"], one["gt_category"],
            round(one["dt_score"], 6), _corners(judged.predictions, judged.rows[one["dt_id"] - 1]),
        )
        for one in sorted(found, key=lambda one: -one["dt_score"])[:_MOST_SUSPECTS]
    )  # fmt: skip


def _corners(predictions: Predictions, row: int) -> tuple[float, float, float, float]:
    return _rounded([column[row] for column in predictions.corners])


def _rounded(corners: Sequence[float]) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = (round(one, 2) for one in corners)
    return x_min, y_min, x_max, y_max
