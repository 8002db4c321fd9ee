"""Renders one running run as a panel.

Pure: the same view gives the same lines. No line is wider than requested, so the height on the screen is the number of
lines. What a low panel loses, first to last: log lines but two, the second metric, the bar of the step. The position,
the main metric, the GPUs and a warning always stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from taorunner.console.base.cells import bar, fit, fit_path, pad, percent
from taorunner.console.base.formatting import clean, metric_label, number, of, used_of
from taorunner.console.live.gpu_text import cluster_text, gpu_ids, panel_gpus
from taorunner.console.live.log_lines import line_count, shown_lines
from taorunner.console.live.run_view import RunView
from taorunner.console.live.sparkline import sparkline
from taorunner.console.runs.run_rows import (
    doing,
    fit_middle,
    mark,
    pull_fraction,
    time_left,
    value_style,
)  # fmt: skip
from taorunner.events import Notice, RunState
from taorunner.text import duration, size

LOG_LINES_MAX = 12
LOG_LINES_LEAST = 2
_BAR_MAX = 60
_LABEL_MAX = 14
_CURVE_MAX = 60
_CURVE_LEAST = 4
_GPU_ROWS_MAX = 8


PANEL_LEAST = 4
"""The least height of any panel."""


def panel_height(view: RunView) -> int:
    """The height that shows everything."""
    logs = line_count(view.tail, LOG_LINES_MAX)
    progress, metrics, warnings = _row_counts(view)
    gpus = len(gpu_rows(view, 76, _GPU_ROWS_MAX))
    return 2 + progress + metrics + gpus + warnings + (logs + 1 if logs else 0)


def least_height(view: RunView) -> int:
    """The height below which a panel would lose its position, main metric, GPUs, warning, or its last two log lines."""
    logs = line_count(view.tail, LOG_LINES_LEAST)
    progress, metrics, warnings = _row_counts(view)
    has_gpus = bool(view.run.gpus or cluster_text(view))
    return 2 + min(progress, 1) + min(metrics, 1) + has_gpus + warnings + logs


def panel(view: RunView, width: int, height: int) -> list[Text]:
    """Exactly ``height`` lines of exactly ``width`` cells."""
    inner, rows = max(1, width - 4), max(0, height - 2)
    logs_least = line_count(view.tail, LOG_LINES_LEAST)
    lines = _facts(view, inner, rows - logs_least)[:rows]
    left = rows - len(lines)
    if left > LOG_LINES_LEAST and view.tail:
        lines.append(Text(view.symbols.edge * inner, style="border"))
        left -= 1
    lines += log_texts(view, inner, left)
    for line in lines:
        line.truncate(inner)
    lines += [Text()] * (rows - len(lines))
    side = (view.symbols.side, "border")
    body = [
        Text.assemble(side, " ", line, " " * max(0, inner - line.cell_len), " ", side)
        for line in lines[:rows]
    ]
    return [_title(view, width), *body, _floor(view, width)]


def log_texts(view: RunView, width: int, count: int) -> list[Text]:
    """The last ``count`` lines of the log, each cut to ``width`` cells; errors in red."""
    return [
        Text(fit(line, width, view.symbols), style="state.failed" if is_error else "quiet")
        for line, is_error in shown_lines(view.tail, count)
    ]


def metric_rows(view: RunView, width: int, names: Sequence[str]) -> list[Text]:
    """One row per metric: newest and best value, and the curve where there is room."""
    texts = []
    room = width - label_width(view) - 2
    for name in names:
        value = view.run.metrics[name]
        text = Text(pad(number(value), _value_width(view)), style=value_style(value))
        best = view.run.best.get(name)
        if best is not None:
            text.append("  best ", style="quiet").append(number(best.value), style="best")
            at = f" at epoch {best.epoch}" if best.epoch is not None else ""
            if text.cell_len + len(at) > room:
                at = at.replace("epoch ", "")
            text.append(at if text.cell_len + len(at) <= room else "", style="quiet")
        texts.append(text)
    column = max((text.cell_len for text in texts), default=0) + 4
    room = min(_CURVE_MAX, room - column)
    rows = []
    for name, text in zip(names, texts, strict=True):
        curve = sparkline(view.notes.curves.get(name, ()), room) if _draws_curves(view) else ""
        if len(curve) >= _CURVE_LEAST:
            text.append(" " * (column - text.cell_len)).append(curve, style="bar.done")
        rows.append(labelled(view, metric_label(name), text))
    return rows


def shown_warning(view: RunView) -> Notice | None:
    """The stall, or the newest warning that still counts."""
    return view.notes.stall if view.stalled_s is not None else _newest_warning(view)


def warning_row(view: RunView, width: int) -> list[Text]:
    notice = shown_warning(view)
    if notice is None:
        return []
    return [
        Text(fit(f"{notice.level}: {notice.text}", width, view.symbols), style=f"severity.{notice.level}")
    ]


def progress_rows(view: RunView, width: int) -> list[Text]:
    """The position: what the run does before its first epoch, then its epochs and steps."""
    run = view.run
    what = doing(view)
    if what:
        return _start_rows(view, width, what)
    rows = [
        _bar_row(view, width, "epoch", of(run.epoch, run.epochs), run.fraction(view.now), time_left(view))
    ]
    if run.step is not None or run.steps is not None:
        fraction = min(1.0, (run.step or 0) / run.steps) if run.steps else None
        step_s = run.timing.step_s
        pace = Text(f"{_pace(step_s)} a step" if step_s is not None else "", style="quiet")
        rows.append(_bar_row(view, width, "step", of(run.step or 0, run.steps), fraction, pace))
    return rows


def gpu_rows(view: RunView, width: int, rows: int) -> list[Text]:
    """The GPUs, in at most ``rows`` lines; never none for a run that has GPUs."""
    room = width - label_width(view) - 2
    return [labelled(view, label, text) for label, text in panel_gpus(view, _value_width(view), room, rows)]


def labelled(view: RunView, label: str, text: Text) -> Text:
    """A row of a panel: its label in a column of its own, then ``text``."""
    width = label_width(view)
    return Text.assemble((pad(fit(label, width, view.symbols), width), "label"), "  ", text)


def label_width(view: RunView) -> int:
    """The width of the column of labels."""
    gpus = [f"GPU {gpu_ids(view.run.gpus, view.gpus)}" if view.run.gpus else "GPU 0"]
    metrics = view.run.metrics if view.has_all_metrics else view.shown_metrics
    names = [*map(metric_label, metrics), *gpus, "epoch"]
    if doing(view):
        names.append("starting")
    return min(_LABEL_MAX * (1 + view.has_all_metrics), max(len(name) for name in names))


def _row_counts(view: RunView) -> tuple[int, int, int]:
    """How many rows position, metrics and warning have when there is room for all."""
    run = view.run
    if doing(view):
        progress = 3 if run.pull is not None else 1
    else:
        progress = 1 + (run.step is not None or run.steps is not None)
    is_warned = view.stalled_s is not None or _newest_warning(view) is not None
    return progress, len(view.shown_metrics), int(is_warned)


def _facts(view: RunView, width: int, rows: int) -> list[Text]:
    """The panel's lines without the log. With few ``rows`` the second metric goes first, then the bar of the step."""
    progress = progress_rows(view, width)
    warnings = warning_row(view, width)
    names = view.shown_metrics
    metrics = metric_rows(view, width, names)
    spare = rows - len(progress) - len(metrics) - len(warnings)
    gpus = gpu_rows(view, width, min(_GPU_ROWS_MAX, spare))
    for group in (metrics, progress):
        while len(progress) + len(metrics) + len(gpus) + len(warnings) > rows and len(group) > 1:
            group.pop()
    return [*progress, *metrics, *gpus, *warnings]


