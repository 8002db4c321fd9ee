"""What an evaluation on the host found: the values, and the stable shape that ``--json`` prints."""

from __future__ import annotations

from typing import Any

from taorunner.errors import Finding
from taorunner.values.value import Value


class Protocol(Value):
    """How it was measured. ``iou``: lowest and highest overlap that counts, in steps of 0.05; ``max_dets``: boxes of an
    image, the best by score; ``min_score``: the lowest score that was given."""

    library: str
    version: str
    iou: tuple[float, float]
    max_dets: int
    min_score: float


class ClassScore(Value):
    """Fractions; None where the truth has no box of the class. ``best_f1`` is the best harmonic mean of precision and
    recall at an overlap of 0.5, ``at_score`` the lowest score of the predictions it is reached with."""

    name: str
    truths: int
    ap: float | None
    ap50: float | None
    best_f1: float | None
    at_score: float | None


class Confusion(Value):
    """``matrix[truth][predicted]`` counts boxes with at least ``score`` that overlap by 0.5; the last row holds
    predictions of no object, the last column objects without a prediction."""

    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    score: float


class WorstImage(Value):
    """``image``: its path below the dataset. ``tp``, ``fp``, ``fn``: right, wrong and missed boxes at the score of
    ``Confusion``."""

    image: str
    tp: int
    fp: int
    fn: int


class Suspect(Value):
    """A label that may be wrong: a sure prediction where the truth has nothing (``kind`` "missing_annotation") or
    another class ("wrong_label"). ``box`` is x_min, y_min, x_max, y_max of the prediction, in pixels."""

    image: str
    kind: str
    predicted: str
    truth: str | None
    score: float
    box: tuple[float, float, float, float]


class Evaluation(Value):
    """``overall``: AP, AP50, AP75, of small, medium and large boxes, and AR100, as fractions or None. ``errors``: how
    many points of AP50 each kind of error costs. ``pr``: by class, up to 101 points of recall, precision and score."""

    protocol: Protocol
    data: dict[str, Any]
    overall: dict[str, float | None]
    per_class: tuple[ClassScore, ...]
    errors: dict[str, float]
    confusion: Confusion
    pr: dict[str, tuple[tuple[float, float, float], ...]]
    worst: tuple[WorstImage, ...]
    label_suspects: tuple[Suspect, ...]
    missing: int
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The stable shape that ``--json`` prints."""
        return {
            "protocol": {
                "library": self.protocol.library, "version": self.protocol.version, "iou": list(self.protocol.iou),
                "max_dets": self.protocol.max_dets, "min_score": self.protocol.min_score,
            },
            "data": self.data,
            "overall": self.overall,
            "per_class": [{"name": one.name, "truths": one.truths, "AP": one.ap, "AP50": one.ap50,
                           "best_f1": one.best_f1, "at_score": one.at_score} for one in self.per_class],
            "errors": self.errors,
            "confusion": {"classes": list(self.confusion.classes), "score": self.confusion.score,
                          "matrix": [list(row) for row in self.confusion.matrix]},
            "pr": {name: [list(point) for point in points] for name, points in self.pr.items()},
            "worst": [{"image": one.image, "tp": one.tp, "fp": one.fp, "fn": one.fn} for one in self.worst],
            "label_suspects": [{"image": one.image, "kind": one.kind, "predicted": one.predicted, "truth": one.truth,
                                "score": one.score, "box": list(one.box)} for one in self.label_suspects],
            "missing": self.missing,
            "findings": [one.to_json() for one in self.findings],
        }  # fmt: skip
