"""How does foreign text fit into a terminal? Cleaning, cutting and padding by cells; numbers and bars.

Everything that comes from a log, a file or a name goes through ``clean`` before it is shown: it can neither
drive the terminal nor be read as markup, and its width on the screen is known.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from taorunner.console.theme import Symbols
from taorunner.runs.snapshot import RunSnapshot
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


def fit(text: str, width: int, symbols: Symbols) -> str:
    """``text`` cleaned and cut to ``width`` cells, with an ellipsis where something was cut off."""
    text = symbols.shown(clean(text).rstrip())
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    mark = symbols.ellipsis if width > cell_len(symbols.ellipsis) else ""
    return chop_cells(text, width - cell_len(mark))[0] + mark


def fit_path(path: str, width: int, symbols: Symbols) -> str:
    """Like ``fit``, but the end stays: of an image or a path it says more than the beginning."""
    path = symbols.shown(clean(path))
    if width <= 0 or cell_len(path) <= width:
        return path if width > 0 else ""
    kept = path[::-1]
    mark = symbols.ellipsis if width > cell_len(symbols.ellipsis) else ""
    return mark + chop_cells(kept, width - cell_len(mark))[0][::-1]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """``text`` filled with blanks to ``width`` cells; ``right`` puts the blanks before it."""
    missing = max(0, width - cell_len(text))
    return " " * missing + text if right else set_cell_size(text, max(width, cell_len(text)))


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


def percent(fraction: float | None) -> str:
    """``  7%``, `` 99%``, ``100%`` only when it is complete; four cells."""
    if fraction is None:
        return "    "
    return f"{100 if fraction >= 1 else min(99, int(fraction * 100)):3d}%"


def bar(fraction: float | None, width: int, symbols: Symbols, style: str = "bar.done") -> Text:
    """A bar that can be read without colour too. None: nobody knows how far it is."""
    width = max(0, width)
    if fraction is None:
        return Text(symbols.bar_rest * width, style="bar.rest")
    halves = int(min(1.0, max(0.0, fraction)) * width * 2)
    done = symbols.bar_done * (halves // 2) + (symbols.bar_half if halves % 2 else "")
    return Text.assemble((done, style), (symbols.bar_rest * (width - len(done)), "bar.rest"))


def of(done: int | None, total: int | None) -> str:
    """``12/80``, ``12`` when the total is unknown, an empty string when nothing is."""
    if done is None:
        return ""
    return f"{done}/{total}" if total is not None else str(done)


def labels(snapshots: Iterable[RunSnapshot]) -> Mapping[str, str]:
    """Per run id the shortest name that tells it apart: experiment, project/experiment, with action or id."""
    runs = {snapshot.id: snapshot for snapshot in snapshots}
    several = len({run.project for run in runs.values()}) > 1
    names = {
        run.id: clean(f"{run.project}/{run.experiment}" if several else run.experiment) or clean(run.id)
        for run in runs.values()
    }
    twice = Counter(names.values())
    names = {
        id_: f"{name} {clean(runs[id_].action)}" if twice[name] > 1 else name for id_, name in names.items()
    }
    twice = Counter(names.values())
    return {id_: f"{name} {clean(id_)}" if twice[name] > 1 else name for id_, name in names.items()}
