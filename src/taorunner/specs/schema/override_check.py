"""Checks that a key can be set to a value. The schema alone decides, whatever the source of the value.

The path is followed with its indices: an element of a repeated field has the type of one element. A path that leads
into a single value, or ends at a section, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from taorunner.errors import Severity
from taorunner.specs.schema.key_changes import explained
from taorunner.specs.schema.schema import MISSING, Key, Schema
from taorunner.specs.schema.value_check import Misfit, proto_misfit, yaml_misfit
from taorunner.specs.schema.walk import ANYTHING, Against, is_open, unknown_key, value_problem
from taorunner.specs.syntax.key_paths import is_index, steps_without_indices
from taorunner.specs.syntax.literals import yaml_value
from taorunner.specs.syntax.prototxt_parser import ProtoScalar
from taorunner.text import printable


def check_override(steps: Sequence[str], value: Any, against: Against) -> Misfit | None:
    """The problem with setting the key to ``value``, without its place."""
    key = key_at(against.schema, steps)
    if isinstance(key, Misfit):
        return key
    name = ".".join(steps)
    if value == MISSING and against.schema.format == "yaml":
        message = f'{name} is set to "{MISSING}", which means that a value has to be given'
        return Misfit(Severity.ERROR, "missing-value", message, "write the value")
    is_proto = against.schema.format == "prototxt"
    misfit = _proto(key, value, name) if is_proto else _yaml(key, value, steps, against)
    path = steps_without_indices(name)
    return misfit if isinstance(value, (dict, list)) else explained(against.schema, path, value, misfit)


def key_at(schema: Schema, steps: Sequence[str]) -> Key | Misfit:
    """The schema key at a path with indices, or the reason why there is none."""
    if not all(steps):
        return Misfit(
            Severity.ERROR, "bad-key", f'"{".".join(steps)}" is not a key', "write it like train.num_epochs"
        )
    key, names, is_in_map = Key("section", section=schema.root), list[str](), False
    for depth, step in enumerate(steps):
        above = ".".join(steps[:depth])
        if key.is_repeated and is_index(step):
            key = replace(key, is_repeated=False)
        elif key.kind == "section":
            names.append(step)
            keys = schema.keys(key.section)
            if is_index(step) and step not in keys and above:
                return _refused(f'{above} is one section, so it has no "{step}"', f"leave .{step} out")
            if step not in keys:
                return unknown_key(schema, tuple(names), keys)
            key = keys[step]
        elif key.kind == "list":
            if not is_index(step):
                hint = f"say which element, counted from 0: {above}.0.{'.'.join(steps[depth:])}"
                return _refused(f'{above} is a list, so it has no "{step}"', hint)
            key = key.of or ANYTHING
        elif key.kind == "map":
            names.append(step)
            key, is_in_map = key.of or ANYTHING, True
        elif key.kind in ("any", "any_of") or (is_in_map and is_index(step)):
            return ANYTHING  # a map of single values may hold a list, too
        else:
            return _refused(f'{above} is a single value, so it has no "{step}"', f"set {above} itself")
    return key


def _yaml(key: Key, value: Any, steps: Sequence[str], against: Against) -> Misfit | None:
    """Checks what TAO reads when the value has been written into the spec, in its map where it is in one."""
    name, above = ".".join(steps), _map_above(against.schema, steps)
    if above is not None:
        key, depth, kinds = above
        for step, kind in zip(reversed(steps[depth:]), reversed(kinds), strict=True):
            value = [value] if kind == "list" else {step: value}
        return value_problem(key, yaml_value(value), ".".join(steps[:depth]), against)
    if not isinstance(value, (dict, list)) and not is_open(value):
        return yaml_misfit(key, value, name)
    return value_problem(key, yaml_value(value), name, against)


def _map_above(schema: Schema, steps: Sequence[str]) -> tuple[Key, int, list[str]] | None:
    """The map that a value is in, or the list of maps; how many steps lead to it; and the kinds from there on."""
    key, outer, kinds = Key("section", section=schema.root), None, list[str]()
    for depth, step in enumerate(steps):
        if key.kind == "section":
            outer, kinds = None, []
            key = schema.keys(key.section).get(step, ANYTHING)
        elif key.kind in ("list", "map"):
            outer = outer or (key, depth)
            kinds.append(key.kind)
            key = key.of or ANYTHING
        else:
            return None
    return (*outer, kinds) if outer is not None and "map" in kinds else None


def _proto(key: Key, value: Any, name: str) -> Misfit | None:
    if key.kind == "section":
        if isinstance(value, Mapping) and not value:
            return None
        shown = "nothing" if value is None else "a list" if isinstance(value, list) else "a value"
        return _refused(f"{name} is a section, and cannot be set to {shown}", f"set what is in it: {name}.…")
    if value is None:
        return _refused(
            f"{name} cannot be set to nothing", "a protobuf spec has no null: remove the override"
        )
    if isinstance(value, Mapping):
        return _refused(f"{name} is a single value, not a section", f"write {name}: and the value")
    if isinstance(value, list):
        if (
            key.kind == "str"
            and not key.is_repeated
            and not any(isinstance(one, (list, dict)) for one in value)
        ):
            return None  # written as the text that TAO reads as a Python list
        if not key.is_repeated:
            return _refused(f"{name} takes one value, this is a list", "leave the brackets out")
        return next(
            (found for item in value if (found := _proto(replace(key, is_repeated=False), item, name))), None
        )
    misfit = proto_misfit(key, ProtoScalar(value, _written_as(key, value), 0, 0), name)
    if misfit is not None and isinstance(value, str) and misfit.code == "wrong-type":
        message = f'{misfit.message.rpartition(", this is ")[0]}, this is the text "{printable(value)[:60]}"'
        return replace(misfit, message=message, hint="write it without quotes" if value else "write a value")
    return misfit


def _written_as(key: Key, value: Any) -> str:
    """The literal of the value: option names without quotes, strings with quotes."""
    if isinstance(value, str) and key.kind == "str":
        return "string"
    return "word" if isinstance(value, (str, bool)) else "number"


def _refused(message: str, hint: str) -> Misfit:
    return Misfit(Severity.ERROR, "wrong-type", message, hint)
