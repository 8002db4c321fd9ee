"""Renders one run as a panel, as two lines or as one line.

Pure: the same snapshot, tail, readings and time give the same lines. No line is wider than requested, so the height on
the screen is the number of lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from taorunner.console.base.cells import bar, fit, fit_path, pad, percent
from taorunner.console.base.formatting import metric_label, number, of
from taorunner.console.base.theme import Symbols, state_style
from taorunner.events import RunState
from taorunner.runs.state.metric_names import kpi_name, loss_name
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.text import duration, size

PANEL_MIN = 4
LOG_LINES_MAX = 12
_BAR_MAX = 60
_LABEL_MAX = 14


@dataclass(frozen=True, slots=True)
class GpuReading:
    """The state of one GPU; None where the driver reports no value. ``load_percent`` is 0..100."""

    index: str
    name: str = ""
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    load_percent: int | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """The input of the lines of one run. ``tail`` are its last log lines, ``gpus`` readings by host id."""

    run: RunSnapshot
    label: str
    tail: Sequence[str]
    gpus: Mapping[str, GpuReading]
    now: datetime
    symbols: Symbols


def panel_height(view: RunView) -> int:
    """The height that shows everything."""
    logs = min(LOG_LINES_MAX, len(view.tail))
    return 2 + len(_facts(view, 80, 99)) + (logs + 1 if logs else 0)


def panel(view: RunView, width: int, height: int) -> list[Text]:
    """Exactly ``height`` lines (at least ``PANEL_MIN``) of exactly ``width`` cells."""
    inner, rows = max(1, width - 4), height - 2
    facts = _facts(view, inner, rows)
    lines = facts[:rows]
    left = rows - len(lines)
    if left >= 3 and view.tail:
        lines.append(Text(view.symbols.edge * inner, style="border"))
        left -= 1
    if left > 0 and view.tail:
        lines += [Text(fit(text, inner, view.symbols), style="quiet") for text in view.tail[-left:]]
    for line in lines:
        line.truncate(inner)
    lines += [Text()] * (rows - len(lines))
    side = (view.symbols.side, "border")
    body = [
        Text.assemble(side, " ", line, " " * max(0, inner - line.cell_len), " ", side)
        for line in lines[:rows]
    ]
    return [_title(view, width), *body, _floor(view, width)]


def pair(view: RunView, width: int, name_width: int) -> list[Text]:
    """Two lines without a frame."""
    second = Text("  ")
    parts = [*_metric_parts(view, with_epoch=True), *_gpu_parts(view)]
    if view.run.pull is not None:
        parts = [Text(fit_path(view.run.pull.image, width - 4, view.symbols), style="quiet")]
    for part in parts:
        if second.cell_len + part.cell_len + 3 <= width:
            second.append_text(part).append("   ")
    second.rstrip()
    return [row(view, width, name_width, with_metrics=False), second]


def row(view: RunView, width: int, name_width: int, *, with_metrics: bool = True) -> Text:
    """One line: name, position, bar, ETA; the KPI if there is room."""
    run, symbols = view.run, view.symbols
    line = _head(view, name_width)
    end = Text()
    if run.state is RunState.STARTING or run.pull is not None:
        what = f"pulling {_pulled(view)}" if run.pull is not None else "starting"
        line.append(f"  {fit(what, 24, symbols):<24} ", style="quiet")
        fraction, eta_s = _pull_fraction(view), run.pull.eta_s if run.pull is not None else None
    else:
        line.append(f"  {'epoch ' + of(run.epoch, run.epochs) if run.epoch else '':<13} ")
        fraction, eta_s = run.fraction(view.now), run.eta_s(view.now)
    end.append(f" {percent(fraction)}")
    end.append(f"  {duration(eta_s) + ' left' if eta_s is not None else '':<12}", style="quiet")
    if with_metrics:
        for part in _metric_parts(view, with_epoch=False):
            if line.cell_len + end.cell_len + part.cell_len + 10 <= width:
                end.append("  ").append_text(part)
    room = min(_BAR_MAX // 2, width - line.cell_len - end.cell_len)
    if room >= 4:
        line.append_text(bar(fraction, room, symbols))
    line.append_text(end)
    line.truncate(width)
    return line


def finished_row(view: RunView, width: int, name_width: int) -> Text:
    """One line of an ended run: best KPI and duration of a success, otherwise the reason."""
    run, symbols = view.run, view.symbols
    line = _head(view, name_width)
    elapsed_s = run.elapsed_s(view.now)
    took = duration(elapsed_s) if elapsed_s is not None else ""
    line.append(f"  {took:>7}", style="quiet")
    if run.state is RunState.SUCCEEDED:
        if run.epoch is not None:
            line.append(f"  epoch {of(run.epoch, run.epochs)}")
        kpi = kpi_name(run.best, run.judged)
        if kpi is not None:
            line.append(f"  {fit(metric_label(kpi), 22, symbols)} ").append(
                number(run.best[kpi].value), style="best"
            )
            if run.best[kpi].epoch is not None:
                line.append(f" at epoch {run.best[kpi].epoch}", style="quiet")
    else:
        line.append(f"  {run.state.value.lower()}", style=state_style(run.state))
        line.append("  " + fit(run.reason or "", max(0, width - line.cell_len - 2), symbols))
    line.truncate(width)
    return line


def queued_row(view: RunView, width: int, name_width: int) -> Text:
    line = _head(view, name_width)
    waited_s = view.run.waited_s(view.now)
    line.append(f"  {view.run.action} {view.run.state.value.lower()}", style="quiet")
    if waited_s is not None:
        line.append(f"  {duration(waited_s)}", style="quiet")
    reason = view.run.waiting or (view.run.notices[-1].text if view.run.notices else "")
    if reason:
        line.append("  " + fit(reason, width - line.cell_len - 2, view.symbols), style="quiet")
    line.truncate(width)
    return line


def _head(view: RunView, name_width: int) -> Text:
    state = view.run.state
    name = pad(fit(view.label, name_width, view.symbols), name_width)
    return Text.assemble((view.symbols.states[state], state_style(state)), " ", (name, "name"))


def _title(view: RunView, width: int) -> Text:
    run, symbols = view.run, view.symbols
    elapsed_s = run.elapsed_s(view.now)
    state = f"{symbols.states[run.state]} {run.state.value.lower()}"
    took = f"  {duration(elapsed_s)}" if elapsed_s is not None else ""
    name = fit(view.label, width - len(state) - len(took) - 10, symbols)
    action = (
        f" {symbols.dot} {run.action}" if run.action and not view.label.endswith(f" {run.action}") else ""
    )
    edge = symbols.edge
    fill = width - len(f"+- {state}{took} -+") - Text(f" {name}{action} ").cell_len
    if fill < 1:
        action, fill = "", fill + len(action)
    title = Text.assemble(
        (f"{symbols.corners[0]}{edge} ", "border"), (name, "title"), (action, "quiet"), " ",
        (edge * max(1, fill), "border"), " ", (state, state_style(run.state)), (took, "quiet"),
        (f" {edge}{symbols.corners[1]}", "border"),
    )  # fmt: skip
    title.truncate(width)
    return title


def _floor(view: RunView, width: int) -> Text:
    corners = view.symbols.corners
    return Text(corners[3] + view.symbols.edge * max(0, width - 2) + corners[2], style="border")


def _facts(view: RunView, width: int, rows: int) -> list[Text]:
    """The panel's lines without the log; the least important are dropped first when ``rows`` is small."""
    run = view.run
    if run.pull is not None or (run.epoch is None and run.state is not RunState.RUNNING):
        progress = _pull_rows(view, width)
    else:
        progress = _progress_rows(view, width)
    metrics, gpus = _metric_rows(view, width), _gpu_rows(view, width)
    notices = [
        Text(fit(f"{n.level}: {n.text}", width, view.symbols), style=f"severity.{n.level}")
        for n in run.notices[-1:]
        if n.level in ("warning", "error")
    ]
    if len(progress) + len(metrics) + len(gpus) + len(notices) > rows and len(metrics) > 1:
        short = _joined(_metric_parts(view, with_epoch=True), width + 1)
        metrics = [
            short if short.cell_len <= width else _joined(_metric_parts(view, with_epoch=False), width)
        ]
    if len(progress) + len(metrics) + len(gpus) + len(notices) > rows and len(gpus) > 1:
        gpus = [_joined([Text("GPU", style="label"), *_gpu_parts(view)], width)]
    for group in (gpus, notices, progress):
        if len(progress) + len(metrics) + len(gpus) + len(notices) > rows and group:
            group.pop()
    return [*progress, *metrics, *gpus, *notices]


