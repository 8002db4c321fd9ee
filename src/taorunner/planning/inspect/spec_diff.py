"""Compares two specs as TAO will read them: by dotted key, with the place of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taorunner.planning.inspect.resolved_spec import ShownSpec, SpecValue
from taorunner.specs.schema.schema import NO_DEFAULT
from taorunner.specs.syntax.key_paths import steps_without_indices
from taorunner.values.same_value import is_same


@dataclass(frozen=True, slots=True)
class Difference:
    """``first`` or ``second`` is None where only the other spec has the key.

    ``default`` is TAO's default, ``NO_DEFAULT`` where that is unknown. ``by_name``: the values are the same
    but for the experiments' names in them (``models/e1``, ``models/e2``).
    """

    key: str
    first: SpecValue | None
    second: SpecValue | None
    default: object = NO_DEFAULT
    by_name: bool = False


def spec_differences(first: ShownSpec, second: ShownSpec) -> tuple[Difference, ...]:
    """In the order of the first spec, then what only the second one has."""
    ours = {value.key: value for value in first.values}
    theirs = {value.key: value for value in second.values}
    found: list[Difference] = []
    for key in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(key), theirs.get(key)
        if one is not None and other is not None:
            if not is_same(one.value, other.value):
                by_name = _renamed(one.value, first.own, second.own) == other.value
                found.append(Difference(key, one, other, by_name=by_name))
        else:
            found.append(Difference(key, one, other, _default(second if other is None else first, key)))
    return tuple(found)


def _default(spec: ShownSpec, key: str) -> object:
    known = spec.schema.find(steps_without_indices(key)) if spec.schema is not None else None
    return NO_DEFAULT if known is None else known.default


def _renamed(value: Any, old: Mapping[str, str], new: Mapping[str, str]) -> Any:
    """``value`` of one experiment with its own paths replaced by those of the other, longest first."""
    if isinstance(value, list):
        return [_renamed(item, old, new) for item in value]
    if isinstance(value, str):
        for name in sorted(old, key=lambda one: -len(old[one])):
            if old[name] in value:
                return value.replace(old[name], new[name])
    return value