def _start_rows(view: RunView, width: int, what: str) -> list[Text]:
    run, pull = view.run, view.run.pull
    if pull is None:
        label = "starting" if run.state is RunState.STARTING or view.trains else "running"
        image = f"  {run.image}" if run.state is RunState.STARTING and run.image else ""
        room = width - label_width(view) - 2
        shown = Text(what)
        if image:
            shown.append(
                f"  {fit_path(clean(run.image or ''), room - len(what) - 2, view.symbols)}", style="quiet"
            )
        return [labelled(view, label, shown)]
    left = Text(f"{duration(pull.eta_s)} left" if pull.eta_s is not None else "", style="quiet")
    layers = of(pull.layers_done, pull.layers or None) + " layers"
    room = width - label_width(view) - 2
    image = fit_path(pull.image, room - len(layers) - 3, view.symbols)
    value = used_of(pull.bytes_done, pull.bytes_total) if pull.bytes_total else size(pull.bytes_done)
    return [
        labelled(view, "starting", Text(fit(what, room, view.symbols))),
        _bar_row(view, width, "pull", value, pull_fraction(view), left),
        labelled(view, "image", Text.assemble(image, "   ", (layers, "quiet"))),
    ]


def _newest_warning(view: RunView) -> Notice | None:
    """The newest notice, if it is a warning or an error. A stall that has ended is no longer one."""
    notices = [n for n in view.run.notices if n.code not in ("engine", "undecided", "silent", "retry")]
    if notices and notices[-1].level in ("warning", "error"):
        return notices[-1]
    return None


