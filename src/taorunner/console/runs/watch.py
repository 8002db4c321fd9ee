"""The loop behind ``train`` and ``attach``: reads events, shows them, and requests a stop on Ctrl-C.

The viewer owns no run: closing the terminal, Ctrl-Z or ``kill -9`` end only the view.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from taorunner.console.base.theme import can_draw, make_console
from taorunner.console.runs.outcome import print_outcome
from taorunner.errors import ExitCode, TaorunnerError
from taorunner.events import RunFinished, RunState, now
from taorunner.runs.control.ending import endings
from taorunner.runs.control.watchdog import Watchdog
from taorunner.runs.state.event_reader import EventReader
from taorunner.runs.state.store import Batch, RunStore
from taorunner.text import amount, duration

if TYPE_CHECKING:
    from taorunner.console.runs.live_view import LiveScreen
    from taorunner.console.runs.run_panel import GpuReading
    from taorunner.runs.state.snapshot import RunSnapshot

_FAST_S, _SLOW_S, _FAST_FOR_S = 0.005, 0.1, 5.0
_GPUS_EVERY_S = 1.0


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
        self._began_s = time.monotonic()
        self._signals = 0
        self._asked_to_stop = False
        self._gpus: dict[str, GpuReading] = {}
        self._gpus_at_s = -_GPUS_EVERY_S

    def run(self) -> int:
        gc.enable()  # off until here; this may take days
        console = make_console(sys.stdout, os.environ)
        with self._noting_signals():
            if self._json:
                detached = self._follow_json()
            elif self._plain or not can_draw(console):
                detached = self._follow_plain()
            else:
                from taorunner.console.runs.live_view import LiveScreen, LiveView  # only a terminal needs it

                with LiveScreen(console, LiveView(console, now)) as screen:
                    detached = self._follow_live(screen)
        if detached:
            if not (self._json or self._quiet):
                sys.stderr.write(_farewell(self._feed.snapshots()) + "\n")
            return ExitCode.DONE
        if not self._json:
            directories = {run_id: self._store.paths(run_id).directory for run_id in self._feed.run_ids}
            feed = self._feed
            judged = {snapshot.id: snapshot.judged for snapshot in feed.snapshots()}
            ends = endings(self._store, map(self._store.load, feed.run_ids), judged)
            print_outcome(
                console, feed.snapshots(), feed.tails(), directories, ends=ends, is_quiet=self._quiet
            )
        return self._exit_code()

    # three views; each returns True when the viewer left before the runs ended

    def _follow_json(self) -> bool:
        from taorunner.console.base.json_output import JsonView

        view = JsonView(sys.stdout.buffer)
        while True:
            events = [*self._feed.poll(), *self._feed.log_lines()]
            # a log line has the time of its reading, so the end of a run is sorted after it
            for event in sorted(events, key=lambda event: (isinstance(event, RunFinished), event.at)):
                view.show(event)
            if self._is_over():
                return False
            if self._obey_signals(None):
                return True
            self._pause()

    def _follow_plain(self) -> bool:
        from taorunner.console.runs.plain_view import PlainView

        view = PlainView(sys.stdout)
        while True:
            for event in sorted(self._feed.poll(), key=lambda event: event.at):
                view.show(event)
            view.tick(now())
            if self._is_over():
                view.flush()
                return False
            if self._obey_signals(None):
                return True
            self._pause()

    def _follow_live(self, screen: LiveScreen) -> bool:
        while True:
            self._feed.poll()
            is_over = self._is_over()
            if is_over:
                screen.clear()
                return False
            screen.show(self._feed.snapshots(), self._feed.tails(), self._readings())
            if self._obey_signals(screen):
                return True
            self._pause()

    def _is_over(self) -> bool:
        if self._feed.is_over():
            return True
        self._watchdog.keep(time.monotonic())
        return False

    def _pause(self) -> None:
        time.sleep(_FAST_S if time.monotonic() - self._began_s < _FAST_FOR_S else _SLOW_S)

    def _readings(self) -> dict[str, GpuReading]:
        if time.monotonic() - self._gpus_at_s >= _GPUS_EVERY_S and any(
            s.gpus for s in self._feed.snapshots()
        ):
            from taorunner.console.runs.run_panel import GpuReading
            from taorunner.gpu.inventory import inventory

            self._gpus_at_s = time.monotonic()
            gpus = inventory().gpus
            found = [
                GpuReading(
                    str(gpu.index), gpu.name, gpu.memory_used_bytes, gpu.memory_total_bytes, gpu.load_percent
                )
                for gpu in gpus
            ]
            self._gpus = {reading.index: reading for reading in found}
            self._gpus |= {gpu.uuid: self._gpus[str(gpu.index)] for gpu in gpus}
        return self._gpus

    # signals

    @contextmanager
    def _noting_signals(self) -> Iterator[None]:
        """Signals that the caller ignores stay ignored: in a script, Ctrl-C does not reach a job started with ``&``."""

        def note(_number: int, _frame: FrameType | None) -> None:
            self._signals += 1

        heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, note) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _obey_signals(self, screen: LiveScreen | None) -> bool:
        """True to leave. On a terminal the first Ctrl-C asks; elsewhere a signal stops the runs gracefully."""
        if self._signals == 0:
            return False
        if screen is None or self._asked_to_stop:
            self._signals = 0
            return self._stop_all() if self._stops or screen is not None else True
        answer = self._ask(screen)
        self._signals = 0
        if answer == "stop":
            return self._stop_all()
        return answer == "detach"

    def _ask(self, screen: LiveScreen) -> str:
        """A second Ctrl-C stops runs that this viewer started, and detaches from others."""
        question, choices = _question(self._feed.snapshots(), self._grace_s())
        interrupt = "stop" if self._stops else "detach"
        noting = signal.getsignal(signal.SIGINT)
        try:
            if noting is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            return screen.prompt(question, choices, default="go on", interrupt=interrupt)
        except KeyboardInterrupt:  # while the question is printed
            return interrupt
        finally:
            signal.signal(signal.SIGINT, noting)

    def _grace_s(self) -> float:
        """The longest grace period of the runs that have not ended."""
        longest = 0.0
        for run in self._feed.snapshots():
            if not run.state.is_final:
                with suppress(
                    TaorunnerError, OSError, ValueError, KeyError
                ):  # a damaged record must not prevent the question
                    batch = self._store.load_batch(self._store.load(run.id).batch)
                    longest = max(longest, batch.grace_s)
        return longest

    def _stop_all(self) -> bool:
        self._asked_to_stop = True
        for snapshot in self._feed.snapshots():
            if not snapshot.state.is_final:
                self._store.request_stop(snapshot.id, now())
        return False

    def _exit_code(self) -> int:
        """The worst outcome. A refusal by the engine or this machine outranks a failed run."""
        if self._asked_to_stop:
            return ExitCode.INTERRUPTED
        records = [self._store.load(run_id) for run_id in self._feed.run_ids]
        if all(record.state is RunState.SUCCEEDED for record in records):
            return ExitCode.DONE
        refusals = [record.error_code for record in records if record.error_code is not None]
        return max(refusals) if refusals else ExitCode.RUN_FAILED


def _question(runs: Sequence[RunSnapshot], grace_s: float) -> tuple[str, dict[str, str]]:
    """The question after Ctrl-C, and what each answer does."""
    left = [run for run in runs if not run.state.is_final]
    queued = sum(run.state is RunState.QUEUED for run in left)
    waiting = sum(run.state is RunState.WAITING for run in left)
    counts = ((len(left) - queued - waiting, "running"), (queued, "queued"), (waiting, "waiting"))
    counted = ", ".join(f"{count} {word}" for count, word in counts if count)
    grace = duration(grace_s)
    choices = {
        "stop": f"end them, {grace} each to finish" if len(left) > 1 else f"end it, {grace} to finish",
        "detach": f"leave; {'runs and queue go on' if queued else _go_on(len(left))}",
        "go on": "keep watching",
    }
    return f"{counted or 'nothing is running'}. What now?", choices


def _farewell(runs: Sequence[RunSnapshot]) -> str:
    left = sum(not run.state.is_final for run in runs)
    return f"detached; {_go_on(left)}. taorunner attach watches, taorunner stop --all ends"


def _go_on(count: int) -> str:
    return f"{amount(count, 'run')} {'goes' if count == 1 else 'go'} on"
