"""Behind ``train`` and ``attach``: follows runs as JSON, as plain lines or on a live screen, until they end.

The viewer owns no run: closing the terminal, Ctrl-Z or ``kill -9`` end only the view.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from taorunner.console.base.theme import can_draw, make_console, symbols_of
from taorunner.console.live.signals import Signals
from taorunner.console.runs.outcome import print_outcome
from taorunner.console.runs.stopping import Stopping
from taorunner.errors import ExitCode
from taorunner.events import RunFinished, RunState, now
from taorunner.runs.control.ending import endings
from taorunner.runs.control.watchdog import Watchdog
from taorunner.runs.state.event_reader import EventReader
from taorunner.runs.state.history import read_history
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.metric_names import kpi_name, loss_name
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.runs.state.store import Batch, RunStore
from taorunner.text import amount

if TYPE_CHECKING:
    from rich.console import Console

_FAST_S, _SLOW_S, _FAST_FOR_S = 0.005, 0.1, 5.0


def watch_batch(
    store: RunStore, batch: Batch, *,
    json: bool, plain: bool, is_owned: Callable[[], bool], is_quiet: bool = False,
) -> int:  # fmt: skip
    """Watches a batch that was just started; returns the exit code of its worst outcome.

    ``is_quiet`` drops notes and next steps.
    """
    return _Watch(
        store, batch.runs, json=json, plain=plain, is_quiet=is_quiet, is_owned=is_owned, stops=True
    ).run()


def watch_runs(
    store: RunStore, run_ids: Sequence[str], *, json: bool, plain: bool, is_quiet: bool = False
) -> int:
    """Watches runs that were started earlier. A signal only ends the watching."""
    return _Watch(
        store, run_ids, json=json, plain=plain, is_quiet=is_quiet, is_owned=lambda: False, stops=False
    ).run()


class _Watch:
    def __init__(
        self, store: RunStore, run_ids: Sequence[str], *,
        json: bool, plain: bool, is_quiet: bool, is_owned: Callable[[], bool], stops: bool,
    ) -> None:  # fmt: skip
        self._store = store
        self._feed = EventReader(store, run_ids)
        self._json, self._plain, self._quiet = json, plain, is_quiet
        self._watchdog = Watchdog(store, run_ids, is_owned)
        self._stops = stops
        self._stopping = Stopping(store, self._feed, launched_here=stops)
        self._began_s = time.monotonic()

    def run(self) -> int:
        gc.enable()  # off until here; this may take days
        console = make_console(sys.stdout, os.environ)
        is_live = not self._json and not self._plain and can_draw(console)
        with Signals(is_live=is_live) as signals:
            if self._json:
                detached = self._follow_json(signals)
            elif is_live:
                detached = self._follow_live(signals, console)
            else:
                detached = self._follow_plain(signals)
        if signals.ended_by == signal.SIGHUP:  # the terminal is gone, or somebody wants it to look so
            signal.raise_signal(signal.SIGHUP)
        if detached:
            if not (self._json or self._quiet):
                sys.stderr.write(self._stopping.farewell() + "\n")
            return ExitCode.INTERRUPTED if self._stopping.is_asked else ExitCode.DONE
        if not self._json:
            directories = {run_id: self._store.paths(run_id).directory for run_id in self._feed.run_ids}
            feed = self._feed
            ends = endings(self._store, map(self._store.load, feed.run_ids))
            print_outcome(
                console,
                feed.snapshots(),
                feed.tails(),
                directories,
                ends=ends,
                is_quiet=self._quiet,
                root=self._store.state_dir.parent,
                short_ids=short_ids(feed.run_ids, self._store.folder_names()),
                curves=_curves(self._store, feed.snapshots()) if console.is_terminal else {},
            )
        return self._exit_code()

    # three views; each returns True when the viewer left before the runs ended

    def _follow_json(self, signals: Signals) -> bool:
        from taorunner.console.base.json_output import JsonView

        view = JsonView(sys.stdout.buffer)
        while True:
            events = [*self._feed.poll(), *self._feed.log_lines()]
            # a log line has the time of its reading, so the end of a run is sorted after it
            for event in sorted(events, key=lambda event: (isinstance(event, RunFinished), event.at)):
                view.show(event)
            if self._is_over():
                return False
            if self._is_to_leave(signals):
                return True
            self._pause()

    def _follow_plain(self, signals: Signals) -> bool:
        from taorunner.console.runs.plain_view import PlainView

        view = PlainView(sys.stdout, here=Path.cwd())
        while True:
            for event in sorted(self._feed.poll(), key=lambda event: event.at):
                view.show(event)
            view.tick(now())
            if self._is_over():
                view.flush()
                return False
            if self._is_to_leave(signals):
                return True
            self._pause()

    def _follow_live(self, signals: Signals, console: Console) -> bool:
        # only a terminal needs these
        from taorunner.console.live.keyboard import Keyboard
        from taorunner.console.live.screen import LiveScreen
        from taorunner.console.runs.live_watch import LiveWatch

        with Keyboard(sys.stdin) as keyboard, LiveScreen(console, keyboard, _question_stream()) as screen:
            return LiveWatch(
                self._store, self._feed, screen, keyboard, signals, self._stopping,
                symbols=symbols_of(console), now=now, keep=self._keep,
            ).follow()  # fmt: skip

    def _is_over(self) -> bool:
        if self._feed.is_over():
            return True
        self._keep()
        return False

    def _keep(self) -> None:
        self._watchdog.keep(time.monotonic())
        for record in self._watchdog.without_end:
            self._feed.conclude(record)

    def _pause(self) -> None:
        time.sleep(_FAST_S if time.monotonic() - self._began_s < _FAST_FOR_S else _SLOW_S)

    def _is_to_leave(self, signals: Signals) -> bool:
        """Without a terminal a signal stops the runs that were started here, and a second one kills them."""
        if signals.interrupts == 0:
            return False
        signals.interrupts = 0
        if not self._stops:
            return True
        if self._stopping.is_asked:
            self._stopping.kill()
            return False
        self._stopping.stop_all()
        if not self._json:
            left = sum(not run.state.is_final for run in self._feed.snapshots())
            sys.stderr.write(f"interrupted: stopping {amount(left, 'run')}\n")
        return False

    def _exit_code(self) -> int:
        """The worst outcome. A refusal by the engine or this machine outranks a failed run."""
        if self._stopping.is_asked:
            return ExitCode.INTERRUPTED
        records = [self._store.load(run_id) for run_id in self._feed.run_ids]
        if all(record.state is RunState.SUCCEEDED for record in records):
            return ExitCode.DONE
        refusals = [record.error_code for record in records if record.error_code is not None]
        return max(refusals) if refusals else ExitCode.RUN_FAILED


def _curves(store: RunStore, snapshots: Sequence[RunSnapshot]) -> dict[str, list[float]]:
    """The metric that the end shows of each run, by epoch."""
    found = {}
    for run in snapshots:
        name = kpi_name(run.best, run.judged) or loss_name(run.best)
        if name is not None:
            values = read_history(store, run.id).get(name, {})
            found[run.id] = [value for epoch, value in values.items() if epoch is not None]
    return found


def _question_stream() -> TextIO | None:
    """Where questions go: stderr if it is a terminal, else None, which is the screen itself."""
    with suppress(OSError, ValueError, AttributeError):
        return sys.stderr if sys.stderr.isatty() else None
    return None
