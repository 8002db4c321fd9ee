"""Is a KITTI label file what TAO reads? Every line of it: columns, numbers, class names, boxes; and its repair.

Source: tao/tensorflow.md section 7: the converter takes exactly 15 columns parted by blanks, one object a line,
an integer for occlusion, and class names without blanks, in lower case.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.errors import Finding, Severity
from taorunner.text import printable

COLUMNS = 15
_BOM = b"\xef\xbb\xbf"
_WORD = re.compile(r"\S+")
_SLACK = 1.0  # a pixel beyond the edge is how tools write the last pixel; TAO clips it
FIX_HINT = "--fix repairs it"


@dataclass(slots=True)
class LabelFacts:
    """``boxes`` are ``(class, x_min, y_min, x_max, y_max, line)`` of the lines that could be read."""

    findings: list[Finding] = field(default_factory=list)
    boxes: list[tuple[str, float, float, float, float, int]] = field(default_factory=list)
    fixed: str = ""
    """The text as it would be after the repair; the same as the file where nothing is to be done."""


def check_label_file(path: Path, size: tuple[int, int] | None, min_pixels: float = 2.0) -> LabelFacts:
    """``size`` is the picture's width and height after EXIF, None when it is not known. Never raises."""
    facts = LabelFacts()
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        facts.findings.append(_finding("label-unreadable", f"the label file cannot be read: {reason}", path))
        return facts
    if data.startswith(_BOM):
        message = "the file begins with a UTF-8 byte order mark, which becomes part of the first class name"
        facts.findings.append(_finding("label-bom", message, path, 1, 1, FIX_HINT))
        data = data[3:]
    if b"\r" in data:
        message = "the lines end with CR LF"
        facts.findings.append(_warning("label-crlf", message, path, 1, None, FIX_HINT))
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = "the file is not UTF-8 text"
        facts.findings.append(_finding("label-not-utf8", message, path, line, None, "save it as UTF-8"))
        text = data.decode("utf-8", "surrogateescape")
    kept: list[str] = []
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    seen: dict[tuple[str, float, float, float, float], int] = {}
    for number, line in enumerate(lines, 1):
        kept += _line(facts, path, number, line, size, min_pixels, seen)
    facts.fixed = "".join(line + "\n" for line in kept)
    return facts


def _line(
    facts: LabelFacts, path: Path, number: int, line: str, size: tuple[int, int] | None, min_pixels: float,
    seen: dict[tuple[str, float, float, float, float], int],
) -> Iterator[str]:  # fmt: skip
    """The line as it should be: itself, a repaired one, or none."""
    found = facts.findings
    places = list(_WORD.finditer(line))
    words = [match[0] for match in places]
    if not words:
        found.append(_warning("label-blank-line", "a blank line", path, number, None, FIX_HINT))
        return
    name_words = next((i for i, word in enumerate(words[1:], 1) if _number(word) is not None), 1)
    if name_words > 1 and len(words) - name_words >= COLUMNS - 1:
        joined = "_".join(words[:name_words])
        message = f'the class name "{printable(" ".join(words[:name_words]))}" has a blank, so that the columns are shifted'
        found.append(_finding("class-name-blank", message, path, number, 1, f'{FIX_HINT}: "{joined}"'))
        words = [joined, *words[name_words:]]
        places = [places[0], *places[name_words:]]
    if len(words) != COLUMNS:
        score = len(words) == COLUMNS + 1
        hint = f"{FIX_HINT}: the 16th column is a detector's score" if score else "write type, truncated, " \
            "occluded, alpha, box (4), dimensions (3), location (3), rotation_y"  # fmt: skip
        found.append(_finding("label-columns", f"{len(words)} columns, not {COLUMNS}", path, number, None, hint))
        if not score:
            yield line
            return
        words = words[:COLUMNS]
    numbers = [_number(word) for word in words[1:]]
    bad = [i for i, value in enumerate(numbers, 1) if value is None or not math.isfinite(value)]
    for i in bad:
        value = numbers[i - 1]
        code, what = ("label-not-finite", "not finite") if value is not None else ("label-not-a-number", "no number")
        message = f'"{printable(words[i])}" is {what} (column {i + 1} of {COLUMNS})'
        found.append(_finding(code, message, path, number, places[i].start() + 1, "correct the label"))
    if bad:
        yield line
        return
    if not re.fullmatch(r"[+-]?\d+", words[2]):
        whole = float(words[2]).is_integer()
        hint = FIX_HINT if whole else "0 visible, 1 partly, 2 largely occluded, 3 unknown"
        message = f'"{printable(words[2])}" is no whole number for "occluded"'
        found.append(_finding("label-occluded", message, path, number, places[2].start() + 1, hint))
        if whole:
            words[2] = str(int(float(words[2])))
    if words[0] != words[0].lower():
        message = f'the class "{printable(words[0])}" has capitals; TAO reads "{printable(words[0].lower())}"'
        found.append(_warning("class-name-case", message, path, number, 1, FIX_HINT))
        words[0] = words[0].lower()
    column = places[4].start() + 1
    box = tuple(float(word) for word in words[4:8])
    x_min, y_min, x_max, y_max = box
    if x_max < x_min or y_max < y_min:
        found.append(_finding("box-inverted", f"the box {_shown(box)} ends before it begins", path, number, column,
                              "correct it: x_min y_min x_max y_max"))  # fmt: skip
        yield " ".join(words)
        return
    if x_max == x_min or y_max == y_min:
        message = f"the box {_shown(box)} has no area"
        found.append(_finding("box-empty", message, path, number, column, f"{FIX_HINT}: the line goes"))
        return
    key = (words[0], x_min, y_min, x_max, y_max)
    if key in seen:
        message = f"the same box as in line {seen[key]}"
        found.append(_warning("box-duplicate", message, path, number, column, FIX_HINT))
        return
    seen[key] = number
    if size is not None:
        width, height = size
        if x_min >= width or y_min >= height or x_max <= 0 or y_max <= 0:
            message = f"the box {_shown(box)} lies outside the image of {width}x{height}"
            found.append(_finding("box-outside", message, path, number, column, f"{FIX_HINT}: the line goes"))
            return
        if x_min < -_SLACK or y_min < -_SLACK or x_max > width + _SLACK or y_max > height + _SLACK:
            message = f"the box {_shown(box)} reaches beyond the image of {width}x{height}"
            found.append(_warning("box-beyond-edge", message, path, number, column, f"{FIX_HINT}: it is clipped"))
            box = (max(0.0, x_min), max(0.0, y_min), min(float(width), x_max), min(float(height), y_max))
            words[4:8] = [f"{value:.2f}" for value in box]
    if min(box[2] - box[0], box[3] - box[1]) < min_pixels:
        message = f"the box {_shown(box)} is narrower than {min_pixels:g} pixels"
        found.append(_warning("box-tiny", message, path, number, column, "is it a slip of the mouse?"))
    facts.boxes.append((words[0], *box, number))  # type: ignore[arg-type]
    yield " ".join(words)


def class_counts(files: list[LabelFacts]) -> Counter[str]:
    return Counter(box[0] for facts in files for box in facts.boxes)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _shown(box: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in box)


def _finding(
    code: str, message: str, path: Path, line: int | None = None, column: int | None = None, hint: str | None = None
) -> Finding:  # fmt: skip
    return Finding(Severity.ERROR, code, message, hint, path, line, column)


def _warning(code: str, message: str, path: Path, line: int, column: int | None, hint: str) -> Finding:
    return Finding(Severity.WARNING, code, message, hint, path, line, column)
