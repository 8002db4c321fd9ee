"""Scores how well a spec file matches a network's schema.

Compares names only, not values: a spec with a wrong number still belongs to its network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from taorunner.specs.schema.schema import Key, Schema
from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml
from taorunner.specs.syntax.prototxt_parser import ProtoList, ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError

MAX_NAMES = 20_000


@dataclass(frozen=True, slots=True)
class Section:
    """``entries``: a name with its values, each a section or a plain value; a list gives several."""

    entries: tuple[tuple[str, tuple[Any, ...]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.entries)

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Every plain value with the names that lead to it."""
        for name, values in self.entries:
            for value in values:
                if isinstance(value, Section):
                    yield from value.walk((*path, name))
                else:
                    yield (*path, name), value


@dataclass(frozen=True, slots=True)
class Fit:
    """The numbers of names that the schema does not know, knows, and accepts as free names."""

    unknown: int
    known: int
    free: int = 0

    @property
    def is_likely(self) -> bool:
        """At least three of four names belong to the schema. Free names are weak evidence: pointpillars accepts more of
        them than it has names of its own."""
        return self.known > 0 and self.unknown * 3 <= self.known and self.free <= 2 * self.known


def read_section(text: str, spec_format: str) -> Section | None:
    """The spec as names and values; None when it cannot be read, or has no names at all."""
    if spec_format == "prototxt":
        try:
            section = _of_message(parse_prototxt(text))
        except SpecProblemError:
            return None
    else:
        document = read_spec_yaml(text)
        if document.problems or not isinstance(document.value, dict):
            return None
        section = _of_mapping(document.value)
    return section if section.entries else None


def fit_of(section: Section, schema: Schema) -> Fit:
    """Sections below an unknown name count with all that is in them."""
    known = unknown = free = seen = 0
    stack: list[tuple[Section, int | None]] = [(section, None)]
    while stack and seen < MAX_NAMES:
        here, number = stack.pop()
        keys = schema.keys(number)
        for name, values in here.entries:
            seen += 1
            key = keys.get(name)
            inner = [value for value in values if isinstance(value, Section)]
            if key is None:
                unknown += 1 + sum(_size(one) for one in inner)
                continue
            below = _section_number(key)
            if _is_misplaced(key, inner, values):
                unknown += 1
            else:
                known += 1
            if below is not None:
                stack += [(one, below) for one in inner]
            else:
                free += sum(_size(one) for one in inner)
    return Fit(unknown, known, free)


def _is_misplaced(key: Key, inner: Sequence[Section], values: Sequence[Any]) -> bool:
    """A section where a value belongs, or a value where a section does."""
    if key.kind == "section":
        return len(inner) < len(values) and tuple(values) != (None,)
    return bool(inner) and key.kind not in ("any", "any_of", "map", "list")


def _section_number(key: Key) -> int | None:
    """The section below the key, also in a list or a map."""
    while key.kind in ("list", "map") and key.of is not None:
        if key.kind == "map":
            return None
        key = key.of
    return key.section if key.kind == "section" else None


def _size(section: Section) -> int:
    return sum(1 + sum(_size(v) for v in values if isinstance(v, Section)) for _, values in section.entries)


def _of_message(message: ProtoMessage) -> Section:
    entries = []
    for field in message.fields:
        items: Sequence[ProtoScalar | ProtoMessage]
        items = field.value.items if isinstance(field.value, ProtoList) else [field.value]
        values = tuple(_of_message(one) if isinstance(one, ProtoMessage) else one.value for one in items)
        entries.append((field.name, values))
    return Section(tuple(entries))


def _of_mapping(value: dict[Any, Any]) -> Section:
    entries = []
    for name, inner in value.items():
        items = inner if isinstance(inner, list) else [inner]
        entries.append(
            (str(name), tuple(_of_mapping(one) if isinstance(one, dict) else one for one in items))
        )
    return Section(tuple(entries))
