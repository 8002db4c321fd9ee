"""Follows a sweep: live on a terminal, else a line for each trial that starts or ends."""

from __future__ import annotations

import os
import signal
import sys
import time

from rich.console import Console

from taorunner.console.base.theme import can_draw, lenient, make_console, symbols_of
from taorunner.console.live.keyboard import Keyboard
from taorunner.console.live.screen import LiveScreen
from taorunner.console.live.signals import Signals
from taorunner.console.sweeps.live_sweep import LiveSweep
from taorunner.console.sweeps.sweep_view import trial_line
from taorunner.project.sweeps.definition import Sweep
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import StoredSweep, SweepFolder
from taorunner.sweeps.trial import Trial

_WATCH_EVERY_S = 0.5


def follow(
    store: RunStore, folder: SweepFolder, sweep: Sweep, stored: StoredSweep, *, is_silent: bool
) -> bool:
    """Blocks until no process runs the sweep. True when the viewer left before."""
    console = make_console(sys.stdout, os.environ)
    if not is_silent and can_draw(console):
        return _live(console, store, folder, sweep, stored)
    return _plain(folder, sweep, stored, is_silent=is_silent)


def _live(console: Console, store: RunStore, folder: SweepFolder, sweep: Sweep, stored: StoredSweep) -> bool:
    """True when the viewer left before the end."""
    questions = sys.stderr if sys.stderr.isatty() else None
    with (
        Signals(is_live=True) as signals,
        Keyboard(sys.stdin) as keyboard,
        LiveScreen(console, keyboard, questions) as screen,
    ):
        has_left = LiveSweep(store, folder, sweep, stored, symbols_of(console)).follow(
            screen, keyboard, signals
        )
    if signals.ended_by == signal.SIGHUP:
        signal.raise_signal(signal.SIGHUP)
    return has_left


def _plain(folder: SweepFolder, sweep: Sweep, stored: StoredSweep, *, is_silent: bool) -> bool:
    seen: dict[int, Trial] = {}
    try:
        while True:
            is_running = folder.is_owned
            for trial in folder.seen_trials():
                before = seen.get(trial.number)
                has_begun = trial.run is not None and not trial.is_waiting
                if before != trial and (has_begun or trial.is_over):
                    if not is_silent and (before is None or trial.is_over):
                        _say(trial_line(sweep, stored, trial))
                    seen[trial.number] = trial
            if not is_running:
                break
            time.sleep(_WATCH_EVERY_S)
    except KeyboardInterrupt:
        return True
    if not is_silent:
        _say("")
    return False


def _say(line: str) -> None:
    lenient(sys.stdout).write(f"{line}\n")
    sys.stdout.flush()
