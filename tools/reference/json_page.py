"""The page of JSON: every shape with its fields, from the schemas that ``taorunner schema --of`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.console.shapes.shapes import shape_names, shape_schema

_HEAD = """\
# JSON

What commands print with `--json`, shape by shape. How to use it from programs: [JSON for programs](../json.md).
`taorunner schema --of SHAPE` prints the JSON Schema of a shape, `taorunner schema --events` that of events.
Keys may be added; none is removed or changes its meaning. `?` behind a type: it may be null.
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD, "| shape | printed by |", "|---|---|"]
    for name in shape_names():
        lines.append(f"| [`{name}`](#{name}) | {_printed_by(name)} |")
    parts: dict[str, Mapping[str, Any]] = {}
    for name in shape_names():
        schema = shape_schema(name)
        parts |= {key: value for key, value in schema.get("$defs", {}).items() if key not in shape_names()}
        lines += ["", f"## {name}", "", f"{schema['description']}", ""]
        if "oneOf" in schema:
            kinds = [one["$ref"].rpartition("/")[2] for one in schema["oneOf"]]
            lines.append("One of: " + ", ".join(f"[{kind}](#{_anchor(kind)})" for kind in kinds) + ".")
        else:
            lines += _described(schema)
    lines += ["", "## Parts", "", "What several shapes have."]
    for name, part in sorted(parts.items()):
        lines += ["", f"### {name} part", "", *_described(part)]
    return "\n".join(lines).rstrip() + "\n"


def _printed_by(name: str) -> str:
    return shape_schema(name)["description"].partition("rinted by ")[2].rstrip(".")


def _anchor(name: str) -> str:
    return f"{name.lower()}-part"


def _described(schema: Mapping[str, Any]) -> Iterator[str]:
    fields = list(_fields(schema, ""))
    if not fields:
        shown = _type(schema)
        yield f"{shown[0].upper()}{shown[1:]}."
        return
    kind = "A list of objects, each with:" if schema.get("type") == "array" else "An object with:"
    yield from (kind, "", "| key | value |", "|---|---|")
    for key, text in fields:
        yield f"| `{key}` | {text} |"


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Every key, those of inner objects with their path: ``metrics[].name``."""
    inner = schema.get("items", schema) if schema.get("type") == "array" else schema
    for key, value in inner.get("properties", {}).items():
        missing = "" if key in inner.get("required", ()) else "; may be missing"
        yield f"{path}{key}", f"{_type(value)}{missing}"
        deeper, suffix = value, ""
        while deeper.get("type") == "array":
            deeper, suffix = deeper["items"], f"{suffix}[]"
        if deeper.get("properties"):
            yield from _fields(deeper, f"{path}{key}{suffix}.")
        elif isinstance(other := deeper.get("additionalProperties"), dict) and other.get("properties"):
            yield from _fields(other, f"{path}{key}{suffix}.*.")


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        words = " or ".join(f"`{one}`" for one in value["enum"] if one is not None)
        return f"{words}{' ?' if None in value['enum'] else ''}"
    if "anyOf" in value:
        kinds = [one for one in value["anyOf"] if one.get("type") != "null"]
        return " or ".join(map(_type, kinds)) + (" ?" if len(kinds) < len(value["anyOf"]) else "")
    kind = value.get("type")
    if kind == "array":
        return f"list of {_type(value['items'])}" if value.get("items") else "list"
    if kind == "object":
        other = value.get("additionalProperties")
        return f"mapping of names to {_type(other)}" if isinstance(other, dict) and other else "object"
    if kind == "string":
        return "time, ISO 8601" if value.get("format") == "date-time" else "text"
    return {"integer": "whole number", "number": "number", "boolean": "true or false"}.get(
        kind or "", "any value"
    )
