"""Renders the end of a batch: a table of outcomes, details of failures, a comparison, and the next commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.text import Text

from taorunner import events
from taorunner.console.base.cells import labels
from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.findings_text import folded
from taorunner.console.base.formatting import beside_success, clean, metric_label, number, of
from taorunner.console.base.theme import Symbols, state_style, symbols_of
from taorunner.console.base.typed_commands import Place, as_typed
from taorunner.console.live.run_view import caution_of, short_id
from taorunner.console.live.sparkline import sparkline
from taorunner.console.runs.failures import SHOWN_NAMES, Shown, failure_lines, failures_by_cause
from taorunner.console.runs.results_lines import results_lines
from taorunner.errors import Severity
from taorunner.events import RunState
from taorunner.planning.model.request import command_of
from taorunner.runs.control.ending import Ending
from taorunner.runs.state.metric_names import Judged, is_lower_better, kpi_name, loss_name
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.text import duration

COMPARED_METRICS = 4
NEXT_COMMANDS = 3
_CURVE = 12


class Named(Protocol):
    """The names of a run: a record or a snapshot."""

    @property
    def id(self) -> str: ...
    @property
    def project(self) -> str: ...
    @property
    def experiment(self) -> str: ...


def print_outcome(
    console: Console,
    snapshots: Sequence[RunSnapshot],
    tails: Mapping[str, Sequence[str]],
    directories: Mapping[str, Path],
    *,
    ends: Mapping[str, Ending],
    is_quiet: bool = False,
    now: datetime | None = None,
    root: Path | None = None,
    short_ids: Mapping[str, str] = {},
    curves: Mapping[str, Sequence[float]] = {},
) -> None:
    """``tails`` are the last log lines by run id, ``directories`` the run folders, ``ends`` what each run left and
    which commands follow, ``short_ids`` their short ids, ``curves`` their main metrics by epoch.
    ``is_quiet`` drops the commands at the end. Commands mean the workspace ``root``."""
    place = Place(root) if root is not None else None
    lines = outcome_lines(
        snapshots, tails, directories, console.width, symbols_of(console),
        ends=ends, now=now or events.now(), is_quiet=is_quiet, here=Path.cwd(), place=place,
        short_ids=short_ids, curves=curves,
    )  # fmt: skip
    for line in lines:
        is_long = console.is_terminal and line.cell_len > console.width
        for part in folded(line, console.width) if is_long else [line]:
            console.print(part, soft_wrap=True)


def outcome_lines(
    snapshots: Sequence[RunSnapshot],
    tails: Mapping[str, Sequence[str]],
    directories: Mapping[str, Path],
    width: int,
    symbols: Symbols,
    *,
    ends: Mapping[str, Ending] = {},
    now: datetime,
    is_quiet: bool = False,
    here: Path = Path("/"),
    place: Place | None = None,
    short_ids: Mapping[str, str] = {},
    curves: Mapping[str, Sequence[float]] = {},
) -> list[Text]:
    """Paths below ``here`` are relative, commands for ``place`` as they are typed there. Tables fit ``width``; reasons,
    hints, paths and commands are never cut."""
    names = labels(snapshots)
    short = {run.id: clean(short_ids.get(run.id) or short_id(run.id)) for run in snapshots}
    lines = [Text(), *_table(snapshots, ends, short, width, symbols, now, curves)]
    lines += _never_started(snapshots, names, symbols)
    lines += _cautions(snapshots, names)
    shown = Shown(tails, directories, ends, names, short, width, symbols, here, place)
    for alike in failures_by_cause(snapshots, tails):
        steps = [] if is_quiet else [as_typed(step, place) for step in next_commands(alike, ends)]
        lines += [Text(), *failure_lines(alike, steps, shown)]
    compared = _comparison(snapshots, names, width, symbols)
    if compared:
        lines += [Text(), *compared]
    left = results_lines(snapshots, ends, names, here, place)
    if left:
        lines += [Text(), *left]
    commands = [] if is_quiet else [as_typed(step, place) for step in _next_commands(snapshots, ends, short)]
    if commands:
        lines += [Text()] * (not left) + next_lines(commands)
    return lines


def next_lines(commands: Sequence[str]) -> list[Text]:
    """``next: …``, one command a line, never cut."""
    heads = ["next", *[""] * (len(commands) - 1)]
    return [
        Text.assemble(("next", "hint") if head else "    ", ": " if head else "  ", command)
        for head, command in zip(heads, commands, strict=True)
    ]


def _table(
    snapshots: Sequence[RunSnapshot], ends: Mapping[str, Ending], short: Mapping[str, str], width: int,
    symbols: Symbols, now: datetime, curves: Mapping[str, Sequence[float]],
) -> list[Text]:  # fmt: skip
    """The action is a column where there are several."""
    columns = [
        Column(""), Column("run"), Column("experiment", shrinks_to=20), Column("action", drop=4), Column("state"),
        Column("epochs", drop=3, right=True), Column("best", shrinks_to=24), Column("curve", drop=1),
        Column("duration", drop=2, right=True),
    ]  # fmt: skip
    several = len({run.project for run in snapshots}) > 1
    has_actions = len({run.action for run in snapshots}) > 1
    rows = []
    for run in snapshots:
        elapsed_s = run.elapsed_s(now)
        style = "severity.warning" if caution_of(run) else state_style(run.state)
        sign = symbols.severities[Severity.WARNING] if caution_of(run) else symbols.states[run.state]
        name = f"{run.project}/{run.experiment}" if several else run.experiment
        rows.append(
            Row(
                (
                    Text(sign, style=style),
                    Text(short[run.id]),
                    Text(clean(name) or short[run.id], style="name"),
                    Text(run.action if has_actions else ""),
                    Text(run.state.value.lower(), style=state_style(run.state)),
                    Text(of(run.epoch, run.epochs)),
                    _best(run, ends.get(run.id)),
                    Text(sparkline(curves.get(run.id, ()), _CURVE) if symbols.is_unicode else ""),
                    Text(duration(elapsed_s) if elapsed_s is not None else ""),
                )
            )
        )
    return laid_out(columns, rows, width, symbols)


def _best(run: RunSnapshot, ending: Ending | None) -> Text:
    """The main metric at its best, else what came out."""
    name = kpi_name(run.best, run.judged) or loss_name(run.best)
    if name is None:
        if run.state is not RunState.SUCCEEDED:
            return Text()
        made = ending.results.main_output if ending is not None else None
        return Text(clean(beside_success(run.reason or "") or (made.path.name if made is not None else "")))
    best = run.best[name]
    at = f" at {best.epoch}" if best.epoch is not None else ""
    return Text.assemble(f"{clean(metric_label(name))} ", (number(best.value), "best"), (at, "quiet"))


def _cautions(snapshots: Sequence[RunSnapshot], names: Mapping[str, str]) -> list[Text]:
    """What casts doubt on a success: it is not shown as one without a word."""
    lines: list[Text] = []
    for run in snapshots:
        caution = caution_of(run)
        if caution is not None:
            head = (f"! {names[run.id]} succeeded", "severity.warning")
            said = (f", but {clean(caution.text)}", (f" [{clean(caution.code)}]", "quiet"))
            lines += [*([] if lines else [Text()]), Text.assemble(head, *said)]
    return lines


def _never_started(
    snapshots: Sequence[RunSnapshot], names: Mapping[str, str], symbols: Symbols
) -> list[Text]:
    """Why runs were stopped that never started, such as the rest of a chain: a line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for run in snapshots:
        if run.state is RunState.STOPPED and run.started_at is None and run.reason:
            by_reason.setdefault(clean(run.reason), []).append(names[run.id])
    lines = [Text()] if by_reason else []
    for reason, stopped in by_reason.items():
        more = f" and {len(stopped) - SHOWN_NAMES} more" if len(stopped) > SHOWN_NAMES else ""
        shown = ", ".join(stopped[:SHOWN_NAMES])
        style = state_style(RunState.STOPPED)
        lines.append(
            Text.assemble((f"{symbols.states[RunState.STOPPED]} {shown}{more}", style), f": {reason}")
        )
    return lines


