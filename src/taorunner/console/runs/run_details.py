"""Renders one run in full, for ``runs show``.

Lines fit ``width``, except paths, ids and commands, which are never cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path

from rich.cells import cell_len
from rich.text import Text

from taorunner.console.base.cells import bar, fact_line, folded, percent
from taorunner.console.base.columns import Column, Row, cut, laid_out
from taorunner.console.base.formatting import (
    beside_success,
    clean,
    metric_label,
    minute,
    number,
    of,
    shown_path,
    shown_paths,
)
from taorunner.console.base.theme import Symbols, state_style
from taorunner.console.base.typed_commands import Place, as_typed
from taorunner.console.live.sparkline import sparkline
from taorunner.console.runs.outcome import next_lines
from taorunner.events import Notice, RunState
from taorunner.progress.causes.cause import LAST_LINES_HINT
from taorunner.runs.control.ending import Ending
from taorunner.runs.control.origin import Origin
from taorunner.runs.outputs.recorded import CHECKPOINT, Output
from taorunner.runs.state.history import History
from taorunner.runs.state.metric_names import is_lower_better, kpi_name
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.text import amount, duration, size

_LABEL = 9
_INDENT = _LABEL + 4
_BAR = 30
_CURVE = 24
_OUTPUTS, _NAMED = 5, 2
"""Outputs that are listed at most, and of one kind by name."""
_NOUNS = {
    "onnx": "ONNX file", "records": "record file", "calibration": "calibration file", "images": "image",
    "labels": "label file", "status": "status file", "log": "log file",
}  # fmt: skip
"""What one of a kind is called, where its name does not say it."""
_DIGEST = len("sha256:") + 6
_WAITED_S = 60.0
"""A shorter wait in the queue is not worth a word."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the page shows besides the snapshot.

    ``where`` is the place of the run, or what it waits for. ``project`` is empty where the workspace has only one.
    ``short_ids`` are those of the run and of those that ``origin`` names. ``history`` has the curves; without,
    there are none. ``commands`` are the next steps. Paths below ``here`` are relative; commands in other texts mean the
    workspace ``root``.
    """

    where: str = ""
    project: str = ""
    record: RunRecord | None = None
    origin: Origin = field(default_factory=Origin)
    ending: Ending | None = None
    history: History | None = None
    short_ids: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()
    here: Path = Path("/")
    root: Path | None = None


NO_FACTS = PageFacts()


def run_detail_lines(
    run: RunSnapshot, width: int, symbols: Symbols, now: datetime, zone: tzinfo | None = None,
    facts: PageFacts = NO_FACTS,
) -> list[Text]:  # fmt: skip
    """The page of one run. ``zone`` is the time zone, the machine's by default."""
    place = Place(facts.root, run.project) if facts.root is not None else None
    rows: list[tuple[str, Text | str]] = [
        *_state_rows(run, facts, place, now, width, symbols),
        ("run", clean(run.id)),
        ("project", clean(facts.project)),
        ("when", _when(run, now, zone)),
        (_where_label(run.state), _where(run, facts)),
        ("image", _image(run, symbols)),
        *_origin_rows(run, facts, symbols),
        *_results(run, facts, place),
        ("log", _log(run, facts, place)),
    ]
    lines = [head_line(run, now, width, symbols)]
    for label, value in rows:
        lines += _fact(label, value, width)
    if run.metrics:
        lines += [Text(), *_metric_lines(run, facts.history, width, symbols)]
    if run.measured_by is not None:
        lines += _fact("measured", f"host figures by {clean(run.measured_by)}", width)
    if run.notices:
        lines.append(Text())
        lines += [line for notice in run.notices for line in _notice(notice, zone, width, facts.here)]
    return [*lines, *([Text(), *next_lines(facts.commands)] if facts.commands else [])]


def plot_title(run: RunSnapshot, metric: str, symbols: Symbols) -> Text:
    """``val_mAP50 ↑  best 0.7480 at 31, last 0.7431``"""
    lower = is_lower_better(metric, run.judged)
    name = f"{clean(metric_label(metric))} {symbols.better(lower)}".rstrip()
    best, last = run.best.get(metric) if lower is not None else None, run.metrics.get(metric)
    at = f" at {best.epoch}" if best is not None and best.epoch is not None else ""
    parts = [f"best {number(best.value)}{at}"] if best is not None else []
    parts += [f"last {number(last)}"] if last is not None else []
    return Text.assemble((name, "name"), f"  {', '.join(parts)}")


