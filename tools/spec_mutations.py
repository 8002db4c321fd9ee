"""One mistake of each kind in a spec: a key misspelt, a wrong type, a value out of range, a mandatory value missing.

Where a mistake is put depends on the name of the file only, so that a run can be repeated.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from taorunner.specs.schema.schema import MISSING, Key
from taorunner.specs.schema.walk import Against
from taorunner.specs.syntax.prototxt_parser import ProtoList, ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import Lines, SpecProblemError
from taorunner.yaml_reader import YamlDocument, read_yaml

_PLAIN = re.compile(r"[^\s,\]}#\"'][^\s,\]}#]*")
_TYPED = ("int", "float", "bool")


@dataclass(frozen=True, slots=True)
class Mutation:
    """``text`` has one mistake of this ``kind``; ``line`` is where it has to be reported."""

    kind: str
    line: int
    text: str
    what: str


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A plain value whose key the schema knows. Offsets are in the text."""

    key: Key
    name: str
    value: Any
    key_start: int
    start: int
    end: int


def mutations(text: str, held: Against, seed: str) -> list[Mutation]:
    """At most one of each kind: what the text has no place for is left out."""
    chance = random.Random(seed)
    leaves = list(_proto_leaves(text, held) if held.schema.format == "prototxt" else _yaml_leaves(text, held))
    lines = Lines(text)
    found: list[Mutation] = []
    for kind, choice in (
        ("misspelt", [leaf for leaf in leaves if len(leaf.name) > 4]),
        ("wrong type", [leaf for leaf in leaves if leaf.key.kind in _TYPED]),
        ("out of range", [leaf for leaf in leaves if _beyond(leaf, held) is not None]),
    ):
        if not choice:
            continue
        leaf = chance.choice(choice)
        start, end, written = _mistake(kind, leaf, held)
        changed = text[:start] + written + text[end:]
        line, _ = lines.place(start)
        found.append(Mutation(kind, line, changed, f"{text[start:end]} → {written}"))
    return [*found, *_missing(text, held, chance)]


def _mistake(kind: str, leaf: _Leaf, held: Against) -> tuple[int, int, str]:
    if kind == "misspelt":
        name = leaf.name
        return leaf.key_start, leaf.key_start + len(name), f"{name[:-2]}{name[-1]}{name[-2]}x"
    if kind == "wrong type":
        return leaf.start, leaf.end, '"wrong"' if held.schema.format == "prototxt" else "wrong"
    return leaf.start, leaf.end, str(_beyond(leaf, held))


def _beyond(leaf: _Leaf, held: Against) -> str | None:
    """A value outside of what the schema says of the key; None where it says nothing."""
    key = leaf.key
    if key.kind in ("int", "float"):
        if key.most is not None and abs(key.most) < 1e15:
            return f"{key.most * 2 + 1:.0f}"
        return None if key.least is None else f"{key.least - 1:.0f}"
    if key.options and key.kind in ("str", "enum"):
        bare = "no_such_option"
        return f'"{bare}"' if held.schema.format == "prototxt" and key.kind == "str" else bare
    return None


def _missing(text: str, held: Against, chance: random.Random) -> list[Mutation]:
    """A mandatory value of the action's own section taken out with its line."""
    action = held.action
    if held.schema.format != "yaml" or action is None or not held.schema.has_own_sections:
        return []
    above = held.schema.find((action,))
    document = read_yaml(text)
    section = document.value.get(action) if isinstance(document.value, dict) else None
    if above is None or above.kind != "section" or not isinstance(section, dict):
        return []
    keys = held.schema.keys(above.section)
    other = {"deploy": ("checkpoint",), "model": ("trt_engine",)}.get(held.group, ())
    names = [
        n for n in section if n in keys and keys[n].default == MISSING and n not in other and len(section) > 1
    ]
    if not names:
        return []
    name = chance.choice(names)
    line, column = document.place((action, name), of_key=True)
    lines = text.split("\n")
    last = line
    while last < len(lines) and (not lines[last].strip() or _indent(lines[last]) >= column):
        last += 1
    changed = "\n".join([*lines[: line - 1], *lines[last:]])
    return [Mutation("missing", document.place((action,), of_key=True)[0], changed, f"{action}.{name}")]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _yaml_leaves(text: str, held: Against) -> Iterator[_Leaf]:
    document = read_yaml(text)
    if document.problems or not isinstance(document.value, dict):
        return
    yield from _yaml_section(text, Lines(text), document, document.value, None, held, set())


def _yaml_section(
    text: str,
    lines: Lines,
    document: YamlDocument,
    value: Any,
    number: int | None,
    held: Against,
    seen: set[int],
) -> Iterator[_Leaf]:
    if id(value) in seen:
        return
    seen.add(id(value))
    keys = held.schema.keys(number)
    for name, inner in value.items():
        key = keys.get(name)
        if key is None:
            continue
        (key_line, key_column), (line, column) = document.places_in(value)[name]
        if key.kind == "section" and isinstance(inner, dict):
            yield from _yaml_section(text, lines, document, inner, key.section, held, seen)
        elif isinstance(inner, (int, float, bool, str)) and inner != MISSING and "${" not in str(inner):
            key_start, start = lines.offset(key_line, key_column), lines.offset(line, column)
            match = _PLAIN.match(text, start)
            if match is not None and text.startswith(str(name), key_start) and start > key_start:
                yield _Leaf(key, str(name), inner, key_start, start, match.end())


def _proto_leaves(text: str, held: Against) -> Iterator[_Leaf]:
    try:
        root = parse_prototxt(text)
    except SpecProblemError:
        return
    stack: list[tuple[ProtoMessage, int | None]] = [(root, None)]
    while stack:
        message, number = stack.pop()
        keys = held.schema.keys(number)
        for field in message.fields:
            key = keys.get(field.name)
            values = field.value.items if isinstance(field.value, ProtoList) else [field.value]
            for value in values:
                if isinstance(value, ProtoMessage) and key is not None and key.kind == "section":
                    stack.append((value, key.section))
                elif isinstance(value, ProtoScalar) and key is not None and value is field.value:
                    yield _Leaf(key, field.name, value.value, field.start, value.start, value.end)
