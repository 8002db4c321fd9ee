"""Prints comparisons of runs: ``runs diff``, ``runs compare`` and ``runs best``, as text, JSON or CSV."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from taorunner.console.base.columns import Column, laid_out_plainly
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import (
    LEAST_WIDTH,
    Symbols,
    is_plain,
    lenient,
    make_console,
    symbols_for,
    symbols_of,
    width_in_pipes,
)
from taorunner.console.comparison.diff_lines import METRICS, Cell, diff_cells, same_line, shown_metrics
from taorunner.events import now
from taorunner.runs.comparison.compare import Comparison
from taorunner.runs.comparison.metrics import ComparedMetric
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.store import RunStore
from taorunner.text import amount

_ONE_CELL = str.maketrans("", "", "↑↓≠×…▁▂▃▄▅▆▇█·")
"""Signs of these views whose width is known."""


def print_diff(
    store: RunStore, comparison: Comparison, *, everything: bool, json: bool, is_quiet: bool
) -> None:
    """What differs between two runs on stdout, what is the same on stderr."""
    ids = short_ids([run.record.id for run in comparison.runs], store.folder_names())
    if json:
        _print_json(store, comparison, ids)
        return
    view = TableView()
    columns, rows = diff_cells(
        comparison, ids, now(), view.symbols, view.width, everything=everything, with_curves=view.is_terminal
    )
    if rows:
        view.table(columns, rows)
    _say_measures(comparison)
    if not comparison.differences and not comparison.not_on_record:
        _note("the two runs have the same inputs", is_quiet)
    elif comparison.not_on_record:
        names = ", ".join(ids[run.record.id] for run in comparison.not_on_record)
        _note(
            f"not on record what {names} was made from: an older version ran it, or it never started",
            is_quiet,
        )
    for run in comparison.runs:
        if not run.metrics.last:
            _note(f"{ids[run.record.id]} has no metrics", is_quiet)
    hidden = len(shown_metrics(comparison, everything=True)) - METRICS
    if not everything:
        if hidden > 0:
            _note(
                f"of {amount(len(comparison.metrics), 'metric')} at most {METRICS} are shown (--all shows them)",
                is_quiet,
            )
        _note(same_line(comparison), is_quiet)
    for reasons in comparison.unlike:
        if reasons:
            _note(f"their metrics say little beside each other: {'; '.join(reasons)}", is_quiet)


def print_table(
    store: RunStore, comparison: Comparison, metric: ComparedMetric | None, *, everything: bool, json: bool,
    as_csv: bool, is_quiet: bool,
) -> None:  # fmt: skip
    """One line for each run."""
    from taorunner.console.comparison.compare_table import compare_cells, unlike_lines, write_csv

    ids = short_ids([run.record.id for run in comparison.runs], store.folder_names())
    if json:
        _print_json(store, comparison, ids)
        return
    if as_csv:
        write_csv(comparison, now(), lenient(sys.stdout))
        return
    view = TableView()
    several = len({run.record.project for run in comparison.runs}) > 1
    columns, rows, hidden = compare_cells(
        comparison, metric, ids, view.symbols, everything=everything, with_curves=view.is_terminal,
        with_project=several,
    )  # fmt: skip
    view.table(columns, rows)
    _say_measures(comparison)
    for line in unlike_lines(comparison, ids, view.symbols):
        _note(line, is_quiet)
    if hidden:
        _note(
            f"{amount(hidden, 'more value')} {'differs' if hidden == 1 else 'differ'}: --all, --csv", is_quiet
        )


class TableView:
    """What stdout can show."""

    def __init__(self) -> None:
        self.is_plain = is_plain(sys.stdout, os.environ)
        self.is_terminal, self.width = False, width_in_pipes(os.environ)
        self.symbols: Symbols = symbols_for(lenient(sys.stdout).encoding)
        if not self.is_plain:
            console = make_console(sys.stdout, os.environ)
            self.is_terminal, self.symbols = console.is_terminal, symbols_of(console)
            if console.is_terminal:
                self.width = max(LEAST_WIDTH, console.width)

    def table(self, columns: Sequence[Column], rows: Sequence[tuple[Cell, ...]]) -> None:
        texts = [[text for text, _ in row] for row in rows]
        if self.is_plain and all(text.translate(_ONE_CELL).isascii() for row in texts for text in row):
            lines = laid_out_plainly(columns, texts, self.width, self.symbols)
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
            return
        from rich.text import Text

        from taorunner.console.base.columns import Row, laid_out

        styled = [Row(tuple(Text(text, style=style) for text, style in row)) for row in rows]
        console = make_console(sys.stdout, os.environ)
        for line in laid_out(columns, styled, self.width, self.symbols):
            console.print(line, soft_wrap=True)


def _print_json(store: RunStore, comparison: Comparison, ids: Mapping[str, str]) -> None:
    from taorunner.console.runs.runs_view import runs_json

    write_json(
        comparison.to_json(runs_json(store, [run.record for run in comparison.runs], ids)), sys.stdout.buffer
    )


def _say_measures(comparison: Comparison) -> None:
    """On stdout: a figure says nothing without how it was measured."""
    for text in comparison.measured_by:
        lenient(sys.stdout).write(f"host figures: {clean(text)}\n")
    sys.stdout.flush()


def _note(text: str, is_quiet: bool) -> None:
    if not text or is_quiet:
        return
    sys.stdout.flush()
    if sys.stderr.isatty():
        from taorunner.console.base.findings_text import print_text  # imports Rich, which a pipe does without

        print_text(sys.stderr, text)
    else:
        lenient(sys.stderr).write(f"{text}\n")
