"""The table of a sweep's trials, best first, as text and as JSON; and the lines of ``sweep run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from taorunner.console.base.columns import Column
from taorunner.console.base.formatting import clean, metric_label, number
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import Symbols
from taorunner.console.comparison.diff_lines import Cell
from taorunner.console.comparison.print_comparison import TableView
from taorunner.project.sweeps.definition import Axis, Sweep
from taorunner.sweeps.checks.preflight import Prepared
from taorunner.sweeps.folder import StoredSweep
from taorunner.sweeps.loop import best_of
from taorunner.sweeps.trial import Trial
from taorunner.text import amount

_MOST_AXES = 8
_ORDER = {"succeeded": 0, "same": 0, "pruned": 1, None: 2, "stopped": 3, "failed": 4, "lost": 4}


def print_trials(
    sweep: Sweep, stored: StoredSweep, trials: Sequence[Trial], *, most: int | None = None
) -> None:
    """A line a trial; ``most`` of them."""
    view = TableView()
    best = best_of(trials, maximize=stored.maximize)
    columns, rows = trial_cells(
        sweep, stored, in_order(trials, maximize=stored.maximize)[:most], best, view.symbols
    )
    view.table(columns, rows)


def in_order(trials: Sequence[Trial], *, maximize: bool) -> list[Trial]:
    """Those that trained by their value, then those under way, then the failed ones."""

    def place(trial: Trial) -> tuple[int, float, int]:
        value = trial.value or 0.0
        return (
            0 if trial.counts else _ORDER.get(trial.ending, 4),
            -value if maximize else value,
            trial.number,
        )

    return sorted(trials, key=place)


def trial_cells(
    sweep: Sweep, stored: StoredSweep, trials: Sequence[Trial], best: Trial | None, symbols: Symbols
) -> tuple[list[Column], list[tuple[Cell, ...]]]:
    """Columns and rows. Axes are named by the last word of their key where that is unambiguous."""
    arrow = symbols.shown("↑" if stored.maximize else "↓")
    axes = sweep.space
    columns = [
        Column(""), Column("trial"), Column("state"), Column(f"{metric_label(stored.metric)}{arrow}", right=True),
        Column("epoch", drop=_MOST_AXES + 1, right=True),
        *(
            Column(label, _MOST_AXES - place if place else None, right=True, shrinks_to=6)
            for place, label in enumerate(axis_labels(sweep))
        ),
    ]  # fmt: skip
    rows = []
    for trial in trials:
        is_best = best is not None and trial.number == best.number
        rows.append((
            ("*" if is_best else "", "best"), (trial.name, "name"), (state_word(trial), ""),
            ("" if trial.value is None else number(trial.value), "best" if is_best else ""),
            ("" if trial.epoch is None else str(trial.epoch), ""),
            *((value_text(trial.values.get(axis.key)), "") for axis in axes),
        ))  # fmt: skip
    return columns, rows


def axis_labels(sweep: Sweep) -> list[str]:
    last = [axis.key.rpartition(".")[2] for axis in sweep.space]
    return [
        clean(short if last.count(short) == 1 else axis.key)
        for axis, short in zip(sweep.space, last, strict=True)
    ]


def state_word(trial: Trial) -> str:
    if trial.ending is not None:
        return trial.ending
    return "queued" if trial.run is None or trial.is_waiting else "running"


def value_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else clean(str(value).lower() if isinstance(value, bool) else str(value))


def trial_line(sweep: Sweep, stored: StoredSweep, trial: Trial) -> str:
    """What ``sweep run`` says when a trial starts or ends."""
    values = ", ".join(
        f"{label} {value_text(trial.values.get(axis.key))}"
        for axis, label in zip(sweep.space, axis_labels(sweep), strict=True)
        if axis.key in trial.values
    )
    if not trial.is_over:
        return f"{trial.name} started: {values}" + (" (the base as it is)" if trial.is_base else "")
    said = f"{trial.name} {trial.ending}"
    if trial.value is not None:
        said += f": {metric_label(stored.metric)} {number(trial.value)} at {trial.epoch}"
    if trial.reason and trial.ending not in ("succeeded",):
        said += f" ({clean(trial.reason)})"
    return said


def summary(sweep: Sweep, trials: Sequence[Trial]) -> str:
    """``7 of 24 trials: 5 succeeded, 1 pruned, 1 running``."""
    words = [state_word(trial) for trial in trials]
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    return f"{len(trials)} of {amount(sweep.trials, 'trial')}" + (f": {counts}" if counts else "")


def print_sweeps(sweeps: Sequence[tuple[Sweep, Sequence[Trial], bool]], *, json: bool) -> None:
    """A line a sweep: its name, its base and how far it is. The last value says whether it was ever started."""
    if json:
        body = [
            {
                "sweep": sweep.name,
                "base": sweep.base,
                "trials": sweep.trials,
                "chosen": len(trials),
                "started": started,
            }
            for sweep, trials, started in sweeps
        ]
        write_json(body, sys.stdout.buffer)
        return
    columns = [Column("sweep"), Column("base"), Column("sampler"), Column("state", shrinks_to=12)]
    rows = [
        (
            (clean(sweep.name), "name"), (clean(sweep.base), ""), (sweep.sampler, ""),
            (summary(sweep, trials) if started else "not started", ""),
        )
        for sweep, trials, started in sweeps
    ]  # fmt: skip
    if rows:
        TableView().table(columns, rows)


def print_json(sweep: Sweep, stored: StoredSweep, trials: Sequence[Trial]) -> None:
    write_json(
        {
            "sweep": sweep.name,
            "base": sweep.base,
            "metric": stored.metric,
            "direction": "up" if stored.maximize else "down",
            "trials": [
                {
                    "trial": trial.name, "run": trial.run, "state": state_word(trial), "values": dict(trial.values),
                    "best": trial.value, "epoch": trial.epoch, "reason": trial.reason,
                }
                for trial in trials
            ],
        },
        sys.stdout.buffer,
    )  # fmt: skip


def print_plan(sweep: Sweep, prepared: Prepared, *, json: bool) -> None:
    """What ``sweep run --dry-run`` says."""
    pruner = "none" if sweep.pruner is None else f"{sweep.pruner.kind} from epoch {sweep.pruner.first}"
    if json:
        write_json(
            {**sweep.body(), "metric": prepared.metric, "parallel": prepared.parallel}, sys.stdout.buffer
        )
        return
    epochs = "" if sweep.epochs is None else f" of {sweep.epochs} epochs"
    lines = [
        f"sweep {sweep.name}: {sweep.base}, {amount(sweep.trials, 'trial')}{epochs}, {sweep.sampler}",
        f"  metric    {prepared.metric}, {'higher' if prepared.maximize else 'lower'} is better",
        f"  pruner    {pruner}",
        f"  at once   {amount(prepared.parallel, 'trial')}, {_gpus(prepared.gpus)}",
        *(f"  {axis.key}  {axis_text(axis)}" for axis in sweep.space),
        *(f"  condition {one.text}" for one in sweep.together),
    ]
    sys.stdout.write("".join(f"{clean(line)}\n" for line in lines))
    sys.stdout.flush()


def _gpus(count: int) -> str:
    return f"{amount(count, 'GPU')} each" if count else "without a GPU"


def axis_text(axis: Axis) -> str:
    """``1e-05 to 0.001, log``, or the choices."""
    if axis.kind == "choice":
        return ", ".join(map(value_text, axis.choices))
    step = "" if axis.step is None or axis.step == 1 else f" in steps of {axis.step:g}"
    return f"{axis.low:g} to {axis.high:g}{step}" + (", log" if axis.kind == "log" else "")