def _progress_rows(view: RunView, width: int) -> list[Text]:
    run = view.run
    eta_s = run.eta_s(view.now)
    left = f"{duration(eta_s)} left" if eta_s is not None else ""
    if run.epoch is None:
        return [_bar_row(view, width, "epoch", "", None, left or "waiting for the first epoch")]
    rows = [_bar_row(view, width, "epoch", of(run.epoch, run.epochs), run.fraction(view.now), left)]
    if run.step is not None or run.steps is not None:
        fraction = min(1.0, (run.step or 0) / run.steps) if run.steps else None
        step_s = run.timing.step_s
        pace = f"{_pace(step_s)} a step" if step_s is not None else ""
        rows.append(_bar_row(view, width, "step", of(run.step or 0, run.steps), fraction, pace))
    return rows


def _pull_rows(view: RunView, width: int) -> list[Text]:
    pull = view.run.pull
    if pull is None:
        image = f"  {view.run.image}" if view.run.image else ""
        return [Text(fit(f"preparing{image}", width, view.symbols), style="quiet")]
    left = f"{duration(pull.eta_s)} left" if pull.eta_s is not None else ""
    room = width - _label_width(view) - 2
    layers = of(pull.layers_done, pull.layers or None) + " layers"
    image = fit_path(pull.image, room - len(layers) - 3, view.symbols)
    return [
        _labelled(view, "image", Text.assemble(image, "   ", (layers, "quiet"))),
        _bar_row(view, width, "pull", _pulled(view), _pull_fraction(view), left),
    ]


