"""Scores the table that the inference of a classification network writes: ``result.csv``.

A row is the path of an image, the class with the highest score, and that score. TAO's PyTorch networks write a head,
and the score of every class where the images are labelled.
Source: NVIDIA-TAO/tao-pytorch cv/classification_pyt/model/classifier_pl_model.py; NVIDIA-TAO/tao-deploy
cv/classification_pyt, _tf1, _tf2 scripts/inference.py; NVIDIA/tao_tensorflow1_backend cv/makenet/scripts/inference.py.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from os.path import normpath, splitext
from pathlib import Path
from typing import Any

from taorunner.errors import UserFilesError
from taorunner.evaluation.measures import CLASSES
from taorunner.evaluation.predictions import LONGEST_NAME, MOST_NAMES, Predictions, Problems
from taorunner.evaluation.result import (
    ClassScore,
    Confusion,
    Data,
    Evaluation,
    Protocol,
    Suspect,
    WorstImage,
)
from taorunner.evaluation.truth import Compared
from taorunner.values.value import Value
from taorunner.version import __version__

MOST_BYTES = 256 * 1024**2
_HEAD, _LABEL, _SCORE = "img_name", "pred_label", "pred_score"
_TOP = 5
_SURE = 0.9
_MOST_WORST, _MOST_SUSPECTS = 24, 100


class Table(Value):
    """``predictions`` has one entry for each image, with the class as its name. ``shares`` are the scores of all
    classes, by the places in ``names``; empty where the table does not have them."""

    predictions: Predictions
    names: Sequence[str]
    shares: Sequence[Sequence[float]]


def read_table(path: Path, data: bytes) -> Table:
    """Rows that cannot be used are left out with a finding. Raises UserFilesError where there is none."""
    problems = Problems()
    if len(data) > MOST_BYTES:
        raise UserFilesError(f'"{path.name}" is larger than 256 MiB', hint="infer fewer images at once")
    rows = _rows(path, data.decode("utf-8-sig", "replace"), problems)
    first = next(rows, None)
    head = first[1] if first is not None and first[1][:1] == [_HEAD] else None
    columns = _columns(head)
    made, names, keys = Predictions(), dict[str, int](), set[str]()
    shares: list[list[float]] = []
    for number, row in rows if head is not None else _again(first, rows):
        score = _number(row[columns[1]]) if len(row) > max(columns[:2]) else None
        if score is None:
            problems.add("bad-row", path, number)
            continue
        key = normpath(splitext(row[0])[0]) if row[0] else ""  # noqa: PTH122 (a text)
        if not key or key in keys:
            problems.add("twice" if key else "bad-row", path, number)
            continue
        listed = [_number(row[place]) for place in columns[2]]
        if any(one is None for one in listed):
            problems.add("bad-row", path, number)
            continue
        if len(row[columns[0]]) > LONGEST_NAME:
            problems.add("bad-row", path, number)
            continue
        if row[columns[0]] not in names and len(names) >= MOST_NAMES:
            problems.add("many-classes", path, number)
            continue
        keys.add(key)
        made.keys.append(key)
        name = names.setdefault(row[columns[0]], len(names))
        made.add(len(made.keys) - 1, name, (0.0, 0.0, 0.0, 0.0), score)
        shares.append([one for one in listed if one is not None])
    made.names = list(names)
    made.findings += problems.findings()
    if not len(made):
        raise UserFilesError(
            f'"{path.name}" has no prediction', findings=made.findings,
            hint="give the result.csv of an inference: image, class, score in each row",
        )  # fmt: skip
    return Table(made, [(head or [])[place] for place in columns[2]], shares)


def score_classes(compared: Compared, table: Table, data: Data) -> Evaluation:
    """The evaluation of classified images. An image without a prediction counts as wrong."""
    answers = list(_answers(compared, table.predictions))
    size = len(compared.classes)
    matrix = [[0] * (size + 1) for _ in range(size + 1)]
    for truth, answer in answers:
        matrix[truth][size if answer is None or answer[0] is None else answer[0]] += 1
    per_class = [_class_score(name, place, matrix) for place, name in enumerate(compared.classes)]
    measured = [one for one in per_class if one.truths]
    right = sum(matrix[place][place] for place in range(size))
    return Evaluation(
        task=CLASSES,
        protocol=Protocol(
            "classification", "classification: the class with the highest score", "taorunner", __version__, {}
        ),
        data=data,
        overall={
            "accuracy": right / len(answers) if answers else None,
            "top5": _top(compared, table),
            **{
                name: _mean([one.figures[name] for one in measured]) for name in ("F1", "precision", "recall")
            },
        },
        per_class=tuple(per_class),
        confusion=Confusion(tuple(compared.classes), tuple(map(tuple, matrix)), unit="images"),
        worst=tuple(_worst(compared, table.predictions, answers)),
        label_suspects=tuple(_suspects(compared, table.predictions, answers)),
        missing=compared.missing,
        findings=tuple(compared.findings),
    )


_Answer = tuple["int | None", int]
"""The place of the predicted class, None for one that the truth does not have; the row."""


def _answers(compared: Compared, predictions: Predictions) -> Iterator[tuple[int, _Answer | None]]:
    """The place of the true class of each image, and what was predicted."""
    rows = {compared.image_of[image]: row for row, image in enumerate(predictions.image)}
    places = {name: place for place, name in enumerate(compared.classes)}
    for number, image in enumerate(compared.images):
        row = rows.get(number)
        answer = None if row is None else (compared.class_of[predictions.name[row]], row)
        yield places[image.boxes[0].name], answer


def _class_score(name: str, place: int, matrix: Sequence[Sequence[int]]) -> ClassScore:
    right, truths = matrix[place][place], sum(matrix[place])
    taken = sum(row[place] for row in matrix)
    figures = {
        "precision": right / taken if taken else 0.0 if truths else None,
        "recall": right / truths if truths else None,
        "F1": 2 * right / (taken + truths) if truths else None,
    }
    return ClassScore(name, truths, figures)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None


def _top(compared: Compared, table: Table) -> float | None:
    """The share of images whose class is among the best five; None where the scores of more classes are not known."""
    if len(table.names) <= _TOP:
        return None
    of_name = {name.casefold(): place for place, name in enumerate(table.names)}
    right = 0
    for row, image in enumerate(table.predictions.image):
        place = compared.image_of[image]
        if place is None:
            continue
        wanted = of_name.get(compared.images[place].boxes[0].name.casefold())
        shares = table.shares[row]
        right += wanted is not None and sum(one > shares[wanted] for one in shares) < _TOP
    return right / len(compared.images) if compared.images else None


def _wrong(
    compared: Compared, predictions: Predictions, answers: Sequence[tuple[int, _Answer | None]]
) -> list[tuple[float, int, str, str]]:
    """Score, image, true and predicted class of each wrong answer, the surest first."""
    found = [
        (predictions.scores[answer[1]], number, compared.classes[truth], predictions.names[predictions.name[answer[1]]])
        for number, (truth, answer) in enumerate(answers)
        if answer is not None and answer[0] != truth
    ]  # fmt: skip
    return sorted(found, key=lambda one: (-one[0], compared.name(one[1])))


def _worst(compared: Compared, predictions: Predictions, answers: Any) -> Iterator[WorstImage]:
    for score, number, truth, predicted in _wrong(compared, predictions, answers)[:_MOST_WORST]:
        image = compared.images[number]
        yield WorstImage(
            compared.name(number), image.width, image.height, truth=truth, predicted=predicted, score=round(score, 4),
        )  # fmt: skip


def _suspects(compared: Compared, predictions: Predictions, answers: Any) -> Iterator[Suspect]:
    for score, number, truth, predicted in _wrong(compared, predictions, answers)[:_MOST_SUSPECTS]:
        if score >= _SURE:
            yield Suspect(compared.name(number), "wrong_label", predicted, truth, round(score, 4), None)


def _rows(path: Path, text: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a field of more than 128 KiB, or a NUL
            problems.add("bad-row", path, reader.line_num)
            continue
        if row:
            yield reader.line_num, row


def _again(first: tuple[int, list[str]] | None, rest: Iterator[tuple[int, list[str]]]) -> Iterator[Any]:
    if first is not None:
        yield first
    yield from rest


def _columns(head: Sequence[str] | None) -> tuple[int, int, Sequence[int]]:
    """The places of the class, of its score, and of the scores of all classes."""
    if head is None or _LABEL not in head or _SCORE not in head:
        return 1, 2, ()
    label = head.index(_LABEL)
    return label, head.index(_SCORE), range(1, label)


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
