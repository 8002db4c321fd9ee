"""Renders what a network reads of a dataset: what to put where, what follows from the data, what it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.text import Text

from taorunner.catalog.layouts import Computed, DataLayout, Input
from taorunner.console.base.cells import folded, folded_fact, listed
from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import Symbols
from taorunner.planning.weights.choice import start_weights

_FACTS = ("labels", "ids", "background", "images", "pairing", "order", "inference")


def layout_lines(layout: DataLayout, width: int, symbols: Symbols) -> list[Text]:
    """Empty for a network of which nothing is known."""
    if not layout.put:
        return []
    below = "in data/NAME" if layout.dataset else "in data/DATASET"
    lines = [Text(), *_places({below: "what belongs there"}, layout.put, width)]
    if layout.dataset:
        lines += folded_fact("dataset", f"NAME/{layout.dataset} in experiments.yml", width)
    if layout.form is not None:
        lines += folded_fact(
            "written by", f"taorunner dataset convert --to {layout.form}, then dataset split", width
        )
    lines.append(Text())
    for name in _FACTS:
        if name in layout.facts:
            lines += folded_fact(name, layout.facts[name], width)
    lines += listed("left out without a word", layout.facts.get("left_out", ()), width, symbols)
    lines += listed("TAO stops at", layout.facts.get("stops", ()), width, symbols)
    computed = (
        f"{', '.join(one.keys)}: {one.rule}" + (f" (by hand: {one.by_hand})" if one.by_hand else "")
        for one in layout.computed
    )
    lines += listed("follows from the data", computed, width, symbols)
    lines += listed("backbones (--backbone)", _backbones(layout), width, symbols)
    weights = [
        f"{one.model} in {one.key}"
        + (f": {one.covers}" if one.covers else "")
        + (f"; only for {one.only}" if one.only else "")
        for one in layout.weights
    ]
    without = layout.facts.get("without_weights")
    lines += listed(
        "starts from", [*weights, *([f"without weights: {without}"] if without else [])], width, symbols
    )
    start = [f"{name.replace('_', ' ')} {value}" for name, value in layout.start.items() if name != "source"]
    return lines + listed("starting values", [*start, f"source: {layout.start['source']}"], width, symbols)


def _backbones(layout: DataLayout) -> list[str]:
    """Those that have weights first, one a line; then the others."""
    if layout.backbones is None:
        return []
    found = {name: start_weights(layout, name) for name in layout.backbones.names}
    having = [f"{name}: {weights.model}" for name, weights in found.items() if weights is not None]
    others = ", ".join(name for name, weights in found.items() if weights is None)
    if not having:
        return [others]
    return [*having, *([f"without known weights: {others}"] if others else [])]


def _backbones_json(layout: DataLayout) -> dict[str, Any] | None:
    if layout.backbones is None:
        return None
    rows = []
    for one in layout.backbones.all:
        weights = start_weights(layout, one.name)
        rows.append({
            "name": one.name, "named_by": dict(one.named_by), "sets": dict(one.sets),
            "weights": None if weights is None else weights.model, "key": None if weights is None else weights.key,
        })  # fmt: skip
    aliases = dict(layout.backbones.aliases)
    return {
        "keys": layout.backbones.keys,
        "names": rows,
        "aliases": aliases,
        "source": layout.backbones.source,
    }


def _places(head: Mapping[str, str], put: Mapping[str, str], width: int) -> list[Text]:
    """Two columns; the second is folded, because nothing of it may be lost."""
    left = max(map(len, (*head, *put)))
    lines: list[Text] = []
    for rows, styles in ((head, ("label", "label")), (put, ("name", ""))):
        for place, what in rows.items():
            first, *more = folded(what, width - left - 2)
            lines.append(Text.assemble((clean(place).ljust(left), styles[0]), "  ", (first, styles[1])))
            lines += [Text(" " * (left + 2) + line) for line in more]
    return lines


def layout_json(layout: DataLayout | None) -> dict[str, Any] | None:
    """As in the catalog, after ``like`` was followed."""
    if layout is None:
        return None
    return {
        "form": layout.form,
        "dataset": layout.dataset,
        "put": dict(layout.put),
        "inputs": [_input(one) for one in layout.inputs],
        "arguments": [_input(one) for one in layout.arguments],
        "computed": [_computed(one) for one in layout.computed],
        "backbones": _backbones_json(layout),
        "weights": [asdict(one) for one in layout.weights],
        "start": dict(layout.start),
        **layout.facts,
    }


def _input(one: Input) -> Mapping[str, Any]:
    return {**asdict(one), "kind": one.kind.value}


def _computed(one: Computed) -> Mapping[str, Any]:
    counts = one.counts.value if one.counts is not None else None
    return {"keys": one.keys, "from": one.source, "rule": one.rule, "counts": counts, "of": one.of}