def damaged_lines(
    run_id: str, reason: str, intact: Sequence[str], hint: str | None, symbols: Symbols
) -> list[Text]:
    """The page of a run whose record cannot be used: ``intact`` is what else is in its folder."""
    style = state_style(RunState.DAMAGED)
    head = Text.assemble(
        (f"{symbols.states[RunState.DAMAGED]} {clean(run_id)} damaged", style), f": {clean(reason)}",
        (" [damaged-record]", "quiet"),
    )  # fmt: skip
    rows = [("intact", ", ".join(intact)), ("hint", clean(hint or ""))]
    return [head, *(fact_line(label, value, _LABEL) for label, value in rows if value)]


def head_line(run: RunSnapshot, now: datetime, width: int, symbols: Symbols) -> Text:
    """``✓ rtdetr_01 · train  succeeded in 2h 04m, 36 epochs``"""
    style = state_style(run.state)
    action = f" {symbols.dot} {clean(run.action)}" if run.action else ""
    ended = _state_text(run, now)
    room = max(12, width - cell_len(f"?  {action}  {ended}"))
    name = cut(clean(run.experiment or run.id), room, symbols.ellipsis, cell_len, middle=True)
    state, rest = ended[: len(run.state.value)], ended[len(run.state.value) :]
    return Text.assemble(
        (f"{symbols.states[run.state]} ", style),
        (name, "title"),
        (action, "quiet"),
        "  ",
        (state, style),
        rest,
    )


def _state_text(run: RunSnapshot, now: datetime) -> str:
    """``succeeded in 2h 04m, 36 epochs``; ``failed after 16s, in epoch 1 of 36``; ``queued for 3m 05s``."""
    word = run.state.value.lower()
    elapsed_s, waited_s = run.elapsed_s(now), run.waited_s(now)
    if run.state in (RunState.QUEUED, RunState.WAITING):
        return f"{word} for {duration(waited_s)}" if waited_s is not None else word
    if elapsed_s is None:
        return f"{word} before it started" if run.state.is_final and run.state is not RunState.LOST else word
    if run.state is RunState.SUCCEEDED:
        epochs = f", {amount(run.epoch, 'epoch')}" if run.epoch else ""
        return f"{word} in {duration(elapsed_s)}{epochs}"
    where = "" if run.state is RunState.LOST else f" after {duration(elapsed_s)}"
    if not run.state.is_final:
        return f"{word} for {duration(elapsed_s)}"
    if run.epoch is not None:
        total = f" of {run.epochs}" if run.epochs is not None else ""
        where += f", {'after' if run.epoch_completed else 'in'} epoch {run.epoch}{total}"
    return word + where


def _state_rows(
    run: RunSnapshot, facts: PageFacts, place: Place | None, now: datetime, width: int, symbols: Symbols
) -> list[tuple[str, Text | str]]:
    """Why it ended, and how far it is."""
    rows: list[tuple[str, Text | str]] = []
    reason = _reason(run)
    if reason:
        has_code = run.exit_code and run.state is RunState.FAILED and "exit code" not in reason
        code = f" (exit code {run.exit_code})" if has_code else ""
        rows.append(("reason", f"{reason}{code}"))
    if run.hint and run.hint != LAST_LINES_HINT:
        rows.append(("hint", clean(as_typed(run.hint, place))))
    if run.epoch is not None and not run.state.is_final:
        epoch = Text(of(run.epoch, run.epochs))
        fraction, left = run.fraction(now), run.eta_s(now)
        if fraction is not None:
            epoch.append("  ").append_text(bar(fraction, min(_BAR, width - 40), symbols))
            epoch.append(f" {percent(fraction)}")
        if left is not None:
            epoch.append(f"  {duration(left)} left", style="quiet")
        rows.append(("epoch", epoch))
    return rows


