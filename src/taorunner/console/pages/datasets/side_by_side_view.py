"""Shows evaluations of several predictions side by side: what each step after the first one cost, by class."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.findings_text import print_findings, print_text
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.evaluation.measures import BOXES, CLASSES, MASKS, PIXELS
from taorunner.evaluation.result import Evaluation
from taorunner.text import amount

_FIGURES = {BOXES: "AP50", MASKS: "AP50", CLASSES: "F1", PIXELS: "IoU"}
"""The figure of a class that is compared."""
_MEANS = {"IoU": "mIoU"}


def print_side_by_side(found: Sequence[tuple[str, Evaluation]], *, json: bool) -> None:
    """Findings to stderr; to stdout a line for each class, a column for each evaluation with its difference to the
    first one. ``found`` has names and evaluations."""
    if json:
        write_json([done.to_json() for _, done in found], sys.stdout.buffer)
        return
    for _, done in found:
        if done.findings:
            print_findings(make_console(sys.stderr, os.environ), done.findings)
    first = found[0][1]
    figure = _FIGURES[first.task]
    columns = [Column(figure, shrinks_to=12)]
    for place, (name, _) in enumerate(found):
        columns += [Column(clean(name), right=True), *([Column("", right=True)] if place else [])]
    names = dict.fromkeys(one.name for _, done in found for one in done.per_class)
    rows = [_row(name, [_of_class(done, name, figure) for _, done in found]) for name in names] + [
        _row("all", [done.overall.get(_MEANS.get(figure, figure)) for _, done in found])
    ]
    console = make_console(sys.stdout, os.environ)
    for line in laid_out(columns, rows, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)
    for text in dict.fromkeys(_measured(done) for _, done in found):
        print_text(sys.stdout, text)
    for name, done in found[1:]:
        reasons = _unlike(first, done)
        if reasons:
            print_text(sys.stderr, f"{symbols_of(console).unlike} {clean(name)}: {', '.join(reasons)}")


def _of_class(done: Evaluation, name: str, figure: str) -> float | None:
    return next((one.figures.get(figure) for one in done.per_class if one.name == name), None)


def _row(name: str, values: Sequence[float | None]) -> Row:
    cells = [Text(clean(name))]
    for place, value in enumerate(values):
        cells.append(Text("" if value is None else f"{value:.4f}"))
        if place:
            first = values[0]
            cells.append(Text("" if value is None or first is None else f"{value - first:+.4f}"))
    return Row(tuple(cells))


def _measured(done: Evaluation) -> str:
    subset = f"{clean(done.data.split)}, " if done.data.split else ""
    return f"{done.protocol.text}; {subset}{amount(done.data.images, 'image')}"


def _unlike(first: Evaluation, other: Evaluation) -> list[str]:
    """Why the figures of two evaluations say little beside each other."""
    reasons = []
    if (first.task, first.protocol.name, first.protocol.settings) != (
        other.task, other.protocol.name, other.protocol.settings,
    ):  # fmt: skip
        reasons.append("measured otherwise")
    if first.data.fingerprint != other.data.fingerprint:
        reasons.append("other labels")
    return reasons
