"""Runs as a table, one line per run: styled on a terminal, elsewhere without importing rich."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from taorunner.console.base.columns import Column, Row, laid_out, laid_out_plainly
from taorunner.console.base.formatting import clean, metric_label, number, of
from taorunner.console.base.theme import Symbols, state_style
from taorunner.runs.state.metric_names import kpi_name, loss_name
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.text import duration

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from rich.text import Text

_Cell = tuple[tuple[str, str], ...]
"""Pieces of text, each with its style."""

_COLUMNS = (
    Column(""),
    Column("run"),
    Column("project", drop=1),
    Column("experiment", drop=2, shrinks_to=20),
    Column("action", drop=3),
    Column("state", drop=9, shrinks_to=16),
    Column("epochs", drop=8, right=True),
    Column("best", drop=7),
    Column("left", drop=6, right=True),
    Column("gpus", drop=4),
    Column("duration", drop=5, right=True),
)
"""The id is never cut, because other commands take it. It contains experiment and action, so those columns are dropped
first."""


def run_lines(snapshots: Sequence[RunSnapshot], width: int, symbols: Symbols, now: datetime) -> list[Text]:
    """One line per run, in the given order."""
    from rich.text import Text

    rows = [Row(tuple(Text.assemble(*cell) for cell in cells)) for cells in _rows(snapshots, symbols, now)]
    return laid_out(_COLUMNS, rows, width, symbols)


def plain_run_lines(
    snapshots: Sequence[RunSnapshot], width: int, symbols: Symbols, now: datetime
) -> list[str] | None:
    """The same lines without styles; None when a text has characters whose width only rich knows."""
    rows = [["".join(text for text, _ in cell) for cell in cells] for cells in _rows(snapshots, symbols, now)]
    if not all(cell.isascii() for _, *cells in rows for cell in cells):
        return None
    return laid_out_plainly(_COLUMNS, rows, width, symbols)


def _rows(snapshots: Sequence[RunSnapshot], symbols: Symbols, now: datetime) -> list[list[_Cell]]:
    several = len({run.project for run in snapshots}) > 1
    return [
        [
            ((symbols.states[run.state], state_style(run.state)),),
            ((clean(run.id), ""),),
            ((clean(run.project) if several else "", ""),),
            ((clean(run.experiment), "name"),),
            ((clean(run.action), ""),),
            ((_state(run), state_style(run.state)),),
            ((of(run.epoch, run.epochs), ""),),
            _best(run),
            ((_duration(run.eta_s(now)), ""),),
            ((clean(",".join(run.gpus)), ""),),
            ((_duration(run.elapsed_s(now)), ""),),
        ]
        for run in snapshots
    ]


def _state(run: RunSnapshot) -> str:
    word = run.state.value.lower()
    return f"{word}: {clean(run.waiting)}" if run.waiting else word


def _best(run: RunSnapshot) -> _Cell:
    name = kpi_name(run.best, run.judged) or loss_name(run.best)
    if name is None:
        return (("", ""),)
    return (f"{clean(metric_label(name))} ", ""), (number(run.best[name].value), "best")


def _duration(seconds: float | None) -> str:
    return duration(seconds) if seconds is not None else ""