def _bar_row(view: RunView, width: int, label: str, value: str, fraction: float | None, end: Text) -> Text:
    row = labelled(view, label, Text(pad(value, _value_width(view)) + "  "))
    tail = Text.assemble(f" {percent(fraction)}", "  " if end.cell_len else "", end)
    if row.cell_len + tail.cell_len > width:
        tail = Text(f" {percent(fraction)}")
    room = min(_BAR_MAX if width < 100 else _BAR_MAX * 2, width - row.cell_len - max(tail.cell_len, 19))
    if room >= 4:
        row.append_text(bar(fraction, room, view.symbols))
    row.append_text(tail)
    row.truncate(width)
    return row


def _value_width(view: RunView) -> int:
    run = view.run
    values = [of(run.epoch, run.epochs), of(run.step or 0, run.steps) if run.steps else "", "0.0000"]
    values += [number(run.metrics[name]) for name in view.shown_metrics]
    return max(len(value) for value in values)


def _draws_curves(view: RunView) -> bool:
    return view.symbols.dot == "·"


def _title(view: RunView, width: int) -> Text:
    run, symbols = view.run, view.symbols
    elapsed_s = run.elapsed_s(view.now)
    symbol, style = mark(view)
    state = f"{symbol} {run.state.value.lower()}"
    took = f"  {duration(elapsed_s)}" if elapsed_s is not None else ""
    fixed = len(f"+- {state}{took} -+") + 3
    action = (
        f" {symbols.dot} {run.action}" if run.action and not view.label.endswith(f" {run.action}") else ""
    )
    more = f"{action} {symbols.dot} {view.short_id}"
    if view.notes.attempt > 1:
        more += f" {symbols.dot} attempt {view.notes.attempt}"
    name = clean(view.label)
    for shorter in (action, ""):
        if Text(name).cell_len + len(more) + fixed > width:
            more = shorter
    name = fit_middle(view, max(1, width - fixed - len(more)))
    fill = width - fixed - Text(name).cell_len - len(more) + 1
    chosen = (">", "title") if view.is_selected else (" ", "")
    title = Text.assemble(
        (f"{symbols.corners[0]}{symbols.edge}", "border"), chosen, (name, "chosen" if view.is_selected else "title"),
        (more, "quiet"), " ", (symbols.edge * max(1, fill), "border"), " ", (state, style), (took, "quiet"),
        (f" {symbols.edge}{symbols.corners[1]}", "border"),
    )  # fmt: skip
    title.truncate(width)
    return title


def _floor(view: RunView, width: int) -> Text:
    corners = view.symbols.corners
    return Text(corners[3] + view.symbols.edge * max(0, width - 2) + corners[2], style="border")


def _pace(seconds: float) -> str:
    """The duration of a step: ``85ms``, ``0.29s``, ``12.3s``."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.1f}s"
