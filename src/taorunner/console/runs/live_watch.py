"""Following runs on a terminal: frames, keys, signals and questions, until the runs end or the person leaves."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from rich.text import Text

from taorunner.console.base.cells import labels
from taorunner.console.base.theme import Symbols
from taorunner.console.live.gpu_readings import GpuReadings
from taorunner.console.live.keyboard import Keyboard
from taorunner.console.live.queue_reasons import queue_reasons
from taorunner.console.live.run_facts import RunFacts, read_facts
from taorunner.console.live.run_view import RunNotes, RunView, short_id, shown_metrics
from taorunner.console.live.screen import LiveScreen
from taorunner.console.live.signals import Signals
from taorunner.console.live.trails import Trails
from taorunner.console.runs.live_view import PANEL_WIDTH_MIN, LiveView, Picture, views_of
from taorunner.console.runs.one_run_view import log_lines, one_run_lines, scroll_limit
from taorunner.console.runs.stopping import Stopping
from taorunner.events import RunState
from taorunner.runs.state.event_reader import EventReader
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.runs.state.store import RunStore

_FAST_S, _SLOW_S, _FAST_FOR_S = 0.005, 0.2, 5.0
_POLL_SHARE = 0.02
"""The part of one core that looking for new events may take at first, when the loop is fast."""
_LOG_BYTES = 512 * 1024
_PANEL_LINES = 5
_ALL, _ONE, _LOG = "all", "one", "log"


class LiveWatch:
    """One viewer on a terminal. ``keep`` is called between frames, to look after the supervisor."""

    def __init__(
        self, store: RunStore, feed: EventReader, screen: LiveScreen, keyboard: Keyboard, signals: Signals,
        stopping: Stopping, *, symbols: Symbols, now: Callable[[], datetime], keep: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store, self._feed, self._screen, self._keyboard = store, feed, screen, keyboard
        self._signals, self._stopping, self._keep = signals, stopping, keep
        self._symbols, self._now = symbols, now
        self._view = LiveView(symbols, now)
        self._trails, self._gpus = Trails(), GpuReadings()
        self._facts: dict[str, RunFacts] = {}
        self._began_s = time.monotonic()
        self._page, self._before_log = _ALL, _ALL
        self._selected: str | None = None
        self._scrolled = 0
        self._log: tuple[str, int, list[str]] = ("", -1, [])

    def follow(self) -> bool:
        """Blocks. True when the viewer left before the runs ended."""
        while True:
            began_s = time.thread_time()
            for event in self._feed.poll():
                self._trails.add(event)
            polled_s = time.thread_time() - began_s
            if self._feed.is_over():
                self._screen.clear()
                return False
            self._keep()
            if self._obey_signals():
                return True
            if self._screen.is_due():
                self._screen.draw(self._lines)
            for key in self._keyboard.read(self._pause_s(polled_s)):
                self._screen.hurry()
                if self._press(key):
                    return True

    def _pause_s(self, polled_s: float) -> float:
        if time.monotonic() - self._began_s < _FAST_FOR_S:
            return min(_SLOW_S, max(_FAST_S, polled_s / _POLL_SHARE))
        return _SLOW_S

    # signals

    def _obey_signals(self) -> bool:
        """True to leave."""
        signals = self._signals
        if signals.ended_by is not None:
            return True
        if signals.is_to_stop:
            self._screen.leave()
            self._keyboard.close()
            signals.stop_here()
        if signals.was_continued:
            signals.was_continued = False
            self._screen.leave()
            self._keyboard.close()  # the shell has set the terminal as it likes
            self._keyboard.open()
            self._screen.hurry()
        if signals.interrupts == 0:
            return False
        if self._stopping.is_asked:
            signals.interrupts = 0
            self._stopping.kill()
            self._screen.hurry()
            return False
        return self._interrupted()

    def _interrupted(self) -> bool:
        question, choices = self._stopping.question_at_interrupt()
        answer = self._ask(question, choices, interrupt=self._stopping.second_interrupt)
        self._signals.interrupts = 0
        if answer == "stop":
            self._stopping.stop_all()
        return answer == "detach"

    def _ask(
        self, question: str, choices: Mapping[str, str], *, interrupt: str, yes: str | None = None
    ) -> str:
        """The answer to a question below the frame. During it a Ctrl-C raises, and is the answer ``interrupt``; Ctrl-Z
        stops this process as it does any other."""
        noting = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTSTP)}
        try:
            if noting[signal.SIGINT] is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            if noting[signal.SIGTSTP] is not signal.SIG_IGN:
                signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            return self._screen.prompt(
                question, choices, default="go on", interrupt=interrupt, yes=yes,
                is_moot=lambda: self._signals.ended_by is not None,
            )  # fmt: skip
        except KeyboardInterrupt:  # while the question is printed
            return interrupt
        finally:
            for number, before in noting.items():
                signal.signal(number, before)
            self._screen.hurry()

    # keys

    def _press(self, key: str) -> bool:
        """True to leave."""
        if key == "q":
            return True
        if key == "s":
            self._ask_to_stop()
        elif self._page == _LOG:
            self._press_in_log(key)
        elif key in ("up", "down", "home", "end"):
            self._select(key)
        elif key in ("enter", "right") and self._page == _ALL:
            self._choose()
            self._page = _ONE
        elif key == "l":
            self._choose()
            self._before_log, self._page, self._scrolled = self._page, _LOG, 0
        elif key in ("esc", "back", "left"):
            if self._page == _ALL:
                self._selected = None
            self._page = _ALL
        return False

    def _press_in_log(self, key: str) -> None:
        if key in ("esc", "back", "left", "l"):
            self._page, self._scrolled = self._before_log, 0
            return
        height = self._screen.size()[1] - 1
        limit = scroll_limit(self._looked_at(self._picture()), height)
        step = {
            "up": 1,
            "down": -1,
            "page up": height - 3,
            "page down": 3 - height,
            "home": limit,
            "end": -limit,
        }
        self._scrolled = max(0, min(limit, self._scrolled + step.get(key, 0)))

    def _select(self, key: str) -> None:
        order = self._view.order(self._picture())
        if not order:
            return
        last = len(order) - 1
        if key in ("home", "end"):
            self._selected = order[0 if key == "home" else last]
        elif self._selected not in order:
            self._selected = self._first() if key == "down" else order[last]
        else:
            place = order.index(self._selected) + (1 if key == "down" else -1)
            self._selected = order[max(0, min(last, place))]

    def _choose(self) -> None:
        """Selects the first running run when none is selected."""
        self._selected = self._selected or self._first()

    def _first(self) -> str:
        """The first running run; where none is running, the first one on the screen."""
        runs = self._feed.snapshots()
        running = [run.id for run in runs if run.state in (RunState.RUNNING, RunState.STARTING)]
        return (running or self._view.order(self._picture()))[0]

    def _ask_to_stop(self) -> None:
        runs = self._feed.snapshots()
        names = labels(runs)
        chosen = next((run for run in runs if run.id == self._selected and not run.state.is_final), None)
        if self._stopping.is_asked or not any(not run.state.is_final for run in runs):
            return
        name = f"{names[chosen.id]} ({short_id(chosen.id)})" if chosen is not None else ""
        question, choices = self._stopping.question_at_key(name)
        answer = self._ask(question, choices, interrupt="go on", yes="stop")
        self._signals.interrupts = 0
        if answer == "all" or (answer == "stop" and chosen is None):
            self._stopping.stop_all()
        elif answer == "stop" and chosen is not None:
            self._stopping.stop_one(chosen.id)

    # frames

    def _lines(self, width: int, height: int) -> Sequence[Text]:
        picture = self._picture(self._runs_with_logs(width, height))
        if self._page == _ALL:
            return self._view.lines(picture, width, height)
        view = self._looked_at(picture)
        if self._page == _LOG:
            return log_lines(view, width, height, self._scrolled)
        return one_run_lines(view, width, height)

    def _runs_with_logs(self, width: int, height: int) -> list[str]:
        """The runs whose log lines may be shown: none where there are too many for panels."""
        if self._page == _ONE:
            return [self._selected] if self._selected is not None else []
        active = [run.id for run in self._feed.snapshots() if run.state is RunState.RUNNING]
        columns = max(1, width // PANEL_WIDTH_MIN)
        return active if len(active) * _PANEL_LINES <= height * columns else []

    def _picture(self, with_logs: Sequence[str] = ()) -> Picture:
        runs = self._feed.snapshots()
        trails, facts = self._trails, self._read_facts(runs)
        has_gpus = any(run.gpus for run in runs) or any(run.state is RunState.QUEUED for run in runs)
        gpus = self._gpus.by_id() if has_gpus else {}
        retries = {run.id: retry for run in runs if (retry := trails.retry(run.id)) is not None}
        reasons = queue_reasons(runs, labels(runs), facts, retries, self._gpus.all, self._now())
        notes = {
            run.id: RunNotes(
                queue=reasons.get(run.id, ""), stall=trails.stall(run.id), moved_at=trails.moved_at(run.id),
                attempt=facts[run.id].attempt + trails.retries(run.id) + run.requeues, nodes=facts[run.id].nodes,
                gpu_count=facts[run.id].gpu_count, cluster=facts[run.id].cluster, curves=self._curves(run, with_logs),
            )
            for run in runs
        }  # fmt: skip
        unfinished = [run.id for run in runs if not run.state.is_final]
        tails = self._feed.tails(with_logs) if with_logs else {}
        return Picture(
            runs, tails, gpus, notes, trails.engine_silent_since(unfinished), self._stopping.text(),
            self._selected, self._keyboard.is_open,
        )  # fmt: skip

    def _curves(self, run: RunSnapshot, with_logs: Sequence[str]) -> dict[str, Sequence[float]]:
        """The curves that may be drawn: of runs in panels, and of all metrics of a run that is looked at."""
        is_looked_at = self._page == _ONE and run.id == self._selected
        if not is_looked_at and run.id not in with_logs:
            return {}
        names = list(run.metrics) if is_looked_at else shown_metrics(run)
        return {name: self._trails.curve(run.id, name) for name in names}

    def _read_facts(self, runs: Sequence[RunSnapshot]) -> dict[str, RunFacts]:
        unknown = [run.id for run in runs if run.id not in self._facts]
        if unknown:
            self._facts |= read_facts(self._store, unknown)
        return self._facts

    def _looked_at(self, picture: Picture) -> RunView:
        """The selected run, in its log page with more of its log."""
        views = views_of(picture, self._now(), self._symbols)
        view = next((one for one in views if one.run.id == self._selected), views[0])
        if self._page != _LOG:
            return view
        run_id, size = view.run.id, self._feed.log_size(view.run.id)
        if self._log[:2] != (run_id, size):
            lines = self._feed.log_end(run_id, _LOG_BYTES)
            if self._scrolled and self._log[0] == run_id:  # what is read stays in its place
                self._scrolled += max(0, len(lines) - len(self._log[2]))
            self._log = run_id, size, lines
        return replace(view, tail=self._log[2])