def _reason(run: RunSnapshot) -> str:
    """Empty where the head says it all."""
    if run.state is not RunState.SUCCEEDED:
        return clean(run.reason or "")
    return beside_success(clean(run.reason or ""))


def _when(run: RunSnapshot, now: datetime, zone: tzinfo | None) -> str:
    """``2026-11-28 22:22 to 2026-11-29 00:26``, and how long it was queued where that was long."""
    if run.started_at is None:
        queued = f"queued {minute(run.queued_at, zone)}" if run.queued_at is not None else ""
        ended = f"ended {minute(run.finished_at, zone)}" if run.finished_at is not None else ""
        return ", ".join(text for text in (queued, ended) if text)
    began = minute(run.started_at, zone)
    text = f"{began} to {minute(run.finished_at, zone)}" if run.finished_at is not None else f"since {began}"
    waited_s = run.waited_s(now) if run.requeued_at is None else None
    return f"{text}, queued {duration(waited_s)} before" if waited_s and waited_s >= _WAITED_S else text


def _where(run: RunSnapshot, facts: PageFacts) -> str:
    """A run that never started was on no machine."""
    if run.state.is_final and run.started_at is None:
        return ""
    if run.state is RunState.WAITING and run.waiting:
        cluster = facts.record.cluster if facts.record is not None else None
        return f"{clean(cluster or run.backend)}: {clean(run.waiting)}"
    return f"{facts.where or clean(run.backend)}{_hardware(facts.record)}"


def _hardware(record: RunRecord | None) -> str:
    """`` (H100 80GB HBM3), driver 570.86``: what was seen when the run was launched."""
    if record is None or not record.gpu_models:
        return ""
    models = dict.fromkeys(clean(name).removeprefix("NVIDIA ") for name in record.gpu_models)
    driver = f", driver {clean(record.driver)}" if record.driver else ""
    return f" ({', '.join(models)}){driver}"


def _where_label(state: RunState) -> str:
    if state.is_final:
        return "ran on"
    return "waits" if state in (RunState.QUEUED, RunState.WAITING) else "runs on"


def _image(run: RunSnapshot, symbols: Symbols) -> str:
    digest = f"  {run.image_digest[:_DIGEST]}{symbols.ellipsis}" if run.image and run.image_digest else ""
    return clean(run.image or "") + digest


def _log(run: RunSnapshot, facts: PageFacts, place: Place | None) -> str:
    """The command that prints the log of a run that failed."""
    is_asked_for = run.state in (RunState.FAILED, RunState.LOST) and run.started_at is not None
    return as_typed(f"taorunner logs {_short(run.id, facts)}", place) if is_asked_for else ""


def _origin_rows(run: RunSnapshot, facts: PageFacts, symbols: Symbols) -> list[tuple[str, Text | str]]:
    """The data, what the run was made from, the runs after it, and what was unusual at its start."""
    origin, record = facts.origin, facts.record
    arrow = " → " if symbols.is_unicode else " -> "
    source = f"run {_short(origin.source, facts)}" if origin.source is not None else ""
    made = [f"{clean(action)} {_short(run_id, facts)}" for action, run_id in origin.followed_by]
    if origin.resumed_by is not None:
        made.insert(0, f"resumed as {_short(origin.resumed_by, facts)}")
    retries = record.retries_made if record is not None else 0
    left = f", {record.retries_left} left" if record is not None and record.retries_left else ""
    return [
        ("data", shown_path(origin.data, facts.here) if origin.data is not None else ""),
        ("made from", ", ".join(text for text in (source, clean(origin.made_from or "")) if text)),
        ("made", arrow.join(made)),
        ("retries", f"{retries} made{left}" if retries else ""),
        ("forced", ", ".join(record.forced) if record is not None else ""),
    ]


def _short(run_id: str, facts: PageFacts) -> str:
    return clean(facts.short_ids.get(run_id, run_id))


