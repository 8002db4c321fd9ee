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
from taorunner.evaluation.result import Evaluation, WorstImage
from taorunner.text import amount

_ERRORS = {
    "Miss": "missed", "Bkg": "nothing there", "Loc": "place", "Cls": "class", "Both": "class and place",
    "Dupe": "found twice",
}  # fmt: skip
"""Kinds of error, as TIDE names them (Bolya and others, 2020), in words."""
_MOST = 3


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
    columns = [
        Column("class", shrinks_to=12), Column("truths", right=True, drop=1), Column("AP", right=True),
        Column("AP50", right=True), Column("best F1", right=True, drop=3), Column("at score", right=True, drop=2),
    ]  # fmt: skip
    rows = [_row(one.name, one.truths, one.ap, one.ap50, one.best_f1, one.at_score) for one in done.per_class]
    truths = sum(one.truths for one in done.per_class)
    rows.append(_row("all", truths, done.overall["AP"], done.overall["AP50"], None, None))
    for line in laid_out(columns, rows, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)
    for text in _texts(done, has_json=title is None):
        print_text(sys.stdout, text)
    ours = done.overall[own[0]] if own is not None else None
    if own is not None and ours is not None:
        difference = own[2] - ours
        more = f"{abs(difference):.4f} {'more' if difference > 0 else 'less'}"
        print_text(sys.stdout, f"the network's own {own[1]} is {own[2]:.4f}, {more}")


def _row(
    name: str, truths: int, ap: float | None, ap50: float | None, f1: float | None, at: float | None
) -> Row:
    return Row((
        Text(clean(name)), Text(f"{truths:,}"), Text(_number(ap)), Text(_number(ap50)), Text(_number(f1)),
        Text("" if at is None else f"{at:.2f}"),
    ))  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _texts(done: Evaluation, *, has_json: bool) -> Iterator[str]:
    how, data = done.protocol, done.data
    low, high = how.iou
    subset = f"{clean(data['split'])}, " if data["split"] else ""
    yield (
        f"COCO: IoU {low:.2f}:{high:.2f}, {how.max_dets} boxes an image, score from {how.min_score:g}; "
        f"{subset}{amount(data['images'], 'image')}"
    )
    costs = sorted(((done.errors.get(kind, 0.0), word) for kind, word in _ERRORS.items()), reverse=True)
    lost = [f"{word} {cost:.3f}" for cost, word in costs if cost >= 0.0005]
    if lost:
        yield f"lost of AP50: {', '.join(lost)}"
    taken = _confused(done)
    if taken:
        yield f"confused at score {done.confusion.score:.2f}: {', '.join(taken)}"
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
        f"{clean(truth)} taken for {clean(taken)} {'once' if count == 1 else f'{count:,} times'}"
        for count, truth, taken in pairs[:_MOST]
    ]


def _worst(one: WorstImage) -> str:
    return f"{clean(one.image)} ({one.fp} wrong, {one.fn} missed)"


def _suspects(done: Evaluation) -> Iterator[str]:
    for one in done.label_suspects[:_MOST]:
        there = "has no label" if one.truth is None else f'is labelled "{clean(one.truth)}"'
        yield f'  a "{clean(one.predicted)}" ({one.score:.2f}) in {clean(one.image)} {there}'
