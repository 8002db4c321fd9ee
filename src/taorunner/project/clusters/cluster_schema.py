"""The JSON Schema of clusters.yml, made of the settings that the targets know: for ``taorunner schema --clusters``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from taorunner.errors import TaorunnerError
from taorunner.project.keys import NAME_PATTERN
from taorunner.project.limits import EXPECTED, MAX_CPUS, MAX_NODES, SIZE_PATTERN, TIME_PATTERN
from taorunner.project.schema import DIALECT
from taorunner.target_names import target_names
from taorunner.targets import Setting, Target, names_of, target_of

_TYPES = {
    bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object",
}  # fmt: skip
_LIMITS: dict[str, dict[str, Any]] = {
    "nodes": {"type": "integer", "minimum": 1, "maximum": MAX_NODES},
    "cpus": {"type": "integer", "minimum": 1, "maximum": MAX_CPUS},
    "memory": {"type": ["string", "integer"], "pattern": SIZE_PATTERN},
    "time": {"type": "string", "pattern": TIME_PATTERN},
}


def clusters_schema() -> dict[str, Any]:
    """Draft 2020-12. Rules about several settings are checked only by ``clusters check`` and ``validate``."""
    targets: list[Target] = []
    for name in target_names():
        with suppress(TaorunnerError):  # a broken package of another backend
            targets.append(target_of(name))
    return {
        "$schema": DIALECT,
        "title": "clusters.yml of taorunner",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "clusters": {
                "type": "object",
                "description": "Engines elsewhere, by name.",
                "propertyNames": {"pattern": NAME_PATTERN},
                "additionalProperties": {
                    "type": "object",
                    "required": ["backend"],
                    "properties": {"backend": {"enum": [target.name for target in targets]}},
                    "oneOf": [_entry(target) for target in targets],
                },
            }
        },
    }


def _entry(target: Target) -> dict[str, Any]:
    limits = {
        key: {**_LIMITS[key], "description": f"For runs that say nothing themselves: {EXPECTED[key]}."}
        for key in EXPECTED
    }
    own = {key: _setting(setting) for key, setting in target.settings.items() if key not in limits}
    names = names_of(target.name)
    return {
        "description": target.summary,
        "additionalProperties": False,
        "properties": {
            "backend": {"enum": list(names)} if names[1:] else {"const": target.name},
            **limits,
            **own,
        },
        **({"required": ["host"]} if names[1:] else {}),
    }


def _setting(setting: Setting) -> dict[str, Any]:
    return {"type": [_TYPES[setting.kind], "null"], "description": f"{setting.expected}."}
