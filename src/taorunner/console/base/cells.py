"""Fits text into terminal cells: cutting, padding, bars and labels."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import Symbols

if TYPE_CHECKING:
    from taorunner.runs.state.snapshot import RunSnapshot


def fit(text: str, width: int, symbols: Symbols) -> str:
    """``text`` cleaned and cut to ``width`` cells, with an ellipsis at the cut."""
    text = symbols.shown(clean(text).rstrip())
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    mark = symbols.ellipsis if width > cell_len(symbols.ellipsis) else ""
    return chop_cells(text, width - cell_len(mark))[0] + mark


def fit_path(path: str, width: int, symbols: Symbols) -> str:
    """Like ``fit``, but keeps the end, which says more in an image name or a path."""
    path = symbols.shown(clean(path))
    if width <= 0 or cell_len(path) <= width:
        return path if width > 0 else ""
    kept = path[::-1]
    mark = symbols.ellipsis if width > cell_len(symbols.ellipsis) else ""
    return mark + chop_cells(kept, width - cell_len(mark))[0][::-1]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """``text`` padded to ``width`` cells; ``right`` aligns it to the right."""
    missing = max(0, width - cell_len(text))
    return " " * missing + text if right else set_cell_size(text, max(width, cell_len(text)))


def percent(fraction: float | None) -> str:
    """``  7%``, `` 99%``; ``100%`` only when complete. Four cells."""
    if fraction is None:
        return "    "
    return f"{100 if fraction >= 1 else min(99, int(fraction * 100)):3d}%"


def bar(fraction: float | None, width: int, symbols: Symbols, style: str = "bar.done") -> Text:
    """A bar that is readable without colour. ``fraction`` is None when the progress is unknown."""
    width = max(0, width)
    if fraction is None:
        return Text(symbols.bar_rest * width, style="bar.rest")
    halves = int(min(1.0, max(0.0, fraction)) * width * 2)
    done = symbols.bar_done * (halves // 2) + (symbols.bar_half if halves % 2 else "")
    return Text.assemble((done, style), (symbols.bar_rest * (width - len(done)), "bar.rest"))


def labels(snapshots: Iterable[RunSnapshot]) -> Mapping[str, str]:
    """The shortest unique name per run id: experiment or project/experiment, with action or id if needed."""
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


def fact_line(label: str, value: Text | str, label_width: int = 11) -> Text:
    """One fact: the label in ``label_width`` cells, then the value."""
    return Text.assemble("  ", (pad(label, label_width), "label"), "  ", value)


def folded_fact(label: str, value: str, width: int) -> list[Text]:
    """A fact in lines of ``width`` cells; none for an empty value."""
    if not value:
        return []
    first, *more = folded(value, width - 15)
    return [fact_line(label, first), *(Text(" " * 15 + line) for line in more)]


def listed(title: str, texts: Iterable[str], width: int, symbols: Symbols) -> list[Text]:
    """A title and a list of the different texts; nothing without texts."""
    lines: list[Text] = []
    for text in dict.fromkeys(texts):
        first, *more = folded(text, width - 4)
        lines += [Text(f"  {symbols.dot} {first}"), *(Text(f"    {line}") for line in more)]
    return [Text(), Text(title, style="label"), *lines] if lines else []


def folded(text: str, width: int) -> list[str]:
    """At least one line; a word longer than ``width`` is not broken."""
    return textwrap.wrap(clean(text), max(20, width), break_long_words=False, break_on_hyphens=False) or [""]
