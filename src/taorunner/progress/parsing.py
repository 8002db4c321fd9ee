"""Parses numbers and durations as TAO prints them: strings, timedeltas, NaN."""

from __future__ import annotations

import math
import re

_DURATION = re.compile(r"(?:(\d{1,6}) days?, ?)?(?:(\d{1,9}):)?(\d{1,4}):(\d\d?(?:\.\d{1,9})?)\Z", re.ASCII)
_SECONDS = re.compile(r"(\d{1,12}(?:\.\d{1,12})?(?:[eE][-+]?\d{1,3})?) ?s?\Z", re.ASCII)

NUMBER = r"[-+]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,4})?|[-+]?(?:nan|NaN|inf)"
"""A number as a regular expression without groups; every repetition is bounded."""


def read_float(value: object) -> float | None:
    """A number, or a string with one (``"0.41"``, ``"nan"``). None for other values, also booleans."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > 64 or "_" in value):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def read_int(value: object, most: int = 10**12) -> int | None:
    """An integer from 0 to ``most``, rounded down; None for other values."""
    number = read_float(value)
    if number is None or not math.isfinite(number) or not 0 <= number <= most:
        return None
    return int(number)


def read_seconds(value: object) -> float | None:
    """Seconds of ``0:01:02.5``, ``1 day, 2:03:04``, ``1:02``, ``9s``, ``"12.3"`` or a number.

    None for negative, infinite and unreadable values.
    Source: tao/tensorflow.md section 5.2, tao/pytorch.md section 3 (a timedelta's str; unet writes seconds).
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > 64:
            return None
        if match := _DURATION.match(text):
            days, hours, minutes, seconds = match.groups()
            return int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
        match = _SECONDS.match(text)
        value = match.group(1) if match else None
    number = read_float(value)
    return number if number is not None and math.isfinite(number) and number >= 0 else None
