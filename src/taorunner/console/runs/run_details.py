"""Renders one run in full, for ``runs show``.

Lines fit ``width``, except paths, digests and reasons, which are never cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from rich.text import Text

from taorunner.console.base.cells import bar, fact_line, percent
from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean, number, of, shown_path
from taorunner.console.base.theme import Symbols, state_style
from taorunner.console.base.typed_commands import Place, as_typed
from taorunner.console.runs.results_lines import result_rows
from taorunner.runs.control.ending import Ending
from taorunner.runs.outputs.recorded import CHECKPOINT
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.text import amount, duration, size

_BAR = 30
_OUTPUTS = 5


def run_detail_lines(
    run: RunSnapshot, directory: Path, width: int, symbols: Symbols, now: datetime, zone: tzinfo | None = None,
    ending: Ending | None = None, next_commands: Sequence[str] = (), here: Path = Path("/"), root: Path | None = None,
) -> list[Text]:  # fmt: skip
    """All facts of one run. ``zone`` is the time zone, the machine's by default; ``ending`` is what the run left,
    ``next_commands`` are the suggested commands. Paths below ``here`` are relative. Commands in other texts
    mean the workspace ``root``."""
    style = state_style(run.state)
    place = Place(root, run.project) if root is not None else None
    head = Text.assemble(
        (f"{symbols.states[run.state]} ", style), (clean(run.experiment or run.id), "title"),
        (f" {symbols.dot} {clean(run.action)}" if run.action else "", "quiet"), "  ",
        (run.state.value.lower(), style),
    )  # fmt: skip
    facts: list[tuple[str, Text | str]] = []
    if run.waiting:
        facts.append(("waiting", clean(run.waiting)))
    if run.reason:
        facts.append(("reason", clean(run.reason)))
    if run.hint:
        facts.append(("hint", clean(as_typed(run.hint, place))))
    facts += [("next", command) for command in next_commands[:1]]
    fraction, left = run.fraction(now), run.eta_s(now)
    if run.epoch is not None:
        epoch = Text(of(run.epoch, run.epochs))
        if fraction is not None and not run.state.is_final:
            epoch.append("  ").append_text(bar(fraction, min(_BAR, width - 40), symbols))
            epoch.append(f" {percent(fraction)}")
        if left is not None:
            epoch.append(f"  {duration(left)} left", style="quiet")
        facts.append(("epoch", epoch))
    facts += [
        ("run", clean(run.id)),
        ("project", clean(run.project)),
        ("backend", clean(run.backend)),
        ("image", clean(run.image or "")),
        ("digest", clean(run.image_digest or "")),
        ("gpus", clean(", ".join(run.gpus))),
        ("exit code", str(run.exit_code) if run.exit_code is not None else ""),
        ("queued", _time(run.queued_at, zone)),
        ("started", _time(run.started_at, zone)),
        ("finished", _time(run.finished_at, zone)),
        ("duration", _duration(run.elapsed_s(now))),
        ("checkpoints", "" if ending is not None and ending.results.checkpoints else _checkpoints(run)),
        ("directory", clean(str(directory))),
        *_results(ending, run.experiment, here, place),
    ]
    lines = [head, *(fact_line(label, value) for label, value in facts if value)]
    if run.metrics:
        lines += [Text(), *_metric_lines(run, width, symbols)]
    if run.notices:
        lines.append(Text())
        lines += [
            Text.assemble(
                (f"{n.at.astimezone(zone):%H:%M:%S}  ", "quiet"), (n.level, f"severity.{_level(n.level)}"),
                f": {clean(n.text)}", (f" [{clean(n.code)}]", "quiet"),
            )
            for n in run.notices
        ]  # fmt: skip
    return lines


def _metric_lines(run: RunSnapshot, width: int, symbols: Symbols) -> list[Text]:
    columns = [
        Column("metric", shrinks_to=16),
        Column("newest", right=True),
        Column("best", drop=2, right=True),
        Column("at epoch", drop=1, right=True),
    ]
    rows = []
    for name, value in run.metrics.items():
        best = run.best.get(name)
        rows.append(
            Row(
                (
                    Text(clean(name)),
                    Text(number(value)),
                    Text(number(best.value) if best else "", style="best"),
                    Text(str(best.epoch) if best and best.epoch is not None else ""),
                )
            )
        )
    return laid_out(columns, rows, width, symbols)


def _results(
    ending: Ending | None, experiment: str, here: Path, place: Place | None
) -> list[tuple[str, Text | str]]:
    """Where the results are, and what of them is still in its place."""
    if ending is None or ending.results.folder is None:
        return []
    checkpoints = ending.results.checkpoints
    others = [one for one in ending.results.outputs if one.kind != CHECKPOINT]
    facts = [f"{amount(len(checkpoints), 'checkpoint')} ({size(sum(one.bytes for one in checkpoints))})"]
    facts = [*(facts if checkpoints else []), *(clean(one.path.name) for one in others[:_OUTPUTS])]
    more = [f"and {len(others) - _OUTPUTS} more"] if len(others) > _OUTPUTS else []
    left = ", ".join([*facts, *more])
    if not left and ending.set_aside is not None:
        command = as_typed(f"taorunner runs restore {clean(experiment)}", place)
        left = f"set aside: {shown_path(ending.set_aside, here)} ({command})"
    left = left or "none of this run is left there"
    rows = [row for row in result_rows(ending) if row[0] in ("best", "newest")]
    return [("results", shown_path(ending.results.folder, here)), *rows, ("outputs", left)]


def _checkpoints(run: RunSnapshot) -> str:
    return f"{run.checkpoints}, the last {clean(run.last_checkpoint or '')}" if run.checkpoints else ""


def _duration(seconds: float | None) -> str:
    return duration(seconds) if seconds is not None else ""


def _time(at: datetime | None, zone: tzinfo | None) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if at is not None else ""


def _level(level: str) -> str:
    return level if level in ("info", "warning", "error") else "info"