_FIRST_COLUMN = 14


def _comparison(
    snapshots: Sequence[RunSnapshot], names: Mapping[str, str], width: int, symbols: Symbols
) -> list[Text]:
    """Best values side by side with the winner marked; empty for fewer than two runs with metrics."""
    measured = [run for run in snapshots if run.best]
    shared = [name for name in _by_weight(measured) if sum(name in run.best for run in measured) > 1]
    if len(measured) < 2 or not shared:
        return []
    columns = [
        Column("best values", shrinks_to=14),
        *(Column(names[run.id], drop=i, right=True, shrinks_to=8) for i, run in enumerate(measured, 1)),
    ]
    is_wide = _FIRST_COLUMN + sum(len(names[run.id]) + 2 for run in measured) > width
    if is_wide or len(measured) > 4 or len(shared) < len(measured):  # the longer side becomes the rows
        return _comparison_by_run(measured, shared, names, width, symbols)
    rows = []
    for name in shared[:COMPARED_METRICS]:
        winner = _winner(name, measured)
        rows.append(
            Row(
                (
                    Text(clean(metric_label(name))),
                    *(_compared(run, name, run.id == winner) for run in measured),
                )
            )
        )
    return laid_out(columns, rows, width, symbols)


def _comparison_by_run(
    runs: Sequence[RunSnapshot], shared: Sequence[str], names: Mapping[str, str], width: int, symbols: Symbols
) -> list[Text]:
    shown = shared[:COMPARED_METRICS]
    columns = [
        Column("best values", shrinks_to=12),
        *(Column(clean(metric_label(name)), drop=i or None, right=True) for i, name in _from_the_last(shown)),
    ]
    winners = {name: _winner(name, runs) for name in shown}
    rows = [
        Row((Text(names[run.id], style="name"), *(_compared(run, m, winners[m] == run.id) for m in shown)))
        for run in runs
    ]
    return laid_out(columns, rows, width, symbols)


