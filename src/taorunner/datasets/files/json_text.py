"""Parses JSON text; what is wrong with it becomes one sentence and its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class JsonProblem:
    """``line`` and ``column`` are 1-based, None where they are not known."""

    message: str
    line: int | None = None
    column: int | None = None


def parse_json(text: str) -> tuple[Any, JsonProblem | None]:
    """The value, or None and the problem."""
    try:
        return json.loads(text), None
    except json.JSONDecodeError as error:
        return None, JsonProblem(f"not valid JSON: {error.msg.lower()}", error.lineno, error.colno)
    except ValueError:  # Python converts no whole number of more than 4300 digits
        return None, JsonProblem("not valid JSON: a number has thousands of digits")
    except RecursionError:
        return None, JsonProblem("the JSON is nested too deeply")
