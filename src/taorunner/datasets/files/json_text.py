"""Parses JSON text; what is wrong with it becomes one sentence and its place. Finds the place of a value."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from taorunner.values.bounded_reading import JsonError, TooMuchError
from taorunner.values.bounded_reading import parse_json as read_bounded
from taorunner.values.value import Value

MAX_BYTES = 256 * 1024**2
"""Of a text that is read as a whole."""
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonProblem(Value):
    """``line`` and ``column`` are 1-based, None where they are not known."""

    message: str
    line: int | None = None
    column: int | None = None


def parse_json(text: str) -> tuple[Any, JsonProblem | None]:
    """The value, or None and the problem."""
    try:
        return read_bounded(text, most_bytes=MAX_BYTES, finite=False), None
    except TooMuchError as error:
        return None, JsonProblem(f"the JSON cannot be read: {error.message}")
    except JsonError as error:
        return None, JsonProblem(f"not valid JSON: {error.message}", error.line, error.column)


def place_in_json(text: str, steps: Sequence[str | int]) -> tuple[int, int]:
    """Line and column of the value at ``steps``; as close as the text allows."""
    decoder = json.JSONDecoder()
    at = after_blank(text, 0)
    try:
        for step in steps:
            at = _inner(decoder, text, at, step)
    except (ValueError, IndexError, StopIteration, RecursionError):
        pass
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def _inner(decoder: json.JSONDecoder, text: str, at: int, step: str | int) -> int:
    """Offset of the value with key or index ``step`` in the list or object that begins at ``at``."""
    is_list = text[at] == "["
    at = after_blank(text, at + 1)
    index = 0
    while text[at] not in "]}":
        key: str | int = index
        if not is_list:
            key, at = decoder.raw_decode(text, at)
            at = after_blank(text, after_blank(text, at) + 1)
        if key == step:
            return at
        _, at = decoder.raw_decode(text, at)
        at = after_blank(text, at)
        if text[at] == ",":
            at = after_blank(text, at + 1)
        index += 1
    raise IndexError(step)


def after_blank(text: str, at: int) -> int:
    """The offset of the next character that is no white space."""
    return match.end() if (match := _SPACE.match(text, at)) else at
