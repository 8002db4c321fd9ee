"""Sweeps: the table of trials, the history of their values, which keys matter, and their values beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from taorunner.console.base.formatting import clean, metric_label, number
from taorunner.console.sweeps.sweep_view import axis_labels, in_order, state_word, summary, value_text
from taorunner.page_frame.frame import as_html
from taorunner.project.sweeps.definition import Axis
from taorunner.reports.charts.history_chart import Dot, history_chart
from taorunner.reports.charts.parallel_chart import Scale, TrialLine, parallel_chart
from taorunner.reports.sections.words import shortened
from taorunner.reports.swept import Swept
from taorunner.sweeps.trial import Trial
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taorunner.page_frame.frame import Html

MOST_ROWS = 100
_MOST_SWEEPS = 12
_MOST_AXES = 10
_MOST_LINES = 400
_BEST, _OTHER, _PRUNED = "c0", "c1", "rest"


class Row(Value):
    """``reason`` says why it did not train to its end; ``state`` is a word and a class of the page."""

    name: str
    state: str
    value: str
    epoch: str
    values: tuple[str, ...]
    reason: str
    is_best: bool


class Share(Value):
    key: str
    text: str
    width: int


class ShownSweep(Value):
    name: str
    about: str
    best: str
    metric: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    more_rows: int
    history: Html
    parallel: Html
    importance: tuple[Share, ...]


def sweeps_of(swept: Sequence[Swept]) -> list[ShownSweep]:
    """At most ``_MOST_SWEEPS``, those with the most trials first."""
    largest = sorted(swept, key=lambda one: -len(one.trials))[:_MOST_SWEEPS]
    return [_shown(one) for one in largest]


def _shown(swept: Swept) -> ShownSweep:
    sweep, best = swept.sweep, swept.best
    ordered = in_order(swept.trials, maximize=swept.maximize)
    metric = f"{shortened(metric_label(swept.metric))} {'↑' if swept.maximize else '↓'}"
    said = ""
    if best is not None and best.value is not None:
        values = ", ".join(
            f"{label} {text}"
            for label, text in zip(axis_labels(sweep), _texts(best, sweep.space), strict=True)
            if text
        )
        said = (
            f"{number(best.value)} in {best.name}{f' at epoch {best.epoch}' if best.epoch else ''}: {values}"
        )
    return ShownSweep(
        clean(sweep.name), f"{clean(sweep.base)}, {sweep.sampler}, {summary(sweep, swept.trials)}", said, metric,
        tuple(axis_labels(sweep)), tuple(_row(trial, swept) for trial in ordered[:MOST_ROWS]),
        max(0, len(ordered) - MOST_ROWS), as_html(_history(swept, metric)), as_html(_parallel(swept, metric)),
        tuple(
            Share(shortened(key), f"{share:.0%}", round(100 * share))
            for key, share in swept.importance.items()
            if math.isfinite(share)
        ),
    )  # fmt: skip


def _row(trial: Trial, swept: Swept) -> Row:
    is_best = swept.best is not None and trial.number == swept.best.number
    reason = "" if trial.ending in (None, "succeeded") else clean(trial.reason or "")
    return Row(
        trial.name, state_word(trial), "" if trial.value is None else number(trial.value),
        "" if trial.epoch is None else str(trial.epoch), tuple(_texts(trial, swept.sweep.space)), reason, is_best,
    )  # fmt: skip


def _texts(trial: Trial, space: Sequence[Axis]) -> list[str]:
    return [value_text(trial.values.get(axis.key)) for axis in space]


def _counted(swept: Swept) -> list[tuple[Trial, float]]:
    return [(trial, trial.value) for trial in swept.trials if trial.counts and trial.value is not None]


def _style(trial: Trial, swept: Swept) -> str:
    if swept.best is not None and trial.number == swept.best.number:
        return f"{_BEST} best"
    return _PRUNED if trial.ending == "pruned" else _OTHER


def _name(trial: Trial, value: float, swept: Swept) -> str:
    values = ", ".join(
        f"{label} {text}"
        for label, text in zip(axis_labels(swept.sweep), _texts(trial, swept.sweep.space), strict=True)
    )
    return f"{trial.name} {trial.ending}: {number(value)}, {values}"


def _history(swept: Swept, metric: str) -> str:
    counted = _counted(swept)
    better = max if swept.maximize else min
    so_far: list[tuple[int, float]] = []
    for trial, value in counted:
        so_far.append((trial.number, better(so_far[-1][1], value) if so_far else value))
    dots = [
        Dot(trial.number, value, _name(trial, value, swept), _style(trial, swept)) for trial, value in counted
    ]
    return history_chart(f"{metric} of each trial", dots, so_far)


def _parallel(swept: Swept, metric: str) -> str:
    counted = _counted(swept)[:_MOST_LINES]
    if not counted:
        return ""
    space = swept.sweep.space[:_MOST_AXES]
    values = [value for _, value in counted]
    scales = [_scale(axis, label) for axis, label in zip(space, axis_labels(swept.sweep), strict=False)]
    scales.append(Scale(metric, min(values), max(values)))
    ordered = sorted(counted, key=lambda one: (-one[1] if swept.maximize else one[1], one[0].number))
    lines = [
        TrialLine(
            _name(trial, value, swept), _style(trial, swept),
            (*(_place(axis, trial) for axis in space), value),
        )
        for trial, value in ordered
    ]  # fmt: skip
    return parallel_chart(f"values of the trials and their {metric}", scales, lines)


def _scale(axis: Axis, label: str) -> Scale:
    name = shortened(label, 18)
    if axis.kind == "choice":
        return Scale(name, words=tuple(value_text(one) for one in axis.choices))
    return Scale(name, axis.low, axis.high, is_log=axis.kind == "log")


def _place(axis: Axis, trial: Trial) -> float | str | None:
    value = trial.values.get(axis.key)
    if value is None or axis.kind == "choice":
        return None if value is None else value_text(value)
    return value if isinstance(value, int | float) else None
