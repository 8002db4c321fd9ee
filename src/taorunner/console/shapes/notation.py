"""A short notation of JSON shapes, and the JSON Schema of one.

``"str"``, ``"int"``, ``"num"``, ``"bool"``, ``"any"``, ``"time"`` (ISO 8601), ``"metric"`` (a number, or nan, inf and
-inf as text); with ``?`` it may be null. ``"@name"`` is another shape. ``"a|b"`` is one of these words. ``[x]`` is a
list, ``{"*": x}`` an object with any keys, another dict an object with these keys; a key with ``?`` may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Note: TypeAlias = "str | list[Any] | Mapping[str, Any]"

_PLAIN: Mapping[str, Mapping[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "num": {"type": "number"},
    "bool": {"type": "boolean"},
    "any": {},
    "time": {"type": "string", "format": "date-time"},
    "metric": {"anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}]},
}


def schema_of(note: Note) -> dict[str, Any]:
    """The schema, without its head. References are ``#/$defs/<name>``.

    Raises KeyError for a word that the notation does not have.
    """
    if isinstance(note, str):
        return _of_word(note)
    if isinstance(note, list):
        return {"type": "array", "items": schema_of(note[0])}
    if set(note) == {"*"}:
        return {"type": "object", "additionalProperties": schema_of(note["*"])}
    return {
        "type": "object",
        "properties": {key.removesuffix("?"): schema_of(value) for key, value in note.items()},
        "required": [key for key in note if not key.endswith("?")],
    }


def references(note: Note) -> list[str]:
    """The names of other shapes in ``note``, each once."""
    if isinstance(note, str):
        word = note.removesuffix("?")
        return [word[1:]] if word.startswith("@") else []
    inner = note if isinstance(note, list) else list(note.values())
    return list(dict.fromkeys(name for one in inner for name in references(one)))


def _of_word(word: str) -> dict[str, Any]:
    name = word.removesuffix("?")
    if name.startswith("@"):
        found: dict[str, Any] = {"$ref": f"#/$defs/{name[1:]}"}
    elif "|" in name:
        found = {"enum": name.split("|")}
    else:
        found = dict(_PLAIN[name])
    if name == word or not found:
        return found
    if "enum" in found:
        return {"enum": [*found["enum"], None]}
    return {"anyOf": [found, {"type": "null"}]}
