"""Checks a KITTI label file line by line (columns, numbers, class names, boxes) and computes its repair.

Source: tao/tensorflow.md section 7: the converter takes exactly 15 columns separated by spaces, one object a line,
an integer for occlusion, and class names in lower case without spaces.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.datasets.checks.boxes import Corners, faults_of
from taorunner.datasets.model.class_names import kitti_class_names
from taorunner.errors import Finding, Severity
from taorunner.text import printable, size

COLUMNS = 15
FIX_HINT = "--fix repairs it"
_BOM = b"\xef\xbb\xbf"
_WORD = re.compile(r"\S+")
_HINTS = {
    "box-inverted": "write x_min y_min x_max y_max",
    "box-empty": f"{FIX_HINT}: removes the line",
    "box-outside": f"{FIX_HINT}: removes the line",
    "box-beyond-edge": f"{FIX_HINT}: clips it",
    "box-tiny": "too small to learn from; check whether it is a mistake",
}


@dataclass(frozen=True, slots=True)
class LabelBox:
    """``name`` as TAO reads it. Coordinates are absolute pixels, clipped to the image; ``line`` is 1-based."""

    name: str
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    line: int


@dataclass(slots=True)
class LabelFacts:
    """``boxes`` holds the boxes that TAO can use. ``spellings`` counts class names as written; ``first_lines`` has the
    line where each first occurs. ``repaired`` is the text after the repair."""

    findings: list[Finding] = field(default_factory=list)
    boxes: list[LabelBox] = field(default_factory=list)
    spellings: Counter[str] = field(default_factory=Counter)
    first_lines: dict[str, int] = field(default_factory=dict)
    repaired: str = ""


def check_label_file(path: Path, size: tuple[int, int] | None, min_pixels: float = 2.0) -> LabelFacts:
    """``size`` is the image's width and height after EXIF, None when unknown. Never raises."""
    check = _LabelCheck(path, size, min_pixels)
    text = check.text()
    if text is not None:
        lines = text.split("\n")
        kept = [
            check.line(number, line) for number, line in enumerate(lines[: -1 if not lines[-1] else None], 1)
        ]
        check.facts.repaired = "".join(line + "\n" for line in kept if line is not None)
    return check.facts


_MAX_BYTES = 16 * 1024**2


