"""Renders one run without a frame: in two lines or one while it runs, in one line before and after.

Pure: the same view gives the same lines. No line is wider than requested.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from taorunner.console.base.cells import bar, fit, pad, percent
from taorunner.console.base.columns import cut
from taorunner.console.base.formatting import clean, metric_label, number, of
from taorunner.console.base.theme import state_style
from taorunner.console.live.gpu_text import compact_gpus
from taorunner.console.live.run_view import RunView
from taorunner.events import RunState
from taorunner.runs.state.metric_names import kpi_name
from taorunner.text import duration

_BAR_MAX = 60
_BAR_LEAST = 4
_END = 12
"""Cells of ``1h 24m left``, to the right."""
_GPU_PART = 38
_NARROW = 60
"""Below this width words that repeat in every line are left out."""
_LABEL_MAX = 14
_METRIC_FROM = 110
_BOTH_METRICS_FROM = 98
_GPU_CELLS = 20
_REASON_LEAST = 20


def pair(view: RunView, width: int, name_width: int) -> list[Text]:
    """Two lines: the position; then the main metric and the GPUs, which are never left out."""
    second = Text("  ")
    metric, gpus = _fitting(view, width - 2)
    second.append_text(metric)
    if gpus is not None:
        column = width - _GPU_PART if width - _GPU_PART >= second.cell_len + 2 else width - gpus.cell_len
        column = min(column, width - gpus.cell_len)
        second.append(" " * max(2 if metric.cell_len else 0, column - second.cell_len)).append_text(gpus)
    second.rstrip()
    second.truncate(width)
    return [_position_line(view, width, name_width), second]


def row(view: RunView, width: int, name_width: int, metric_cells: int) -> Text:
    """One line for terminals of 100 columns and more: position, main metric in ``metric_cells``, GPUs."""
    gpus = compact_gpus(view)
    gpu = next((form for form in gpus if form.cell_len <= width // 4), gpus[-1] if gpus else Text())
    tail = Text()
    if metric_cells and width >= _METRIC_FROM:
        tail.append("  ").append_text(_metric(view, with_best=False, with_epoch=False))
        tail.pad_right(max(0, metric_cells + 2 - tail.cell_len))
    tail.append("  ").append_text(gpu).pad_right(max(0, _GPU_CELLS - gpu.cell_len))
    line = _position_line(view, width - tail.cell_len, name_width)
    line.pad_right(max(0, width - tail.cell_len - line.cell_len))
    line.append_text(tail)
    line.truncate(width)
    return line


def metric_width(view: RunView) -> int:
    """The cells of the main metric in ``row``."""
    return _metric(view, with_best=False, with_epoch=False).cell_len


def ended_row(view: RunView, width: int, name_width: int) -> Text:
    """One line of an ended run: state, duration and best value; the reason when it did not succeed."""
    run = view.run
    line = _head(view, name_width)
    elapsed_s = run.elapsed_s(view.now)
    took = f" after {duration(elapsed_s)}" if elapsed_s is not None else ""
    style = "severity.warning" if view.caution else state_style(run.state)
    line.append("  ").append(run.state.value.lower(), style=style).append(took)
    said = clean(run.reason or "") if run.state is not RunState.SUCCEEDED else ""
    if view.caution is not None:
        said = clean(view.caution.text)
    end = f" ({view.short_id})"
    if said:
        room = width - line.cell_len - 2 - len(end)
        if room < _REASON_LEAST:
            line.right_crop(len(took))
            end = ""
            room = width - line.cell_len - 2
        line.append(": ").append(fit(said, room, view.symbols))
    else:
        kpi = kpi_name(run.best, run.judged)
        if kpi is not None:
            at = f" at {run.best[kpi].epoch}" if run.best[kpi].epoch is not None else ""
            line.append(f": {metric_label(kpi)} ").append(number(run.best[kpi].value), style="best").append(
                at
            )
    if line.cell_len + len(end) <= width:
        line.append(end, style="quiet")
    line.truncate(width)
    return line


def queued_row(view: RunView, width: int, name_width: int, word_width: int) -> Text:
    """One line of a run that has not started: its state and why. ``word_width`` is that of the longest state."""
    run = view.run
    line = _head(view, name_width)
    line.append(f"  {run.state.value.lower():<{word_width}}", style="quiet")
    if run.state is RunState.WAITING:
        reason = f"{view.engine}: {run.waiting}" if view.engine else run.waiting or ""
        waited_s = run.waited_s(view.now)
        waited = f"  {duration(waited_s)}" if waited_s is not None else ""
    else:
        reason, waited = view.notes.queue, ""
    if reason:
        room = width - line.cell_len - 2
        shown = fit(reason, room, view.symbols)
        line.append(f"  {shown}", style="quiet")
        if line.cell_len + len(waited) <= width and not shown.endswith(view.symbols.ellipsis):
            line.append(waited, style="quiet")
    line.rstrip()
    line.truncate(width)
    return line


def doing(view: RunView) -> str:
    """What a run does before its first epoch; "" once it has one."""
    run = view.run
    if run.pull is not None:
        fraction = pull_fraction(view)
        share = f", {percent(fraction).strip()}" if fraction is not None else ""
        return f"pulling the container image{share}"
    if run.state is RunState.STARTING:
        return "starting the container" if run.image else "starting"
    if run.epoch is not None:
        return ""
    elapsed_s = run.elapsed_s(view.now)
    took = f"  {duration(elapsed_s)}" if elapsed_s is not None else ""
    return f"{'reading the dataset' if view.trains else clean(run.action)}{took}"


def pull_fraction(view: RunView) -> float | None:
    """By bytes, or by layers while the total is unknown. 0..1."""
    pull = view.run.pull
    if pull is None:
        return None
    if pull.bytes_total:
        return min(1.0, pull.bytes_done / pull.bytes_total)
    return min(1.0, pull.layers_done / pull.layers) if pull.layers else None


def time_left(view: RunView) -> Text:
    """``1h 24m left``; how long a stalled run has made no progress; empty while the end is unknown."""
    stalled_s = view.stalled_s
    if stalled_s is not None:
        return Text(f"stalled {duration(stalled_s)}", style="severity.warning")
    eta_s = view.run.pull.eta_s if view.run.pull is not None else view.run.eta_s(view.now)
    return Text(f"{duration(eta_s)} left" if eta_s is not None else "", style="quiet")


def mark(view: RunView) -> tuple[str, str]:
    """The symbol of a run and its style: ``!`` for a stall or a doubtful success."""
    if view.stalled_s is not None or view.caution is not None:
        return "!", "severity.warning"
    return view.symbols.states[view.run.state], state_style(view.run.state)


def _position_line(view: RunView, width: int, name_width: int) -> Text:
    run = view.run
    line = _head(view, name_width)
    end = time_left(view)
    what = doing(view)
    if what:
        fraction = pull_fraction(view)
        line.append("  ").append(fit(what, width - line.cell_len - 2, view.symbols))
        if fraction is None or line.cell_len + _BAR_LEAST + 20 > width:
            line.truncate(width)
            return line
    else:
        fraction = run.fraction(view.now)
        digits = len(str(run.epochs)) if run.epochs else 1
        epoch = of(run.epoch, run.epochs).rjust(2 * digits + 1 if run.epochs else 1)
        line.append(f"  epoch {epoch}" if width >= _NARROW else f"  {epoch}")
    is_narrow = width < _NARROW
    tail = Text.assemble("  ", percent(fraction), " " if is_narrow else "  ")
    if is_narrow:
        end.plain = end.plain.removesuffix(" left")
    tail.append(" " * max(0, (7 if is_narrow else _END) - end.cell_len)).append_text(end)
    room = min(_BAR_MAX, width - line.cell_len - tail.cell_len - 2)
    if room >= _BAR_LEAST:
        line.append("  ").append_text(bar(fraction, room, view.symbols))
    line.append_text(tail)
    line.truncate(width)
    return line


def _head(view: RunView, name_width: int) -> Text:
    symbol, style = mark(view)
    name = pad(fit_middle(view, name_width), name_width)
    chosen = (">", "title") if view.is_selected else (" ", "")
    return Text.assemble((symbol, style), chosen, (name, "chosen" if view.is_selected else "name"))


def fit_middle(view: RunView, width: int) -> str:
    """The name of a run in at most ``width`` cells; a long one loses its middle."""
    name = view.symbols.shown(clean(view.label))
    return cut(name, width, view.symbols.ellipsis, cell_len, middle=True)


def _fitting(view: RunView, width: int) -> tuple[Text, Text | None]:
    """The longest metric and GPU texts that fit beside each other. The GPUs stay when the metric does not."""
    gpus = compact_gpus(view)
    metrics = [
        _metric(view, with_best=True, with_epoch=True),
        _metric(view, with_best=True, with_epoch=False),
        _metric(view, with_best=False, with_epoch=False),
    ]
    if not gpus:
        return next((one for one in metrics if one.cell_len <= width), Text()), None
    with_load = gpus[:-1] or gpus
    choices = [(metrics[0], gpu) for gpu in gpus[:2]]
    choices += [(one, gpu) for one in metrics[1:] for gpu in with_load[-2:]]
    choices += [(Text(), gpu) for gpu in gpus]
    if width >= _BOTH_METRICS_FROM and len(view.shown_metrics) > 1:
        both = metrics[0] + Text("   ") + _metric(view, with_best=True, with_epoch=True, place=1)
        choices.insert(0, (both, gpus[0]))
    for metric, gpu in choices:
        if metric.cell_len + gpu.cell_len + (2 if metric.cell_len else 0) <= width:
            return metric, gpu
    return Text(), gpus[-1]


def _metric(view: RunView, *, with_best: bool, with_epoch: bool, place: int = 0) -> Text:
    """The main metric, or the one at ``place``: ``val_mAP50 0.6820 best 0.6944 at 10``."""
    names = view.shown_metrics
    if not names:
        return Text()
    name = names[place]
    value = view.run.metrics[name]
    text = Text.assemble(
        (fit(metric_label(name), _LABEL_MAX, view.symbols), "label"), " ", (number(value), value_style(value))
    )
    best = view.run.best.get(name)
    if best is not None and with_best:
        text.append(" best ", style="quiet").append(number(best.value), style="best")
        if best.epoch is not None and with_epoch:
            text.append(f" at {best.epoch}", style="quiet")
    return text


def value_style(value: float) -> str:
    """Values that are no numbers are red."""
    return "state.failed" if value != value or value in (float("inf"), float("-inf")) else ""
