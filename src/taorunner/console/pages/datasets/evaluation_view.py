"""Shows an evaluation on the host: a table of classes, how it was measured, and where to look next."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.findings_text import print_text
from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import symbols_of
from taorunner.console.pages.datasets.result_view import print_opening
from taorunner.evaluation.measures import BEST_F1, BOXES, CLASSES, MASKS, PIXELS
from taorunner.evaluation.result import Evaluation, WorstImage
from taorunner.text import amount

_ERRORS = {
    "Miss": "missed", "Bkg": "nothing there", "Loc": "place", "Cls": "class", "Both": "class and place",
    "Dupe": "found twice",
}  # fmt: skip
"""Kinds of error, as TIDE names them (Bolya and others, 2020), in words."""
_BOXES = {"AP": "AP", "AP50": "AP50", BEST_F1: "best F1"}
_FIGURES = {
    BOXES: _BOXES, MASKS: _BOXES,
    CLASSES: {"precision": "precision", "recall": "recall", "F1": "F1"},
    PIXELS: {"IoU": "IoU", "F1": "F1", "precision": "precision", "recall": "recall"},
}  # fmt: skip
"""Figures of a class by task, with the heads of their columns."""
_MOST = 3
_EQUAL = 5.1e-5
"""Networks write their figures with four decimals."""


def print_evaluation(
    done: Evaluation, *, json: bool, title: str | None = None, own: tuple[str, str, float] | None = None
) -> None:
    """Findings to stderr; the table and what follows to stdout, below the ``title``.

    ``own`` is what the network's own evaluation says: which figure here it compares with, its name, and its value.
    """
    console = print_opening(done, json=json)
    if console is None:
        return
    if title is not None:
        console.print(Text(f"\nscores of {clean(title)}, on this machine"), soft_wrap=True)
    for line in laid_out(*_table(done), console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)
    for text in _texts(done, has_json=title is None):
        print_text(sys.stdout, text)
    ours = done.overall[own[0]] if own is not None else None
    if own is not None and ours is not None:
        difference = own[2] - ours
        word = "more" if difference > 0 else "less"
        more = "too" if abs(difference) < _EQUAL else f"{abs(difference):.4f} {word}"
        print_text(sys.stdout, f"the network's own {own[1]} is {own[2]:.4f}, {more}")


def _table(done: Evaluation) -> tuple[list[Column], list[Row]]:
    """A class a line, with the figures that its task has; then all of them."""
    figures = _FIGURES[done.task]
    has_scores = any(one.at_score is not None for one in done.per_class)
    columns = [
        Column("class", shrinks_to=12), Column("truths", right=True, drop=1),
        *(Column(word, right=True, drop=3 if place > 1 else None) for place, word in enumerate(figures.values())),
        *([Column("at score", right=True, drop=2)] if has_scores else []),
    ]  # fmt: skip
    rows = []
    for one in done.per_class:
        at = [Text("" if one.at_score is None else f"{one.at_score:.2f}")] if has_scores else []
        values = [Text(_number(one.figures[name])) for name in figures]
        rows.append(Row((Text(clean(one.name)), Text(f"{one.truths:,}"), *values, *at)))
    means = [Text(_number(done.overall.get("mIoU" if name == "IoU" else name))) for name in figures]
    truths = sum(one.truths for one in done.per_class)
    rows.append(Row((Text("all"), Text(f"{truths:,}"), *means, *([Text()] if has_scores else []))))
    return columns, rows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _texts(done: Evaluation, *, has_json: bool) -> Iterator[str]:
    subset = f"{clean(done.data.split)}, " if done.data.split else ""
    yield f"{done.protocol.text}; {subset}{amount(done.data.images, 'image')}"
    plain = [
        f"{name} {value:.4f}"
        for name in ("accuracy", "top5")
        if (value := done.overall.get(name)) is not None
    ]
    if plain:
        yield ", ".join(plain)
    costs = sorted(((done.errors.get(kind, 0.0), word) for kind, word in _ERRORS.items()), reverse=True)
    lost = [f"{word} {cost:.3f}" for cost, word in costs if cost >= 0.0005]
    if lost:
        yield f"lost of AP50: {', '.join(lost)}"
    taken = _confused(done)
    if taken:
        at = "" if done.confusion.score is None else f" at score {done.confusion.score:.2f}"
        yield f"confused{at}: {', '.join(taken)}"
    if done.worst:
        yield f"worst images: {', '.join(_worst(one) for one in done.worst[:_MOST])}"
    if done.label_suspects:
        yield "labels to look at:"
        yield from _suspects(done)
        more = len(done.label_suspects) - _MOST
        if more > 0:
            yield f"  and {more} more" + (" (--json lists them)" if has_json else "")


def _confused(done: Evaluation) -> list[str]:
    """``bolt taken for nut 12 times``, the most frequent first."""
    names, matrix = done.confusion.classes, done.confusion.matrix
    pairs = [
        (matrix[truth][taken], names[truth], names[taken])
        for truth in range(len(names))
        for taken in range(len(names))
        if truth != taken and matrix[truth][taken]
    ]
    pairs.sort(key=lambda one: (-one[0], one[1:]))
    return [
        f"{clean(truth)} taken for {clean(taken)} {_times(count, done.confusion.unit)}"
        for count, truth, taken in pairs[:_MOST]
    ]


def _times(count: int, unit: str) -> str:
    if unit == PIXELS:
        return f"in {count:,} pixels"
    return "once" if count == 1 else f"{count:,} times"


def _worst(one: WorstImage) -> str:
    return f"{clean(one.image)} ({clean(one.said)})"


def _suspects(done: Evaluation) -> Iterator[str]:
    for one in done.label_suspects[:_MOST]:
        there = "has no label" if one.truth is None else f'is labelled "{clean(one.truth)}"'
        yield f'  a "{clean(one.predicted)}" ({one.score:.2f}) in {clean(one.image)} {there}'
