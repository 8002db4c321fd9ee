"""Why runs failed, at the end of a batch: each cause once, with its next step, the last lines and the logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.text import Text

from taorunner.console.base.cells import fit
from taorunner.console.base.formatting import clean, shown_path
from taorunner.console.base.theme import Symbols, state_style
from taorunner.console.base.typed_commands import Place, as_typed
from taorunner.events import RunState
from taorunner.progress.causes.cause import LAST_LINES_HINT
from taorunner.progress.causes.figures import memory_text
from taorunner.progress.causes.table import cause_with_reason
from taorunner.progress.console.line_kind import is_frame
from taorunner.runs.control.ending import Ending
from taorunner.runs.state.snapshot import RunSnapshot

LAST_LINES, LINES_WITHOUT_CAUSE = 4, 6
SHOWN_NAMES = 3
_MEMORY_CODE = "cuda-out-of-memory"


@dataclass(frozen=True)
class Shown:
    """What the lines are made of besides the runs; the fields are the arguments of ``outcome_lines``."""

    tails: Mapping[str, Sequence[str]]
    directories: Mapping[str, Path]
    ends: Mapping[str, Ending]
    names: Mapping[str, str]
    short: Mapping[str, str]
    width: int
    symbols: Symbols
    here: Path
    place: Place | None


def failures_by_cause(
    snapshots: Sequence[RunSnapshot], tails: Mapping[str, Sequence[str]]
) -> list[list[RunSnapshot]]:
    """The failed and lost runs, those together that failed with the same words; without a known cause, also with the
    same last lines."""
    groups: dict[tuple[object, ...], list[RunSnapshot]] = {}
    for run in snapshots:
        if run.state in (RunState.FAILED, RunState.LOST):
            reason = clean(run.reason or "")
            last = () if cause_with_reason(reason) is not None else tuple(_last(tails.get(run.id, ()), None))
            key = (run.state, run.project, reason, run.hint, _where(run), run.exit_code, last)
            groups.setdefault(key, []).append(run)
    return list(groups.values())


def failure_lines(alike: Sequence[RunSnapshot], steps: Sequence[str], shown: Shown) -> list[Text]:
    """The first of the runs in full, with the steps that follow all of them; the others by their names."""
    run, others = alike[0], alike[1:]
    of_project = replace(shown.place, project=run.project) if shown.place is not None else None
    lines = _failure(run, shown, of_project)
    lines += [Text.assemble("  ", ("next", "hint"), f": {command}") for command in steps]
    lines.append(_log([run], shown))
    if run.id in shown.ends and shown.ends[run.id].is_untouched:
        lines.append(Text(f"  nothing was started; the results of {run.experiment} are where they were"))
    if run.id in shown.directories:
        lines.append(Text(f"        {shown_path(shown.directories[run.id] / 'console.log', shown.here)}"))
    if others:
        names = ", ".join(shown.names[one.id] for one in others[:SHOWN_NAMES])
        more = f" and {len(others) - SHOWN_NAMES} more" if len(others) > SHOWN_NAMES else ""
        sign = shown.symbols.states[run.state]
        head = (f"{sign} {names}{more} {run.state.value.lower()}", state_style(run.state))
        lines += [Text.assemble(head, " in the same way"), _log(others[:SHOWN_NAMES], shown)]
    return lines


def _log(runs: Sequence[RunSnapshot], shown: Shown) -> Text:
    ids = " ".join(shown.short[run.id] for run in runs)
    return Text.assemble("  ", ("log", "label"), f":  {as_typed(f'taorunner logs {ids}', shown.place)}")


def _where(run: RunSnapshot) -> str:
    reason = clean(run.reason or "")
    is_in_epoch = run.epoch is not None and not run.epoch_completed and "epoch" not in reason
    return f" in epoch {run.epoch}" if is_in_epoch else ""


def _last(tail: Sequence[str], most: int | None) -> list[str]:
    last = [line for line in tail if clean(line).strip() and not is_frame(line)]
    return last if most is None else last[-most:]


def _failure(run: RunSnapshot, shown: Shown, place: Place | None) -> list[Text]:
    """Why it failed, the hint, and the last lines of its log: fewer where the cause is known."""
    tail, symbols, name = shown.tails.get(run.id, ()), shown.symbols, shown.names[run.id]
    reason = clean(run.reason or "no reason is known")
    cause = cause_with_reason(reason)
    code = f" [{cause.code}]" if cause is not None else ""
    if cause is None and run.exit_code is not None and "exit code" not in reason:
        code = f" (exit code {run.exit_code})"
    head = f"{symbols.states[run.state]} {name} {run.state.value.lower()}{_where(run)}"
    lines = [Text.assemble((head, state_style(run.state)), f": {reason}", (code, "quiet"))]
    memory = memory_text(tail) if cause is not None and cause.code == _MEMORY_CODE else None
    lines += [Text(f"  {memory}")] if memory is not None else []
    last = _last(tail, LAST_LINES if cause is not None else LINES_WITHOUT_CAUSE)
    if run.hint and not (last and run.hint == LAST_LINES_HINT):
        lines.append(Text.assemble("  ", ("hint", "hint"), f": {clean(as_typed(run.hint, place))}"))
    width = max(20, shown.width - 4)
    lines += [
        Text.assemble("  ", (f"{symbols.side} ", "border"), (fit(line, width, symbols), "quiet"))
        for line in last
    ]
    return lines
