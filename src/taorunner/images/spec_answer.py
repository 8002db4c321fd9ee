"""Checks what an image printed as its spec schemas. An image may print anything, and the names become file names."""

from __future__ import annotations

import re
from typing import Any

from taorunner.values.bounded_reading import parse_json

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,60}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,60})?\Z")
MAX_ANSWER_BYTES = 64 * 1024**2
_MAX_DEPTH = 24
"""Levels of sections; a level takes two of JSON. Specs of TAO have fewer than twelve."""


def read_answer(line: bytes) -> dict[str, Any] | None:
    """The output of ``specs.extract.in_image``; None for text of another form."""
    try:
        body = parse_json(line, most_bytes=MAX_ANSWER_BYTES)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    schemas = [body.get("yaml"), body.get("prototxt")]
    is_right = all(isinstance(trees, dict) and all(map(_is_schema, trees.items())) for trees in schemas)
    return body if is_right and _has_texts(body.get("failed")) and _has_texts(body.get("packages")) else None


def _is_schema(item: tuple[str, Any]) -> bool:
    name, tree = item
    return bool(_NAME.match(name)) and _is_tree(tree, 0)


def _is_tree(tree: Any, depth: int) -> bool:
    return isinstance(tree, dict) and all(_is_key(key, depth) for key in tree.values())


def _is_key(key: Any, depth: int) -> bool:
    """One key as ``dataclass_schemas`` and ``protobuf_schemas`` describe it. ``section`` is added when it is stored."""
    if not isinstance(key, dict) or depth >= _MAX_DEPTH or "section" in key:
        return False
    any_of, options = key.get("any_of", []), key.get("options", [])
    return (
        (isinstance(key.get("type"), str) or ("any_of" in key and "keys" not in key))
        and all(_is_number(key[limit]) for limit in ("min", "max") if limit in key)
        and isinstance(options, list)
        and all(isinstance(option, str) for option in options)
        and ("keys" not in key or _is_tree(key["keys"], depth + 1))
        and ("of" not in key or _is_key(key["of"], depth + 1))
        and isinstance(any_of, list)
        and all(_is_key(one, depth + 1) for one in any_of)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _has_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(text is None or isinstance(text, str) for text in value.values())