def _from_the_last(names: Sequence[str]) -> list[tuple[int, str]]:
    """Numbers the names for dropping: the first is 0 (never dropped), the last is dropped first."""
    return [(len(names) - i if i else 0, name) for i, name in enumerate(names)]


def _compared(run: RunSnapshot, name: str, is_winner: bool) -> Text:
    best = run.best.get(name)
    if best is None:
        return Text()
    return Text(("* " if is_winner else "") + number(best.value), style="best" if is_winner else "")


def _winner(name: str, runs: Sequence[RunSnapshot]) -> str | None:
    values = {run.id: run.best[name].value for run in runs if name in run.best}
    best = min(values.values()) if is_lower_better(name, _judged(runs)) else max(values.values())
    winners = [run_id for run_id, value in values.items() if value == best]
    return winners[0] if len(winners) == 1 else None


def _judged(runs: Sequence[RunSnapshot]) -> dict[str, Judged]:
    """The meaning of each metric, from the first run that has it."""
    return {name: judged for run in reversed(runs) for name, judged in run.judged.items()}


def _by_weight(runs: Sequence[RunSnapshot]) -> list[str]:
    """All metrics: the KPI, the loss, then the others in the order of their appearance."""
    every = list(dict.fromkeys(name for run in runs for name in run.best))
    first = [name for name in (kpi_name(every, _judged(runs)), loss_name(every)) if name is not None]
    first = list(dict.fromkeys(first))
    return [*first, *(name for name in every if name not in first)]


def next_commands(runs: Sequence[Named], ends: Mapping[str, Ending]) -> list[str]:
    """What follows these runs: one command for all experiments of a project with the same next step."""
    groups: dict[tuple[str, str], list[Named]] = {}
    for run in runs:
        for step in ends[run.id].steps if run.id in ends else ():
            groups.setdefault((run.project, step), []).append(run)
    return [_command(step, members) for (_, step), members in groups.items()]


def _next_commands(
    snapshots: Sequence[RunSnapshot], ends: Mapping[str, Ending], short: Mapping[str, str]
) -> list[str]:
    """At most three; those after a failure are shown with it."""
    failed = [run for run in snapshots if run.state in (RunState.FAILED, RunState.LOST)]
    ended = [run for run in snapshots if run.state.is_final and run not in failed]
    commands = ["taorunner attach"] if any(not run.state.is_final for run in snapshots) else []
    commands += next_commands([run for run in ended if run.state is RunState.STOPPED], ends)
    commands += next_commands(
        [run for run in ended if run.state is not RunState.STOPPED], not_taken(snapshots, ends)
    )
    seen = [run for run in ended if run.started_at is not None]
    if not commands and seen:
        commands.append(f"taorunner runs show {short[seen[-1].id]}")
    return commands[:NEXT_COMMANDS]


def not_taken(snapshots: Sequence[RunSnapshot], ends: Mapping[str, Ending]) -> dict[str, Ending]:
    """The endings without steps that were taken already, as in a chain."""
    taken = {(run.project, run.experiment, command_of(run.action)) for run in snapshots}
    return {
        run.id: replace(
            ends[run.id],
            steps=tuple(
                step
                for step in ends[run.id].steps
                if (run.project, run.experiment, step.partition(" {}")[0]) not in taken
            ),
        )
        for run in snapshots
        if run.id in ends
    }


def _command(step: str, runs: Sequence[Named]) -> str:
    """``step`` with the experiments of the runs, all of one project."""
    experiments = dict.fromkeys(run.experiment for run in runs)
    return clean(f"taorunner -p {runs[0].project} {step.replace('{}', ' '.join(experiments), 1)}")
