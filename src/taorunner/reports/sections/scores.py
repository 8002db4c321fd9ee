"""What evaluations on this machine found: all of them in one table, then each by class, with its mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from taorunner.console.base.formatting import clean, number
from taorunner.page_frame.frame import as_html, text
from taorunner.reports.charts.colours import MOST, style_of
from taorunner.reports.charts.pr_chart import PrLine, pr_chart
from taorunner.reports.scored import Scored, ScoredClass, WorstImage, WrongBox
from taorunner.reports.sections.words import shortened
from taorunner.text import amount
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taorunner.page_frame.frame import Html

MOST_CLASSES, MOST_MATRIX, MOST_SCORED = 60, 20, 12
_BARS = ("AP", "mask_AP", "F1", "IoU", "AP50")
"""The figure of a class that has a bar: the first one of these that it has."""
_MOST_PAIRS = 12
_NAMES = {"best_f1": "best F1"}

Picture = Callable[[Scored, WorstImage], str]
"""The address of a small copy of an image, or "" where there is none."""


class Summary(Value):
    """A line of the table of all evaluations. ``unlike``: why it says little beside the first one."""

    experiment: str
    run: str
    figures: tuple[str, ...]
    unlike: str


class ClassRow(Value):
    """``width`` of the bar in percent; None without a value."""

    name: str
    style: str
    truths: str
    figures: tuple[str, ...]
    width: str | None


class Matrix(Value):
    """``rows`` are the truth and its cells: the count, and the share of the row in percent. The first ``known`` rows
    and columns are classes."""

    known: int
    classes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, float], ...]], ...]


class Figure(Value):
    svg: Html
    image: str
    facts: str


class Details(Value):
    """``pairs`` say which classes were taken for which, where there are too many for a matrix."""

    experiment: str
    run: str
    about: str
    heads: tuple[str, ...]
    classes: tuple[ClassRow, ...]
    more_classes: int
    pr: Html
    matrix: Matrix | None
    unit: str
    pairs: tuple[str, ...]
    errors: str
    worst: tuple[Figure, ...]


class Scores(Value):
    heads: tuple[str, ...]
    summary: tuple[Summary, ...]
    details: tuple[Details, ...]
    left_out: int


def scores_of(scored: Sequence[Scored], ids: Mapping[str, str], picture: Picture) -> Scores:
    heads = list(dict.fromkeys(name for one in scored for name in one.overall))[:8]
    summary = [
        Summary(
            shortened(one.record.experiment), clean(ids[one.record.id]),
            tuple(_figure(one.overall.get(name)) for name in heads), "; ".join(_unlike(scored[0], one)),
        )
        for one in scored
    ]  # fmt: skip
    details = tuple(_details(one, ids, picture) for one in scored[:MOST_SCORED])
    return Scores(
        tuple(_NAMES.get(name, clean(name)) for name in heads), tuple(summary), details,
        max(0, len(scored) - MOST_SCORED),
    )  # fmt: skip


def _unlike(first: Scored, one: Scored) -> list[str]:
    reasons = []
    if one.model and one.record.experiment == first.record.experiment and one.model != first.model:
        reasons.append(f"other weights: {shortened(one.model)}")
    if one.protocol != first.protocol:
        reasons.append(f"measured otherwise: {clean(one.protocol)}")
    data = [(each.fingerprint or each.dataset, each.split, each.images) for each in (first, one)]
    if data[0] != data[1]:
        reasons.append(f"other data: {_data(one)}")
    return reasons


def _details(one: Scored, ids: Mapping[str, str], picture: Picture) -> Details:
    heads = list(dict.fromkeys(name for row in one.classes for name in row.figures))[:6]
    barred = next((name for name in _BARS if name in heads), heads[0] if heads else "")
    rows = one.classes[:MOST_CLASSES]
    has_score = any(row.at_score is not None for row in rows)
    order = {row.name: place for place, row in enumerate(rows)}
    lines = [
        PrLine(shortened(name), style_of(order.get(name, MOST)), points)
        for name, points in sorted(one.curves.items(), key=lambda each: order.get(each[0], MOST))
    ]
    is_small = 0 < len(one.confused) <= MOST_MATRIX
    title = f"precision over recall of {shortened(one.record.experiment)}"
    return Details(
        shortened(one.record.experiment), clean(ids[one.record.id]),
        "; ".join(clean(part) for part in (one.protocol, _data(one)) if part),
        tuple(_NAMES.get(name, clean(name)) for name in heads) + (("at score",) if has_score else ()),
        tuple(_class_row(row, place, heads, barred, has_score=has_score) for place, row in enumerate(rows)),
        len(one.classes) - len(rows), as_html(pr_chart(title, lines) if lines else ""),
        _matrix(one) if is_small else None, clean(one.unit), () if is_small else tuple(_pairs(one)),
        ", ".join(f"{clean(name)} {number(value)}" for name, value in one.errors.items() if value),
        tuple(_drawn(one, image, picture) for image in one.worst),
    )  # fmt: skip


def _data(one: Scored) -> str:
    parts = [shortened(one.dataset)] if one.dataset else []
    parts += [shortened(one.split)] if one.split else []
    parts += [amount(one.images, "image")] if one.images is not None else []
    return ", ".join(parts)


def _class_row(
    row: ScoredClass, place: int, heads: Sequence[str], barred: str, *, has_score: bool
) -> ClassRow:
    value = row.figures.get(barred)
    figures = [_figure(row.figures.get(name)) for name in heads]
    figures += [_figure(row.at_score)] if has_score else []
    width = f"{100 * min(1.0, max(0.0, value)):.1f}" if value is not None else None
    return ClassRow(shortened(row.name, 36), style_of(place), f"{row.truths:,}", tuple(figures), width)


def _matrix(one: Scored) -> Matrix:
    names = [shortened(name, 24) for name in one.confused]
    is_square = len(one.counts) == len(names)
    rows = []
    for truth, row in zip([*names, *(() if is_square else ("no object",))], one.counts, strict=True):
        whole = max(1, sum(row))
        rows.append((truth, tuple((count, 100 * count / whole) for count in row)))
    return Matrix(len(names), (*names, *(() if is_square else ("missed",))), tuple(rows))


def _pairs(one: Scored) -> list[str]:
    """``truck taken for car: 31``, the most frequent first."""
    names = [*one.confused, *([""] if len(one.counts) > len(one.confused) else [])]
    found = [
        (count, truth, taken)
        for truth, row in zip(names, one.counts, strict=True)
        for taken, count in zip(names, row, strict=True)
        if count and truth and taken and truth != taken
    ]
    found.sort(key=lambda each: (-each[0], each[1], each[2]))
    return [
        f"{shortened(truth)} taken for {shortened(taken)}: {count:,}"
        for count, truth, taken in found[:_MOST_PAIRS]
    ]


def _drawn(one: Scored, image: WorstImage, picture: Picture) -> Figure:
    """The image with its boxes; without a picture of it the boxes alone."""
    address = picture(one, image)
    facts = [part for part in (image.facts, "" if address else "image not found") if part]
    name = shortened(image.image, 60)
    if not address and (image.size is None or not image.boxes):
        return Figure(as_html(""), name, "; ".join(facts))
    width, height = image.size or (4.0, 3.0)
    inside = f'<image href="{address}" width="{width:g}" height="{height:g}"/>' if address else ""
    boxes = "".join(map(_rectangle, image.boxes)) if image.size is not None else ""
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text(name)}">'
    return Figure(as_html(f"{head}{inside}{boxes}</svg>"), name, "; ".join(facts))


def _rectangle(box: WrongBox) -> str:
    x_min, y_min, x_max, y_max = box.box
    width, height = max(0.0, x_max - x_min), max(0.0, y_max - y_min)
    return (
        f'<rect class="{box.kind}" x="{x_min:.1f}" y="{y_min:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{text(f'{box.kind}: {shortened(box.name)}')}</title></rect>"
    )


def _figure(value: float | None) -> str:
    return "" if value is None else number(value)


def image_path(root: Path, image: str) -> Path | None:
    """Where the image is below the dataset; None for a path that leads elsewhere."""
    parts = PurePosixPath(image).parts
    if not parts or image.startswith("/") or ".." in parts or "\0" in image:
        return None
    return root.joinpath(*parts)
