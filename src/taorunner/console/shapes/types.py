"""Shapes that are generated from the types whose values are printed: events and findings."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from taorunner import events
from taorunner.console.shapes.notation import schema_of
from taorunner.errors import Finding, Severity
from taorunner.events import Event

_METRICS = frozenset({"value"})
"""Fields that may be nan or infinite, which JSON has no numbers for."""


def events_schema() -> dict[str, Any]:
    """One line of ``train --json``: an object whose ``event`` is the kind."""
    kinds = sorted(_kinds(), key=lambda kind: kind.__name__)
    return {
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds],
        "$defs": {kind.__name__: _event(kind) for kind in kinds},
    }


def finding_schema() -> dict[str, Any]:
    """One finding; lines and columns count from 1."""
    note = {
        name: {
            "severity": "|".join(one.value for one in Severity), "line": "int?", "column": "int?", "hint": "str?",
            "file": "str?",
        }.get(name, "str")
        for name in Finding(Severity.OK, "", "").to_json()
    }  # fmt: skip
    return schema_of(note)


def _kinds() -> list[type[Event]]:
    found = [value for value in vars(events).values() if isinstance(value, type) and issubclass(value, Event)]
    return [kind for kind in found if kind is not Event]


def _event(kind: type[Event]) -> dict[str, Any]:
    hints = get_type_hints(kind, vars(events) | {"ClassVar": None})
    described = (
        " ".join((kind.__doc__ or "").split("\n\n")[0].split()).replace("``", '"').replace("None", "null")
    )
    properties = {item.name: _of_type(hints[item.name], item.name) for item in fields(kind)}
    return {
        "type": "object",
        "description": described,
        "properties": {"event": {"const": kind.__name__}, **properties},
        "required": ["event", *properties],
    }


def _of_type(kind: Any, name: str) -> dict[str, Any]:
    """The schema of a field's type. Raises TypeError for a type that events do not have yet."""
    args = get_args(kind)
    if type(None) in args:
        (inner,) = [one for one in args if one is not type(None)]
        return {"anyOf": [_of_type(inner, name), {"type": "null"}]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _of_type(args[0], name)}
    if get_origin(kind) is Union:
        return {"anyOf": [_of_type(one, name) for one in args]}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [one.value for one in kind]}
    words = {
        str: "str",
        int: "int",
        bool: "bool",
        datetime: "time",
        float: "metric" if name in _METRICS else "num",
    }
    if kind not in words:
        raise TypeError(f"{name}: {kind}")
    return schema_of(words[kind])