class _LabelCheck:
    def __init__(self, path: Path, size: tuple[int, int] | None, min_pixels: float) -> None:
        self.path, self.size, self.min_pixels = path, size, min_pixels
        self.facts = LabelFacts()
        self._seen: dict[tuple[str, tuple[float, ...]], int] = {}

    def text(self) -> str | None:
        """The content with LF line ends, or None when it cannot be read."""
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 (thousands of small files)
                data = file.read(_MAX_BYTES + 1)
            if len(data) > _MAX_BYTES:
                raise OSError(0, f"larger than {size(_MAX_BYTES)}")
        except OSError as error:
            self._error(
                "label-unreadable", f"the file cannot be read: {(error.strerror or '').lower()}", None
            )
            return None
        if data.startswith(_BOM):
            message = (
                "the file begins with a byte order mark, which TAO reads as part of the first class name"
            )
            self._error("label-bom", message, 1, 1, FIX_HINT)
            data = data[len(_BOM) :]
        if b"\r" in data:
            self._warning("label-crlf", "the lines end with CR LF", 1, None, FIX_HINT)
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self._error("label-not-utf8", "the file is not UTF-8 text", line, None, "save it as UTF-8")
            return data.decode("utf-8", "surrogateescape")

    def line(self, number: int, line: str) -> str | None:
        """The line as it is, the repaired line, or None when the line must be removed."""
        places = list(_WORD.finditer(line))
        if not places:
            self._warning("label-blank-line", "a blank line", number, None, FIX_HINT)
            return None
        words = self._columns(number, [match[0] for match in places])
        if words is None:
            return line
        columns = [match.start() + 1 for match in places]
        columns[1:] = columns[self._name_words :]
        if not self._numbers(number, words, columns):
            return line
        self.facts.spellings[words[0]] += 1
        self.facts.first_lines.setdefault(words[0], number)
        words[0] = kitti_class_names([words[0]])[words[0]]
        box = self._box(number, words, columns[4])
        return " ".join(words) if box else None

    def _columns(self, number: int, words: list[str]) -> list[str] | None:
        """The 15 columns, or None when they cannot be identified."""
        self._name_words = next((i for i, word in enumerate(words) if i and _number(word) is not None), 1)
        if self._name_words > 1 and len(words) - self._name_words >= COLUMNS - 1:
            name = " ".join(words[: self._name_words])
            joined = name.replace(" ", "_")
            message = f'the class name "{printable(name)}" has a space, which shifts the columns'
            self._error("class-name-blank", message, number, 1, f'{FIX_HINT}: "{printable(joined.lower())}"')
            words = [joined, *words[self._name_words :]]
        else:
            self._name_words = 1
        if len(words) == COLUMNS + 1:
            hint = f"{FIX_HINT}: removes the 16th column, a detection score"
            self._error("label-columns", f"16 columns, not {COLUMNS}", number, None, hint)
            return words[:COLUMNS]
        if len(words) != COLUMNS:
            hint = "type truncated occluded alpha, 4 of the box, 3 dimensions, 3 of the location, rotation_y"
            self._error("label-columns", f"{len(words)} columns, not {COLUMNS}", number, None, hint)
            return None
        return words

    def _numbers(self, number: int, words: list[str], columns: list[int]) -> bool:
        """True when columns 2 to 15 are finite numbers. Writes occlusion as an integer."""
        is_good = True
        for i, word in enumerate(words[1:], 1):
            value = _number(word)
            if value is not None and math.isfinite(value):
                continue
            is_good = False
            code, what = (
                ("label-not-a-number", "not a number")
                if value is None
                else ("label-not-finite", "not finite")
            )
            message = f'"{printable(word)}" is {what} (column {i + 1} of {COLUMNS})'
            self._error(code, message, number, columns[i], "correct the label, or delete the line")
        if is_good and not re.fullmatch(r"[+-]?\d+", words[2]):
            is_whole = float(words[2]).is_integer()
            hint = FIX_HINT if is_whole else "0 visible, 1 partly, 2 largely occluded, 3 unknown"
            message = f'"{printable(words[2])}" is not an integer, as "occluded" must be'
            self._error("label-occluded", message, number, columns[2], hint)
            words[2] = str(int(float(words[2]))) if is_whole else words[2]
        return is_good

    def _box(self, number: int, words: list[str], column: int) -> bool:
        """False when the line must be removed. Clips the box in ``words`` to the image."""
        x_min, y_min, x_max, y_max = box = _corners(words)
        faults = faults_of(box, self.size, self.min_pixels)
        for fault in faults:
            finding = Finding(
                fault.severity, fault.code, fault.message, _HINTS[fault.code], self.path, number, column
            )
            self.facts.findings.append(finding)
            if fault.clipped is not None:
                x_min, y_min, x_max, y_max = fault.clipped
                words[4:8] = [f"{value:.4f}".rstrip("0").rstrip(".") for value in fault.clipped]
        if any(fault.is_removed for fault in faults):
            return False
        if any(fault.code == "box-inverted" for fault in faults):
            return True
        key = (words[0], box)
        if key in self._seen:
            message = f"the same box as in line {self._seen[key]}"
            self._warning("box-duplicate", message, number, column, f"{FIX_HINT}: removes the line")
            return False
        self._seen[key] = number
        self.facts.boxes.append(LabelBox(words[0], x_min, y_min, x_max, y_max, number))
        return True

    def _error(
        self, code: str, message: str, line: int | None, column: int | None = None, hint: str | None = None
    ) -> None:
        self.facts.findings.append(Finding(Severity.ERROR, code, message, hint, self.path, line, column))

    def _warning(self, code: str, message: str, line: int, column: int | None, hint: str) -> None:
        self.facts.findings.append(Finding(Severity.WARNING, code, message, hint, self.path, line, column))


def _corners(words: list[str]) -> Corners:
    return float(words[4]), float(words[5]), float(words[6]), float(words[7])


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
