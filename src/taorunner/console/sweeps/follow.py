"""Follows a sweep: live on a terminal, else a line for each trial that starts or ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence, Set
from datetime import datetime

from rich.console import Console

from taorunner.console.base.theme import can_draw, lenient, make_console, symbols_of
from taorunner.console.live.keyboard import Keyboard
from taorunner.console.live.screen import LiveScreen
from taorunner.console.live.signals import Signals
from taorunner.console.sweeps.live_sweep import LiveSweep
from taorunner.console.sweeps.sweep_view import trial_line
from taorunner.errors import TaorunnerError
from taorunner.events import now
from taorunner.project.sweeps.definition import Sweep
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import StoredSweep, SweepFolder
from taorunner.sweeps.trial import Trial
from taorunner.values.value import replace

_WATCH_EVERY_S = 0.5


def follow(
    store: RunStore, folder: SweepFolder, sweep: Sweep, stored: StoredSweep, *, earlier: Set[int], is_silent: bool
) -> bool:  # fmt: skip
    """Blocks until no process runs the sweep. True when the viewer left before.

    ``earlier`` are the trials that were over before the viewer came: of these only the end is said.
    """
    console = make_console(sys.stdout, os.environ)
    if not is_silent and can_draw(console):
        return _live(console, store, folder, sweep, stored)
    return _plain(store, folder, sweep, stored, earlier=earlier, is_silent=is_silent)


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


def _plain(
    store: RunStore, folder: SweepFolder, sweep: Sweep, stored: StoredSweep, *, earlier: Set[int], is_silent: bool
) -> bool:  # fmt: skip
    seen: dict[int, Trial] = {}
    try:
        while True:
            is_running = folder.is_owned
            for trial in news(store, folder.seen_trials(), seen, earlier):
                if not is_silent:
                    _say(trial_line(sweep, stored, trial))
            if not is_running:
                break
            time.sleep(_WATCH_EVERY_S)
    except KeyboardInterrupt:
        return True
    if not is_silent:
        _say("")
    return False


def news(
    store: RunStore, trials: Sequence[Trial], seen: dict[int, Trial], earlier: Set[int] = frozenset()
) -> list[Trial]:
    """What has started or ended since the last look, in the order in which it happened: each trial as it was then.

    A trial that began and ended between two looks is there twice. ``seen`` is what was there, and is brought up to
    date; ``earlier`` as for ``follow``.
    """
    found: list[tuple[tuple[datetime, bool], Trial]] = []
    for trial in trials:
        before = seen.get(trial.number)
        has_begun = trial.run is not None and not trial.is_waiting
        if before == trial or not (has_begun or trial.is_over):
            continue
        seen[trial.number] = trial
        began, ended = _times(store, trial)
        if before is None and began is not None and not (trial.is_over and trial.number in earlier):
            found.append(((began, False), replace(trial, ending=None)))
        if trial.is_over:
            found.append(((ended, True), trial))
    return [trial for _, trial in sorted(found, key=lambda one: one[0])]


def _times(store: RunStore, trial: Trial) -> tuple[datetime | None, datetime]:
    """When its run began and ended. Without a run, or where nothing is known of it: None, and now."""
    if trial.run is None:
        return None, now()
    try:
        record = store.load(trial.run)
    except (TaorunnerError, OSError, ValueError):
        return (None if trial.is_over else now()), now()
    has_begun = record.started_at is not None or not trial.is_over
    return (record.started_at or now() if has_begun else None), record.finished_at or now()


def _say(line: str) -> None:
    lenient(sys.stdout).write(f"{line}\n")
    sys.stdout.flush()