def _metric_rows(view: RunView, width: int) -> list[Text]:
    rows = []
    for name in _shown_metrics(view.run):
        best = view.run.best.get(name)
        text = Text(pad(number(view.run.metrics[name]), _value_width(view)))
        if best is not None:
            text.append("  best ", style="quiet").append(number(best.value), style="best")
            if best.epoch is not None:
                text.append(f" at epoch {best.epoch}", style="quiet")
        rows.append(_labelled(view, metric_label(name), text))
    return rows


def _metric_parts(view: RunView, *, with_epoch: bool) -> list[Text]:
    parts = []
    for name in _shown_metrics(view.run):
        part = Text.assemble(
            (fit(metric_label(name), _LABEL_MAX, view.symbols), "label"), f" {number(view.run.metrics[name])}"
        )
        best = view.run.best.get(name)
        if best is not None and with_epoch:
            at = f" at {best.epoch}" if best.epoch is not None else ""
            part.append(" best ", style="quiet").append(number(best.value), style="best").append(at, "quiet")
        parts.append(part)
    return parts


def _gpu_rows(view: RunView, width: int) -> list[Text]:
    rows = []
    for gpu in view.run.gpus:
        reading = view.gpus.get(gpu)
        if reading is None:
            rows.append(_labelled(view, f"GPU {gpu}", Text()))
            continue
        load = f"{reading.load_percent}%" if reading.load_percent is not None else ""
        text = Text.assemble(
            pad(load, _value_width(view)), "  ", _memory(reading), "  ", (reading.name, "quiet")
        )
        text.truncate(max(0, width - _label_width(view) - 2), overflow="ellipsis")
        rows.append(_labelled(view, f"GPU {reading.index}", text))
    return rows


def _gpu_parts(view: RunView) -> list[Text]:
    parts = []
    for gpu in view.run.gpus:
        reading = view.gpus.get(gpu, GpuReading(gpu))
        load = f" {reading.load_percent}%" if reading.load_percent is not None else ""
        parts.append(Text.assemble((f"GPU {reading.index}", "label"), load))
    return parts


def _bar_row(view: RunView, width: int, label: str, value: str, fraction: float | None, end: str) -> Text:
    tail = Text.assemble(f" {percent(fraction)}", (f"  {end}" if end else "", "quiet"))
    row = _labelled(view, label, Text(pad(value, _value_width(view)) + "  "))
    room = min(_BAR_MAX, width - row.cell_len - max(tail.cell_len, 19))
    if room >= 4:
        row.append_text(bar(fraction, room, view.symbols))
    row.append_text(tail)
    row.truncate(width)
    return row


def _labelled(view: RunView, label: str, text: Text) -> Text:
    label_width = _label_width(view)
    return Text.assemble((pad(fit(label, label_width, view.symbols), label_width), "label"), "  ", text)


def _label_width(view: RunView) -> int:
    names = [*map(metric_label, _shown_metrics(view.run)), *(f"GPU {gpu}" for gpu in view.run.gpus), "epoch"]
    return min(_LABEL_MAX, max(len(name) for name in names))


def _value_width(view: RunView) -> int:
    run = view.run
    if run.pull is not None:
        return len(_pulled(view))
    values = [of(run.epoch, run.epochs), of(run.step or 0, run.steps) if run.steps else "", "0.0000"]
    return max(len(value) for value in values)


def _shown_metrics(run: RunSnapshot) -> list[str]:
    """The loss and the KPI, or the first metric if there is neither."""
    shown = [name for name in (loss_name(run.metrics), kpi_name(run.metrics, run.judged)) if name is not None]
    return list(dict.fromkeys(shown)) or list(run.metrics)[:1]


def _joined(parts: Sequence[Text], width: int) -> Text:
    line = Text("   ").join(parts)
    line.truncate(width, overflow="ellipsis")
    return line


def _memory(reading: GpuReading) -> str:
    if reading.memory_used_bytes is None or not reading.memory_total_bytes:
        return ""
    return f"{size(reading.memory_used_bytes)} of {size(reading.memory_total_bytes)}"


def _pulled(view: RunView) -> str:
    pull = view.run.pull
    if pull is None:
        return ""
    return size(pull.bytes_done) + (f" of {size(pull.bytes_total)}" if pull.bytes_total else "")


def _pull_fraction(view: RunView) -> float | None:
    """By bytes, or by layers while the total is unknown."""
    pull = view.run.pull
    if pull is None:
        return None
    if pull.bytes_total:
        return min(1.0, pull.bytes_done / pull.bytes_total)
    return min(1.0, pull.layers_done / pull.layers) if pull.layers else None


def _pace(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
