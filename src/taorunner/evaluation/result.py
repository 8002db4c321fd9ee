"""What an evaluation on the host found: the values, and the stable shape that ``--json`` prints and a run keeps.

``docs/evaluation.md`` describes the shape for those who read the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.errors import Finding
from taorunner.evaluation.measures import BEST_F1, MEASURES, PREFIXES
from taorunner.values.value import Value, field

VERSION = 1
"""Of the shape. Keys are added without a new version; one that is removed or means something else makes one."""


class Protocol(Value):
    """How it was measured. ``text`` says it in one line. ``settings`` are what two evaluations must have in common to
    be compared; ``min_score`` is the lowest score that was given, None where predictions have none."""

    name: str
    text: str
    library: str
    version: str
    settings: Mapping[str, Any]
    min_score: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "text": self.text, "library": self.library, "version": self.version,
            "settings": dict(self.settings), "min_score": self.min_score,
        }  # fmt: skip


class ClassScore(Value):
    """``figures`` by the names in ``MEASURES``; None where the truth has nothing of the class. ``at_score``: the lowest
    score of the predictions that the best F1 is reached with."""

    name: str
    truths: int
    figures: Mapping[str, float | None]
    at_score: float | None = None


class Confusion(Value):
    """``matrix[truth][predicted]`` counts; ``unit`` is what: boxes, masks, images or pixels.

    Of boxes and masks those with at least ``score`` that overlap by 0.5 count; the last row holds predictions of no
    object, the last column objects without a prediction.
    """

    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    score: float | None = None
    unit: str = "boxes"


class Drawn(Value):
    """A box in an image: ``kind`` is "right" or "wrong" of a prediction, "missed" of an object. ``box`` is x_min,
    y_min, x_max, y_max in pixels."""

    kind: str
    name: str
    score: float | None
    box: tuple[float, float, float, float]


class WorstImage(Value):
    """``image``: its path below the dataset. ``counts``: of boxes and masks ``tp``, ``fp`` and ``fn``, which are right,
    wrong and missed at the score of ``Confusion``. ``truth``, ``predicted`` and ``score`` are those of a classified
    image, ``share`` is the part of the pixels that is right. Of ``boxes`` the wrong and missed ones go first."""

    image: str
    width: int
    height: int
    counts: Mapping[str, int] | None = None
    boxes: tuple[Drawn, ...] = ()
    truth: str | None = None
    predicted: str | None = None
    score: float | None = None
    share: float | None = None

    @property
    def said(self) -> str:
        """``3 wrong, 2 missed``"""
        if self.counts is not None:
            return f"{self.counts['fp']} wrong, {self.counts['fn']} missed"
        if self.share is not None:
            return f"{self.share:.0%} of the pixels right"
        return f'"{self.truth}" taken for "{self.predicted}" ({self.score or 0.0:.2f})'

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"image": self.image, "width": self.width, "height": self.height}
        if self.counts is not None:
            boxes = [
                {"kind": one.kind, "name": one.name, "score": one.score, "box": list(one.box)}
                for one in self.boxes
            ]
            return {**body, **self.counts, "boxes": boxes}
        if self.share is not None:
            return {**body, "share": self.share}
        return {**body, "truth": self.truth, "predicted": self.predicted, "score": self.score}


class Suspect(Value):
    """A label that may be wrong: a sure prediction where the truth has nothing (``kind`` "missing_annotation") or
    another class ("wrong_label"). ``box`` is x_min, y_min, x_max, y_max of the prediction, in pixels; None of an image
    that was classified."""

    image: str
    kind: str
    predicted: str
    truth: str | None
    score: float
    box: tuple[float, float, float, float] | None


class Data(Value):
    """What it was compared with. ``folder`` is None where it is not there to stay: an unpacked archive. ``fingerprint``
    is the SHA-256 of the images, classes and objects that were compared."""

    name: str
    folder: str | None
    split: str | None
    images: int
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "folder": self.folder, "split": self.split, "images": self.images,
            "fingerprint": self.fingerprint,
        }  # fmt: skip


class Evaluation(Value):
    """``task`` is one of ``MEASURES``. ``overall``: fractions by the names that it has there, or None.

    ``errors``: how many points of AP50 each kind of error costs. ``pr``: by class, up to 101 points of recall,
    precision and score. Both are empty where there are no boxes or masks.
    """

    task: str
    protocol: Protocol
    data: Data
    overall: Mapping[str, float | None]
    per_class: tuple[ClassScore, ...]
    confusion: Confusion
    worst: tuple[WorstImage, ...]
    label_suspects: tuple[Suspect, ...] = ()
    errors: Mapping[str, float] = field(default_factory=dict)
    pr: Mapping[str, tuple[tuple[float, float, float], ...]] = field(default_factory=dict)
    missing: int = 0
    findings: tuple[Finding, ...] = ()

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The figures as metrics of a run: ``host/AP50``, ``host/AP50/car``; those that were measured."""
        own = MEASURES[self.task]
        found = [(name, self.overall.get(name)) for name in own]
        found += [
            (f"{name}/{one.name}", one.figures.get(name))
            for name, measure in own.items() if measure.by_class for one in self.per_class
        ]  # fmt: skip
        for name, value in found:
            measure = own[name.partition("/")[0]]
            if value is not None:
                yield {
                    "name": PREFIXES[self.task] + name, "value": value, "direction": measure.direction.value,
                    "scale": measure.scale.value, "ranks": measure.ranks and "/" not in name,
                }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The stable shape that ``--json`` prints."""
        return {
            "version": VERSION,
            "task": self.task,
            "metrics": list(self.metrics()),
            "protocol": self.protocol.to_json(),
            "data": self.data.to_json(),
            "overall": dict(self.overall),
            "per_class": [
                {"name": one.name, "truths": one.truths, **one.figures}
                | ({"at_score": one.at_score} if BEST_F1 in one.figures else {})
                for one in self.per_class
            ],
            "errors": dict(self.errors),
            "confusion": {
                "classes": list(self.confusion.classes), "unit": self.confusion.unit, "score": self.confusion.score,
                "matrix": [list(row) for row in self.confusion.matrix],
            },
            "pr": {name: [list(point) for point in points] for name, points in self.pr.items()},
            "worst": [one.to_json() for one in self.worst],
            "label_suspects": [
                {"image": one.image, "kind": one.kind, "predicted": one.predicted, "truth": one.truth,
                 "score": one.score, "box": None if one.box is None else list(one.box)}
                for one in self.label_suspects
            ],
            "missing": self.missing,
            "findings": [one.to_json() for one in self.findings],
        }  # fmt: skip