def _results(run: RunSnapshot, facts: PageFacts, place: Place | None) -> list[tuple[str, Text | str]]:
    """Where the results are, and what of them is still in its place."""
    ending = facts.ending
    if ending is None or ending.results.folder is None or run.started_at is None:
        return []
    if ending.set_aside is not None:
        command = as_typed(f"taorunner runs restore {clean(run.experiment)}", place)
        return [("results", f"set aside: {shown_path(ending.set_aside, facts.here)}"), ("restore", command)]
    parts = _outputs(ending)
    if not parts and run.state.is_final:
        later = f"; run {_short(facts.origin.later, facts)} came later" if facts.origin.later else ""
        return [("results", f"none are left{later}")]
    chosen = ("best", ending.best) if ending.best is not None else ("newest", ending.newest)
    return [
        ("results", shown_path(ending.results.folder, facts.here)),
        (chosen[0], _checkpoint(chosen[1]) if chosen[1] is not None else ""),
        ("outputs", ", ".join(parts)),
    ]


def _checkpoint(one: Output) -> str:
    """``model_epoch_030_step_14942.pth  214.3 MiB  epoch 31``"""
    epoch = f"  epoch {one.epoch}" if one.epoch is not None else ""
    return f"{clean(one.path.name)}  {size(one.bytes)}{epoch}"


def _outputs(ending: Ending) -> list[str]:
    """``36 checkpoints (7.5 GiB)``, ``model.onnx``: more than two of a kind are counted."""
    kinds: dict[str, list[Output]] = {}
    for one in ending.results.outputs:
        kinds.setdefault(one.kind, []).append(one)
    parts = []
    for kind, members in kinds.items():
        if kind == CHECKPOINT or len(members) > _NAMED:
            counted = amount(len(members), _NOUNS.get(kind, kind))
            parts.append(f"{counted} ({size(sum(one.bytes for one in members))})")
        else:
            parts += [clean(one.path.name) for one in members]
    more = [f"and {len(parts) - _OUTPUTS} more"] if len(parts) > _OUTPUTS else []
    return [*parts[:_OUTPUTS], *more]


def _fact(label: str, value: Text | str, width: int) -> list[Text]:
    """One fact in as many lines as it takes; none for an empty value. A word and a command are not broken."""
    if not value:
        return []
    if isinstance(value, Text) or cell_len(value) <= width - _INDENT or "taorunner " in value:
        return [fact_line(label, value, _LABEL)]
    first, *more = folded(value, width - _INDENT)
    return [fact_line(label, first, _LABEL), *(Text(" " * _INDENT + line) for line in more)]


def _notice(notice: Notice, zone: tzinfo | None, width: int, here: Path) -> list[Text]:
    """``22:31  warning: 64 MiB of shared memory [shm]``; with the date, since a run may take days."""
    level = notice.level if notice.level in ("info", "warning", "error") else "info"
    at = minute(notice.at, zone)
    text = f"{notice.level}: {shown_paths(clean(notice.text), here)} [{clean(notice.code)}]"
    first, *more = folded(text, width - len(at) - 2)
    line = Text.assemble((f"{at}  ", "quiet"), first)
    line.stylize(f"severity.{level}", len(at) + 2, len(at) + 2 + len(notice.level))
    return [line, *(Text(" " * (len(at) + 2) + part) for part in more)]


def _metric_lines(run: RunSnapshot, history: History | None, width: int, symbols: Symbols) -> list[Text]:
    """The main metric first. A metric that has no better direction has no best."""
    columns = [
        Column("metric", shrinks_to=16),
        Column("curve", drop=1),
        Column("last", right=True),
        Column("best", drop=3, right=True),
        Column("epoch", drop=2, right=True),
    ]
    main = kpi_name(run.metrics, run.judged)
    rows = []
    for name in sorted(run.metrics, key=lambda name: name != main):
        value = run.metrics[name]
        best = run.best.get(name) if is_lower_better(name, run.judged) is not None else None
        curve = [v for epoch, v in (history or {}).get(name, {}).items() if epoch is not None]
        rows.append(
            Row(
                (
                    Text(clean(metric_label(name))),
                    Text(sparkline(curve, _CURVE) if symbols.is_unicode else ""),
                    Text(number(value), style="" if number(value) != "nan" else "severity.error"),
                    Text(number(best.value) if best else "", style="best"),
                    Text(str(best.epoch) if best and best.epoch is not None else ""),
                )
            )
        )
    return laid_out(columns, rows, width, symbols)
