"""Reads what evaluations on this machine found: ``evaluation.json`` in the folders of runs.

A file of another version may have more or fewer keys, so each is looked at by itself: what is not there, or is not what
it should be, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from taorunner.runs.inputs.run_lock import read_lock
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.state_files import read_state
from taorunner.values.bounded_reading import parse_json
from taorunner.values.value import Value, field, replace

FILE = "evaluation.json"
_FACTS = frozenset({"name", "truths", "at_score"})
_MOST_CLASSES, _MOST_IMAGES, _MOST_BOXES = 1000, 24, 200


class ScoredClass(Value):
    """``figures`` by name, such as AP and AP50; None where there is nothing to measure."""

    name: str
    truths: int
    figures: Mapping[str, float | None]
    at_score: float | None = None


class WrongBox(Value):
    """``kind`` is "right", "wrong" or "missed"; ``box`` in pixels: x_min, y_min, x_max, y_max."""

    kind: str
    name: str
    box: tuple[float, float, float, float]


class WorstImage(Value):
    """``facts`` says in words what is wrong. ``size`` in pixels, None where it is not on record."""

    image: str
    facts: str
    size: tuple[float, float] | None = None
    boxes: tuple[WrongBox, ...] = ()


class Scored(Value):
    """``record`` is the inference that was scored, ``model`` the name of the file of weights that it read. ``protocol``
    is how, in one line. ``dataset`` is its name below data/, ``folder`` a path; None where it is not known.
    ``confused`` are the classes of ``counts``, which are by truth and by prediction, with one row and column more where
    boxes are counted: for no object, and for missed ones."""

    record: RunRecord
    model: str = ""
    protocol: str = ""
    dataset: str | None = None
    folder: str | None = None
    images: int | None = None
    fingerprint: str | None = None
    split: str | None = None
    overall: Mapping[str, float] = field(default_factory=dict)
    classes: tuple[ScoredClass, ...] = ()
    errors: Mapping[str, float] = field(default_factory=dict)
    confused: tuple[str, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    unit: str = "boxes"
    curves: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    worst: tuple[WorstImage, ...] = ()


def scored_runs(store: RunStore, records: Iterable[RunRecord]) -> Iterator[Scored]:
    """Of the runs those that were scored. Never raises for their files."""
    for record in records:
        try:
            body = parse_json(read_state(store.paths(record.id).directory / FILE, store.trust()))
        except (OSError, ValueError):
            continue
        if isinstance(body, dict):
            found = _scored(record, body)
            if found.overall or found.classes:
                yield replace(found, model=_model(store, record))


def _model(store: RunStore, record: RunRecord) -> str:
    lock = read_lock(store, record.id)
    return lock.weights[0].path.rpartition("/")[2] if lock is not None and lock.weights else ""


def _scored(record: RunRecord, body: Mapping[str, Any]) -> Scored:
    data, confusion = _dict(body.get("data")), _dict(body.get("confusion"))
    classes, counts = _confusion(confusion)
    return Scored(
        record, "", _protocol(_dict(body.get("protocol"))), _text(data.get("name")), _text(data.get("folder")),
        _count(data.get("images")), _text(data.get("fingerprint")), _text(data.get("split")),
        _numbers(body.get("overall")), tuple(_classes(body.get("per_class"))), _numbers(body.get("errors")),
        classes, counts, _text(confusion.get("unit")) or "boxes", dict(_curves(body.get("pr"))),
        tuple(_worst(body.get("worst"))),
    )  # fmt: skip


def _protocol(protocol: Mapping[str, Any]) -> str:
    said = _text(protocol.get("text"))
    if said:
        return said
    overlap, score = protocol.get("iou"), _number(protocol.get("min_score"))
    known = [_number(one) for one in overlap] if isinstance(overlap, list) else []
    parts = [f"IoU {known[0]:.2f}:{known[1]:.2f}"] if len(known) == 2 and None not in known else []
    parts += [f"{protocol['max_dets']} boxes an image"] if _count(protocol.get("max_dets")) else []
    parts += [f"score from {score:g}"] if score is not None else []
    return ", ".join(parts)


def _classes(rows: object) -> Iterator[ScoredClass]:
    for row in _list(rows)[:_MOST_CLASSES]:
        name = _text(_dict(row).get("name"))
        if name is not None:
            figures = {
                str(key): _number(value)
                for key, value in row.items()
                if key not in _FACTS and (value is None or _number(value) is not None)
            }
            yield ScoredClass(name, _count(row.get("truths")) or 0, figures, _number(row.get("at_score")))


def _confusion(body: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    names = [_text(name) for name in _list(body.get("classes"))]
    rows = [[_count(cell) for cell in _list(row)] for row in _list(body.get("matrix"))]
    known = [one for one in names if one is not None]
    cells = [tuple(cell for cell in row if cell is not None) for row in rows]
    widths = {len(row) for row in cells}
    is_whole = len(known) == len(names) > 0 and len(cells) in (len(names), len(names) + 1)
    if not is_whole or widths != {len(cells)} or len(known) > _MOST_CLASSES:
        return (), ()
    return tuple(known), tuple(cells)


def _curves(body: object) -> Iterator[tuple[str, tuple[tuple[float, float], ...]]]:
    for name, points in list(_dict(body).items())[:_MOST_CLASSES]:
        found = []
        for point in _list(points)[:1000]:
            recall, precision = ([_number(one) for one in _list(point)] + [None, None])[:2]
            if recall is not None and precision is not None:
                found.append((recall, precision))
        if found:
            yield str(name), tuple(sorted(found))


def _worst(rows: object) -> Iterator[WorstImage]:
    for row in _list(rows)[:_MOST_IMAGES]:
        body = _dict(row)
        image = _text(body.get("image"))
        if image is None:
            continue
        width, height = _number(body.get("width")), _number(body.get("height"))
        size = (width, height) if width and height and width > 0 and height > 0 else None
        yield WorstImage(image, _facts(body), size, tuple(_boxes(body.get("boxes"))))


def _facts(body: Mapping[str, Any]) -> str:
    counts = [
        f"{_count(body.get(key))} {word}"
        for key, word in (("fp", "wrong"), ("fn", "missed"), ("tp", "right"))
        if _count(body.get(key)) is not None
    ]
    truth, predicted, share = (
        _text(body.get("truth")),
        _text(body.get("predicted")),
        _number(body.get("share")),
    )
    if truth is not None and predicted is not None:
        counts.append(f"{truth} taken for {predicted}")
    if share is not None:
        counts.append(f"{100 * share:.0f} % of the pixels right")
    return ", ".join(counts)


def _boxes(rows: object) -> Iterator[WrongBox]:
    for row in _list(rows)[:_MOST_BOXES]:
        body = _dict(row)
        corners = [_number(one) for one in _list(body.get("box"))]
        known = [one for one in corners if one is not None]
        if len(known) == len(corners) == 4:
            kind = body.get("kind") if body.get("kind") in ("right", "wrong", "missed") else "wrong"
            yield WrongBox(str(kind), _text(body.get("name")) or "", (known[0], known[1], known[2], known[3]))


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None


def _count(value: object) -> int | None:
    found = _number(value)
    return int(found) if found is not None and found >= 0 and found == int(found) else None


def _numbers(body: object) -> dict[str, float]:
    found = {str(key): _number(value) for key, value in _dict(body).items()}
    return {key: value for key, value in found.items() if value is not None}
