"""Spec files that have nothing in common but their schema: fields, order and values are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator

from taorunner.specs.schema.schema import MISSING, Key, Schema

_PATH = ("path", "dir", "file", "checkpoint", "root")
_MAX_DEPTH = 6


def spec_text(schema: Schema, chance: random.Random, *, leaves: int, only: str | None = None) -> str:
    """A text that agrees with the schema, of about that many values. ``only``: of the actions' sections this one."""
    lines = _proto if schema.format == "prototxt" else _yaml
    budget = [leaves]
    return "\n".join([f"# drawn {chance.random()}", *lines(schema, None, chance, budget, 0, only)]) + "\n"


def _proto(
    schema: Schema, number: int | None, chance: random.Random, budget: list[int], depth: int, only: str | None
) -> Iterator[str]:
    indent = "  " * depth
    for name, key in _drawn(schema, number, chance, depth, only):
        if budget[0] <= 0:
            return
        if key.kind == "section":
            if depth < _MAX_DEPTH:
                yield f"{indent}{name} {{"
                yield from _proto(schema, key.section, chance, budget, depth + 1, only)
                yield f"{indent}}}"
            continue
        budget[0] -= 1
        value = _value(name, key, chance)
        yield f"{indent}{name}: " + (f'"{value}"' if key.kind == "str" else value)


def _yaml(
    schema: Schema, number: int | None, chance: random.Random, budget: list[int], depth: int, only: str | None
) -> Iterator[str]:
    indent = "  " * depth
    for name, key in _drawn(schema, number, chance, depth, only):
        if budget[0] <= 0:
            return
        if key.kind == "section":
            inner = (
                list(_yaml(schema, key.section, chance, budget, depth + 1, only))
                if depth < _MAX_DEPTH
                else []
            )
            if inner:
                yield f"{indent}{name}:"
                yield from inner
        elif key.kind in ("int", "float", "bool", "str", "enum"):
            budget[0] -= 1
            yield f"{indent}{name}: {_value(name, key, chance)}"


def _drawn(
    schema: Schema, number: int | None, chance: random.Random, depth: int, only: str | None
) -> list[tuple[str, Key]]:
    keys = [
        (name, key)
        for name, key in schema.keys(number).items()
        if depth
        or schema.format == "prototxt"
        or only in (None, name)
        or name in ("model", "dataset", "train")
    ]
    chance.shuffle(keys)
    if number is None:
        return keys
    return [
        pair for pair in keys if chance.random() < 0.75 and pair[0] != "results_dir"
    ]  # taorunner gives it


def _value(name: str, key: Key, chance: random.Random) -> str:
    if key.options:
        return chance.choice([option for option in key.options if option] or [""])
    if key.kind == "bool":
        return chance.choice(["true", "false"])
    if key.kind in ("int", "float"):
        least = key.least if key.least is not None else 1
        most = min(key.most if key.most is not None else least + 100, least + 100)
        number = chance.uniform(max(least, 0), max(most, 0))
        return str(int(number)) if key.kind == "int" else f"{number:.6f}"
    if any(word in name for word in _PATH) or key.default == MISSING:
        return f"$dataset_raw/{name}_{chance.randrange(10**6)}"
    return f"{name}_{chance.randrange(10**6)}"
