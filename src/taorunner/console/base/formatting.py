"""Formats text and numbers for every view, without a terminal library.

Text from logs, files and names goes through ``clean`` before it is shown, so that it cannot control the terminal and
its width is known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from taorunner.text import printable
from taorunner.text import size as size_text

_ESCAPES = r"(?s)\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|.)"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_CONSIDERED = 2000
"""A longer line is cut here: no terminal is that wide."""


def clean(text: str) -> str:
    """One line without escape sequences or control characters; tabs and line ends become blanks."""
    text = text[:_CONSIDERED]
    if "\x1b" in text:  # few texts have one, and compiling the pattern takes time
        text = re.sub(_ESCAPES, "", text)
    return printable(" ".join(text.expandtabs(4).splitlines()))


def number(value: float) -> str:
    """At most four significant digits: ``0.4312``, ``12.35``, ``1.2e-05``, ``nan``."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return str(int(value)) if abs(value) >= 10 else f"{value:.1f}"
    size = abs(value)
    if size < 1e-3 or size >= 1e6:
        return f"{value:.2e}"
    return f"{value:.4f}" if size < 1 else f"{value:#.4g}".rstrip(".")


def metric_label(name: str) -> str:
    """The metric's name; ``mean average precision`` is shortened to ``mAP``."""
    return name.replace("mean average precision", "mAP")


def of(done: int | None, total: int | None) -> str:
    """``12/80``, ``12`` when the total is unknown, an empty string when both are."""
    if done is None:
        return ""
    return f"{done}/{total}" if total is not None else str(done)


def used_of(used_bytes: float, total_bytes: float) -> str:
    """
    >>> used_of(31.2 * 2**30, 80 * 2**30)
    '31.2 of 80.0 GiB'
    """
    total = size_text(total_bytes)
    unit = total.partition(" ")[2]
    scale = 1024.0 ** _UNITS.index(unit)
    return f"{max(0.0, used_bytes) / scale:.{0 if unit == 'B' else 1}f} of {total}"


def shown_path(path: Path, here: Path) -> str:
    """The path from ``here``; one that lies elsewhere begins with ``~/``, or at the root."""
    for folder, start in ((here, ""), (Path.home(), "~/")):
        if path.is_absolute() and path.is_relative_to(folder):
            return clean(f"{start}{path.relative_to(folder)}")
    return clean(str(path))


def made_lines(files: Sequence[Path], here: Path) -> list[str]:
    """``made projects/p/specs/e/{convert,train}.txt``: the files of one folder in one line, equal suffixes together."""
    groups: dict[tuple[Path, str], list[str]] = {}
    for file in files:
        groups.setdefault((file.parent, file.suffix), []).append(file.stem)
    lines = []
    for (folder, suffix), stems in groups.items():
        name = stems[0] if len(stems) == 1 else f"{{{','.join(stems)}}}"
        lines.append(f"made {shown_path(folder / f'{name}{suffix}', here)}")
    return lines


def fill_in_text(lines: Mapping[Path, Sequence[int]]) -> str:
    """``fill in: experiments.yml line 21, train.yaml lines 49, 67 (taorunner validate shows them)``."""
    each = (
        f"{path.name} {'line' if len(numbers) == 1 else 'lines'} {', '.join(map(str, numbers))}"
        for path, numbers in lines.items()
    )
    return f"fill in: {', '.join(each)} (taorunner validate shows them)"


def no_problems_text(projects: Sequence[str]) -> str:
    """What ``validate`` says when it has found nothing to show."""
    return f"no problems in {', '.join(projects) or 'no project yet'}"
