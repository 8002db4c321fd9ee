"""How are foreign text and numbers written, wherever they are shown? Without a terminal library.

Everything that comes from a log, a file or a name goes through ``clean`` before it is shown: it can neither
drive the terminal nor be read as markup, and its width on the screen is known.
"""

from __future__ import annotations

import math
import re

from taorunner.text import printable

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|.)", re.DOTALL
)
_CONSIDERED = 2000
"""Characters of a line that are looked at: more than any terminal shows, less than a line can have."""


def clean(text: str) -> str:
    """One line without escape sequences and control characters; tabs and line ends become blanks."""
    text = _ESCAPES.sub("", text[:_CONSIDERED])
    return printable(" ".join(text.expandtabs(4).splitlines()))


def number(value: float) -> str:
    """Four digits that matter: ``0.4312``, ``12.35``, ``1.2e-05``, ``nan``."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return str(int(value)) if abs(value) >= 10 else f"{value:.1f}"
    size = abs(value)
    if size < 1e-3 or size >= 1e6:
        return f"{value:.2e}"
    return f"{value:.4f}" if size < 1 else f"{value:#.4g}".rstrip(".")


def metric_label(name: str) -> str:
    """The metric's own name; only the long one that everybody knows short is shortened."""
    return name.replace("mean average precision", "mAP")


def of(done: int | None, total: int | None) -> str:
    """``12/80``, ``12`` when the total is unknown, an empty string when nothing is."""
    if done is None:
        return ""
    return f"{done}/{total}" if total is not None else str(done)
