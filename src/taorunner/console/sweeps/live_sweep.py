"""A sweep on a terminal, drawn in place: how far it is, its best value so far, the trials that run, and the best ones.

``q`` leaves, ``s`` asks whether to stop. Leaving harms nothing: the sweep is a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.text import Text

from taorunner.console.base.columns import Row, laid_out
from taorunner.console.base.formatting import clean, metric_label, number
from taorunner.console.base.theme import Symbols
from taorunner.console.live.keyboard import Keyboard
from taorunner.console.live.screen import LiveScreen
from taorunner.console.live.signals import Signals
from taorunner.console.live.sparkline import sparkline
from taorunner.console.sweeps.sweep_view import axis_labels, in_order, summary, trial_cells, value_text
from taorunner.errors import TaorunnerError
from taorunner.project.sweeps.definition import Sweep
from taorunner.runs.state.history import read_history
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.control import stop
from taorunner.sweeps.folder import StoredSweep, SweepFolder
from taorunner.sweeps.loop import best_of
from taorunner.sweeps.trial import Trial
from taorunner.text import duration
from taorunner.values.value import Value

_READ_EVERY_S = 0.5
_KEYS_EVERY_S = 0.2
_CURVE = 30
_CHOICES = {
    "go on": "the sweep goes on",
    "stop": "no further trial starts; those that run go on to their end",
    "now": "the trials that run are stopped, too",
}


class Running(Value):
    """A trial under way. ``curve`` is its metric by epoch, ``state`` the word for that of its run."""

    trial: Trial
    state: str
    epochs: int | None
    curve: Mapping[int, float]


class LiveSweep:
    """One viewer."""

    def __init__(
        self, store: RunStore, folder: SweepFolder, sweep: Sweep, stored: StoredSweep, symbols: Symbols
    ) -> None:
        self._store, self._folder, self._sweep, self._stored = store, folder, sweep, stored
        self._symbols = symbols
        self._began_s = time.monotonic()
        self._read_s = -_READ_EVERY_S
        self._trials: Sequence[Trial] = ()
        self._running: Sequence[Running] = ()
        self._said = ""

    def follow(self, screen: LiveScreen, keyboard: Keyboard, signals: Signals) -> bool:
        """Blocks. True when the viewer left before the end."""
        while True:
            is_running = self._folder.is_owned
            if not is_running:
                screen.clear()
                return False
            if signals.ended_by is not None or signals.interrupts:
                return True
            if signals.is_to_stop:
                screen.leave()
                keyboard.close()
                signals.stop_here()
            if signals.was_continued:
                signals.was_continued = False
                keyboard.close()
                keyboard.open()
                screen.hurry()
            if screen.is_due():
                self._read()
                screen.draw(self._lines)
            for key in keyboard.read(_KEYS_EVERY_S):
                if key == "q":
                    return True
                if key == "s":
                    self._ask_to_stop(screen)

    def _ask_to_stop(self, screen: LiveScreen) -> None:
        try:
            answer = screen.prompt(
                "Stop this sweep?", _CHOICES, default="go on", interrupt="go on", yes="stop"
            )
        except KeyboardInterrupt:
            return
        if answer == "go on":
            return
        try:
            stop(self._store, self._folder, at_once=answer == "now")
            self._said = "stopping" if answer == "now" else "no further trial starts"
        except TaorunnerError as error:
            self._said = error.message

    def _read(self) -> None:
        if time.monotonic() - self._read_s < _READ_EVERY_S:
            return
        self._read_s = time.monotonic()
        self._trials = self._folder.seen_trials()
        self._running = [self._progress(trial) for trial in self._trials if not trial.is_over]

    def _progress(self, trial: Trial) -> Running:
        if trial.run is None:
            return Running(trial, "queued", None, {})
        try:
            record = self._store.load(trial.run)
            history = read_history(self._store, trial.run).get(self._stored.metric, {})
        except (TaorunnerError, OSError, ValueError):
            return Running(trial, "starting", None, {})
        curve = {epoch: value for epoch, value in history.items() if epoch is not None}
        return Running(trial, record.state.value.lower(), record.epochs, curve)

    def _lines(self, width: int, height: int) -> Sequence[Text]:
        took = duration(time.monotonic() - self._began_s)
        return sweep_lines(
            self._sweep, self._stored, self._trials, self._running, self._symbols, (width, height),
            self._said or f"watched for {took}",
        )  # fmt: skip


def sweep_lines(
    sweep: Sweep, stored: StoredSweep, trials: Sequence[Trial], running: Sequence[Running], symbols: Symbols,
    size: tuple[int, int], said: str,
) -> list[Text]:  # fmt: skip
    """The frame, at most ``size`` in columns and lines. What is less important goes first where room is short."""
    width, height = size
    best = best_of(trials, maximize=stored.maximize)
    arrow = symbols.shown("↑" if stored.maximize else "↓")
    label = f"{metric_label(stored.metric)}{arrow}"
    lines = [
        Text.assemble(
            (clean(sweep.name), "title"), f"  {clean(sweep.base)}, {sweep.sampler}  ", (said, "quiet")
        ),
        Text(summary(sweep, trials)),
    ]
    if best is not None and best.value is not None:
        curve = sparkline(best_so_far(trials, maximize=stored.maximize), min(_CURVE, max(2, width - 40)))
        lines.append(
            Text.assemble(
                "best ", label, " ", (number(best.value), "best"), f" {best.name}  {symbols.shown(curve)}"
            )
        )
    room = max(0, height - len(lines) - 2)
    lines += [_running_line(sweep, one, symbols) for one in running[: max(1, room // 2)]]
    room = height - len(lines) - 2
    over = [trial for trial in in_order(trials, maximize=stored.maximize) if trial.is_over]
    if room > 1 and over:
        columns, cells = trial_cells(sweep, stored, over[: room - 1], best, symbols)
        rows = [Row(tuple(Text(text, style=style) for text, style in row)) for row in cells]
        lines += [Text(""), *laid_out(columns, rows, width, symbols)]
    lines.append(Text("q leave (the sweep goes on)   s stop", style="hint"))
    shown = lines if len(lines) <= height else [*lines[: height - 1], lines[-1]]
    return [_cut(line, width) for line in shown]


def best_so_far(trials: Sequence[Trial], *, maximize: bool) -> list[float]:
    """The best value after each trial that counts, in their order."""
    found: list[float] = []
    for trial in trials:
        if trial.counts and trial.value is not None:
            better = max if maximize else min
            found.append(better(found[-1], trial.value) if found else trial.value)
    return found


def _running_line(sweep: Sweep, one: Running, symbols: Symbols) -> Text:
    values = "  ".join(
        f"{label} {value_text(one.trial.values.get(axis.key))}"
        for axis, label in zip(sweep.space, axis_labels(sweep), strict=True)
        if axis.key in one.trial.values
    )
    epochs = f"/{one.epochs}" if one.epochs else ""
    reached = max(one.curve, default=0)
    last = (
        f"{number(one.curve[reached])} {symbols.shown(sparkline([one.curve[key] for key in sorted(one.curve)], 10))}"
        if one.curve
        else ""
    )
    return Text.assemble(
        (one.trial.name, "name"), f"  {one.state:<8}  {reached}{epochs}  {last}  ", (values, "quiet")
    )


def _cut(line: Text, width: int) -> Text:
    line.truncate(max(1, width), overflow="crop")
    return line
