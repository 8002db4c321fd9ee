"""Looks up the facts of one schema key, and lists all keys of a schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taorunner.specs.schema.schema import MISSING, NO_DEFAULT, Key, Schema
from taorunner.specs.syntax.key_paths import steps_without_indices
from taorunner.text import nearest

_MAX_KEYS = 20_000
_MAX_DEPTH = 12
_OF_TRAININGS = ("train.", "dataset.", "model.")


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """``type`` in words: ``int``, ``list of str``, ``several sections``. ``default`` may be ``NO_DEFAULT``.

    ``since`` is None for what the oldest known release has already, ``until`` for what the newest one still has.
    ``children`` are the keys right below.
    """

    key: str
    type: str
    is_optional: bool
    is_mandatory: bool
    default: object
    least: float | None
    most: float | None
    options: tuple[str, ...]
    releases: tuple[str, ...]
    since: str | None
    until: str | None
    children: tuple[KeyFacts, ...] = ()


def key_facts(schema: Schema, key: str) -> KeyFacts | None:
    """None for a key that the schema does not have; an empty one is the spec as a whole."""
    path = steps_without_indices(key)
    found = _found(schema, path) if path or not key else None
    return None if found is None else _facts(schema, path, found, with_children=True)


def _found(schema: Schema, path: tuple[str, ...]) -> Key | None:
    """The key at a path; on the way an element of a list may be left out, and a name of the user's own is any."""
    key = Key("section", section=schema.root)
    for name in path:
        while key.kind == "list" and key.of is not None:
            key = key.of
        if key.kind == "section":
            inner = schema.keys(key.section).get(name)
            if inner is None:
                return None
            key = inner
        elif key.kind in ("map", "any", "any_of"):
            key = key.of or Key("any", is_optional=True)
        else:
            return None
    return key


def nearest_keys(schema: Schema, key: str) -> list[str]:
    """Suggestions: keys with the same last name anywhere, then those with similar spelling."""
    path = steps_without_indices(key)
    known = list(all_keys(schema))
    last = path[-1] if path else ""
    found = _named(known, last)
    if not found:
        close = nearest(".".join(path), known)
        by_last: dict[str, list[str]] = {}
        for name in known:
            by_last.setdefault(name.rpartition(".")[2], []).append(name)
        word = nearest(last, by_last)
        found = [*([close] if close else []), *(by_last[word] if word else [])]
    return list(dict.fromkeys(found))[:5]


def keys_named(schema: Schema, last: str) -> list[str]:
    """Keys with that last name, or else with those initials: ``lr`` is ``train.learning_rate``, too. What a training
    reads comes first."""
    found = _named(list(all_keys(schema)), last)
    return sorted(found, key=lambda name: not name.startswith(_OF_TRAININGS))[:5]


def _named(known: Sequence[str], last: str) -> list[str]:
    names = {name: name.rpartition(".")[2] for name in known}
    same = [name for name, word in names.items() if word == last]
    return same or [
        name
        for name, word in names.items()
        if "_" in word and "".join(part[:1] for part in word.split("_")) == last
    ]


def all_keys(schema: Schema) -> Iterator[str]:
    """Every dotted key, sections too, in the order of the schema. Messages that hold themselves are not followed."""
    count = 0
    pending: list[tuple[str, int, tuple[int, ...]]] = [("", schema.root, ())]
    while pending:
        prefix, number, above = pending.pop()
        for name, key in schema.keys(number).items():
            count += 1
            if count > _MAX_KEYS:
                return
            yield f"{prefix}{name}"
            below = _section(key)
            if below is not None and below not in above and len(above) < _MAX_DEPTH:
                pending.append((f"{prefix}{name}.", below, (*above, number)))


def _facts(schema: Schema, path: tuple[str, ...], key: Key, *, with_children: bool = False) -> KeyFacts:
    having = schema.releases_with(path) if path else schema.releases
    below = _section(key) if with_children else None
    return KeyFacts(
        key=".".join(path),
        type=_type(key),
        is_optional=key.is_optional,
        is_mandatory=key.default == MISSING,
        default=NO_DEFAULT if key.default == MISSING else key.default,
        least=key.least,
        most=key.most,
        options=key.options,
        releases=having,
        since=having[0] if having and having[0] != schema.releases[0] else None,
        until=having[-1] if having and having[-1] != schema.releases[-1] else None,
        children=()
        if below is None
        else tuple(_facts(schema, (*path, name), inner) for name, inner in schema.keys(below).items()),
    )


def _section(key: Key) -> int | None:
    """The section at a key, or that of which it holds several."""
    while key.of is not None:
        key = key.of
    return key.section if key.kind == "section" else None


def _type(key: Key) -> str:
    if key.kind == "any_of":
        return " or ".join(dict.fromkeys(_type(one) for one in key.any_of))
    if key.of is not None:
        held = "sections" if key.of.kind == "section" else _type(key.of)
        return f"{'names with' if key.kind == 'map' else 'list of'} {held}"
    name = {"map": "names with values", "any": "anything"}.get(key.kind, key.kind)
    if key.is_repeated:
        return "several sections" if key.kind == "section" else f"several {name}"
    return name
