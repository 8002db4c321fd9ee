"""Checks of values that settings of several backends share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


def text_like(pattern: str) -> Callable[[Any], bool]:
    """Whether a text matches from its start to its end."""
    return lambda value: re.fullmatch(pattern, value) is not None


def texts_like(pattern: str) -> Callable[[Any], bool]:
    """As ``text_like``, for each item of a list. A dot of the pattern also matches a line break."""
    return lambda values: all(
        isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) for value in values
    )


def from_to(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


def are_variables(values: Any) -> bool:
    """Whether a mapping gives environment variables their values."""
    return all(
        isinstance(name, str)
        and re.fullmatch(_VARIABLE, name) is not None
        and (isinstance(value, str) or type(value) in (int, float))
        and "\0" not in str(value)
        for name, value in values.items()
    )
