"""Stopping watched runs: the questions, what their answers do, and what is said while runs end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from taorunner.console.base.typed_commands import Place, as_typed
from taorunner.errors import TaorunnerError
from taorunner.events import RunState, now
from taorunner.runs.state.event_reader import EventReader
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.runs.state.store import RunStore
from taorunner.text import amount, detached_text, duration, runs_go_on


class Stopping:
    """The stop requests of one viewer. ``launched_here``: it has started these runs, so a second Ctrl-C stops them;
    in ``attach`` it leaves."""

    def __init__(self, store: RunStore, feed: EventReader, *, launched_here: bool) -> None:
        self._store, self._feed = store, feed
        self._launched_here = launched_here
        self._was_killed = False
        self._grace_s = 0.0
        self.is_asked = False
        """Whether all runs were asked to stop."""

    @property
    def second_interrupt(self) -> str:
        """The answer that a second Ctrl-C gives."""
        return "stop" if self._launched_here else "detach"

    def question_at_interrupt(self) -> tuple[str, dict[str, str]]:
        """The question after Ctrl-C, and what each answer does."""
        return question(self._feed.snapshots(), self._grace())

    def question_at_key(self, chosen: str) -> tuple[str, dict[str, str]]:
        """The question after the key ``s``; ``chosen`` is the name of the run that is looked at, or "" for all."""
        left = _unfinished(self._feed.snapshots())
        grace = duration(self._grace())
        end = _ending(1 if chosen else len(left), grace)
        if not chosen:
            return f"{counted(left)}. Stop {'it' if len(left) == 1 else 'them'}?", {
                "stop": end, "go on": "keep watching",
            }  # fmt: skip
        choices = {"stop": end}
        if len(left) > 1:
            choices["all"] = f"end all {len(left)} runs"
        return f"Stop {chosen}?", {**choices, "go on": "keep watching"}

    def stop_all(self) -> None:
        """Asks every run that has not ended to stop."""
        self._grace_s = self._grace()
        self.is_asked = True
        for run in _unfinished(self._feed.snapshots()):
            self.stop_one(run.id)

    def stop_one(self, run_id: str) -> None:
        """Asks one run to stop."""
        self._store.request_stop(run_id, now())

    def kill(self) -> None:
        """Ends the runs that are stopping without waiting any longer."""
        self._was_killed = True
        for run in _unfinished(self._feed.snapshots()):
            self._store.request_stop(run.id, now(), kill=True)

    def text(self) -> str:
        """What is said while the runs end; "" before they were asked to."""
        left = len(_unfinished(self._feed.snapshots()))
        if not self.is_asked or not left:
            return ""
        if self._was_killed:
            return f"killing {amount(left, 'run')}"
        them = "it" if left == 1 else "them"
        return f"stopping {amount(left, 'run')}, up to {duration(self._grace_s)}; Ctrl-C again kills {them}"

    def farewell(self) -> str:
        """The last line of a viewer that leaves before the runs end."""
        left = len(_unfinished(self._feed.snapshots()))
        text = detached_text(left)
        if self.is_asked:
            verb = "is" if left == 1 else "are"
            text = f"detached; {amount(left, 'run')} {verb} stopping. taorunner attach watches"
        return as_typed(text, Place(self._store.state_dir.parent))

    def _grace(self) -> float:
        """The longest grace period of the runs that have not ended."""
        longest = 0.0
        for run in _unfinished(self._feed.snapshots()):
            with suppress(
                TaorunnerError, OSError, ValueError, KeyError
            ):  # a damaged record must not prevent the question
                batch = self._store.load_batch(self._store.load(run.id).batch)
                longest = max(longest, batch.grace_s)
        return longest


def question(runs: Sequence[RunSnapshot], grace_s: float) -> tuple[str, dict[str, str]]:
    """The question after Ctrl-C, and what each answer does."""
    left = _unfinished(runs)
    has_queue = any(run.state is RunState.QUEUED for run in left)
    choices = {
        "stop": _ending(len(left), duration(grace_s)),
        "detach": f"leave; {'runs and queue go on' if has_queue else runs_go_on(len(left))}",
        "go on": "keep watching",
    }
    return f"{counted(left)}. What now?", choices


def counted(left: Sequence[RunSnapshot]) -> str:
    """``2 running, 2 queued, 1 waiting``."""
    queued = sum(run.state is RunState.QUEUED for run in left)
    waiting = sum(run.state is RunState.WAITING for run in left)
    counts = ((len(left) - queued - waiting, "running"), (queued, "queued"), (waiting, "waiting"))
    return ", ".join(f"{count} {word}" for count, word in counts if count) or "nothing is running"


def _ending(count: int, grace: str) -> str:
    return f"end them, {grace} each to finish" if count > 1 else f"end it, {grace} to finish"


def _unfinished(runs: Sequence[RunSnapshot]) -> list[RunSnapshot]:
    return [run for run in runs if not run.state.is_final]
