"""Distinguishes lines of YOLO labels from KITTI labels, whose class names may be numbers, too.

A YOLO line has a class number and fractions of the image: 4 for a box (5 with a score), pairs for a polygon, or a
box with key points, each with or without a visibility of 0, 1 or 2. A KITTI line has pixels in columns 5 to 8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LARGEST = 2.0
_CLASS = re.compile(r"[0-9]+(\.0*)?")


def is_yolo_row(words: Sequence[str]) -> bool:
    if len(words) < 5 or not _CLASS.fullmatch(words[0]):
        return False
    try:
        values = [float(word) for word in words[1:]]
    except ValueError:
        return False
    return len(words) in (5, 6) or all(-_LARGEST <= value <= _LARGEST for value in values)


def is_yolo_text(text: str) -> bool:
    """Decides by the first non-empty line."""
    line = next((line for line in text.removeprefix("\ufeff").splitlines() if line.strip()), "")
    return is_yolo_row(line.split())
