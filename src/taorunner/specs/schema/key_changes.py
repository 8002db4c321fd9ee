"""What became of a key or a value of another release, and what to write now.

Which release has which key, the schemas know. Which key took the place of another one is in ``key_changes.yml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.schema.schema import Key, Schema
from taorunner.specs.schema.value_check import Misfit, accepted, yaml_misfit
from taorunner.text import printable
from taorunner.values.value import Value, replace
from taorunner.yaml_reader import read_yaml

FILE = Path(__file__).with_name("key_changes.yml")
_SHOWN = 3

Keys = tuple[str, ...]
"""The names that lead to a key."""


class KeyChange(Value):
    """``networks`` is empty for all of them. ``new`` is None for a key without a successor. ``write``: more about it.

    ``until``: the last release with ``old``, where no schema is known of any that has it.
    """

    networks: tuple[str, ...]
    old: Keys
    new: Keys | None
    write: str | None
    until: str | None


class ValueChange(Value):
    """``key`` is the end of a path. ``value`` is one text, ``below`` all numbers below; without both any value that is
    refused now. ``now`` is what to write, where that is always the same."""

    networks: tuple[str, ...]
    key: Keys
    write: str
    value: str | None
    below: float | None
    now: int | str | None

    def is_of(self, value: Any) -> bool:
        if self.below is not None:
            return isinstance(value, (int, float)) and value < self.below
        return self.value is None or self.value == value


class Changes(Value):
    keys: tuple[KeyChange, ...]
    values: tuple[ValueChange, ...]


class _Loaded(Answers[Path, Changes]):
    """One file."""


def load_changes() -> Changes:
    body = read_yaml(FILE.read_text(encoding="utf-8")).value
    keys = [
        KeyChange(
            _networks(row),
            _path(row["old"]),
            _path(row.get("new")) or None,
            row.get("write"),
            group.get("until"),
        )
        for group in body["keys"]
        for row in group["rows"]
    ]
    values = [
        ValueChange(
            _networks(row),
            _path(row["key"]),
            row["write"],
            row.get("value"),
            row.get("below"),
            row.get("now"),
        )
        for group in body["values"]
        for row in group["rows"]
    ]
    return Changes(tuple(keys), tuple(values))


def changes_of(memory: SpecMemory) -> Changes:
    return memory.table(_Loaded).get(FILE, load_changes)


class Moved(Value):
    """What to do with a key that a release does not have; ``until`` as in ``KeyChange``."""

    hint: str
    until: str | None = None


def moved_to(schema: Schema, path: Keys, value: Any = None) -> Moved | None:
    """None where nothing is known. ``value`` is what is written for the key."""
    rows = [
        row
        for row in changes_of(schema.source.memory).keys
        if not row.networks or schema.name in row.networks
    ]
    for row in rows:
        if row.old == path and row.new is not None and schema.find(row.new) is not None:
            more = f": {row.write}" if row.write else ""
            hint = f"in {schema.release} it is {'.'.join(row.new)}{more}"
            return Moved(f"{hint}{_moved_inside(schema, rows, path, value, '; ')}", row.until)
        if row.new == path and schema.find(row.old) is not None:
            return Moved(f"in {schema.release} it is {'.'.join(row.old)}")
    if inside := _moved_inside(schema, rows, path, value, f"in {schema.release} "):
        return Moved(inside)
    gone = next((row for row in rows if row.old == path and row.new is None), None)
    return Moved(f"remove it: {gone.write}") if gone is not None else None


def _moved_inside(schema: Schema, rows: list[KeyChange], path: Keys, value: Any, before: str) -> str:
    """Where the keys of the section ``value`` are now that have another place than their section; else nothing."""
    inside = [
        row
        for row in rows
        if row.new is not None
        and len(row.old) > len(path)
        and row.old[: len(path)] == path
        and _has(value, row.old[len(path) :])
        and schema.find(row.new) is not None
    ]
    if not inside:
        return ""
    shown = [f"{'.'.join(row.old[len(path) :])} is {'.'.join(row.new or ())}" for row in inside[:_SHOWN]]
    return before + ", ".join(shown) + (", …" if len(inside) > _SHOWN else "")


def explained(schema: Schema, path: Keys, value: Any, misfit: Misfit | None) -> Misfit | None:
    """The same problem, with what to write where another release takes the value. ``path`` is without indices."""
    if misfit is None or misfit.code not in ("wrong-type", "not-an-option"):
        return misfit
    change = next(
        (
            row
            for row in changes_of(schema.source.memory).values
            if schema.name in row.networks and path[-len(row.key) :] == row.key and row.is_of(value)
        ),
        None,
    )
    other = _release_that_takes(schema, path, value)
    if change is None and other is None:
        return misfit
    hint = change.write if change is not None else misfit.hint or _rewritten(schema.find(path), value)
    if other is None:
        return replace(misfit, hint=hint)
    release, key = other
    names = schema.releases
    when = "until" if names.index(release) < names.index(schema.release) else "since"
    took = f"{accepted(key)} " if misfit.code == "wrong-type" and value is not None else ""
    return replace(misfit, message=f"{misfit.message} ({took}{when} {release})", hint=hint)


def _release_that_takes(schema: Schema, path: Keys, value: Any) -> tuple[str, Key] | None:
    """The last release before this one that takes the value, or the first one after it."""
    names = schema.releases
    here = names.index(schema.release)
    for release in (*reversed(names[:here]), *names[here + 1 :]):
        key = schema.find_in(release, path)
        if key is not None and yaml_misfit(key, value, "") is None and schema.format == "yaml":
            return release, key
    return None


def _rewritten(key: Key | None, value: Any) -> str | None:
    """How to write the value for the type that the key has now."""
    if key is None:
        return None
    if value is None:
        return 'leave the key out, or write ""' if key.kind == "str" else "leave the key out"
    if key.kind == "list" and isinstance(value, (str, int, float)):
        return f"write it in brackets: [{printable(str(value))[:60]}]"
    if isinstance(value, list) and len(value) == 1 and key.kind in ("str", "int", "float", "bool"):
        return f"write it without brackets: {printable(str(value[0]))[:60]}"
    if key.kind == "int" and isinstance(value, float) and abs(value) < 1e15:
        return f"write a whole number: {max(1, round(value))}"
    return None


def _has(value: Any, names: Keys) -> bool:
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return bool(names)


def _networks(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Empty for all."""
    return () if row["networks"] == "all" else tuple(row["networks"])


def _path(dotted: str | None) -> Keys:
    return tuple(dotted.split(".")) if dotted else ()
