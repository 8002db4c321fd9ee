"""Checks of values that settings of several backends share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


def text_like(pattern: str) -> Callable[[Any], bool]:
    """Whether all of a text matches."""
    return lambda value: re.fullmatch(pattern, value) is not None


def texts_like(pattern: str) -> Callable[[Any], bool]:
    """Whether each item of a list is a text of which all matches; a dot of the pattern matches a line break, too."""
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
