"""Caretaker: what is done around runs while they run: alarms, ``--stop-on-nan``, ``--on-finish``.

Belongs to the runner's one thread. It decides what should happen; the runner records it.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from taorunner.events import Event, Notice, now
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.state.event_reader import RunFeed
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.alarms import Alarms
from taorunner.runs.supervisor.hooks import HOOK_TIMEOUT_S, Hooks

_LOOK_EVERY_S = 1.0


class Caretaker:
    """``clock`` gives seconds and only goes forward."""

    def __init__(
        self, store: RunStore, environ: Mapping[str, str], *,
        clock: Callable[[], float] = time.monotonic, hook_timeout_s: float = HOOK_TIMEOUT_S,
    ) -> None:  # fmt: skip
        self._store, self._clock = store, clock
        self._alarms: dict[str, Alarms] = {}
        self._complaints: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._hooks = Hooks(
            environ, lambda run_id, text: self._complaints.put((run_id, text)), hook_timeout_s
        )
        self._looked_s = 0.0

    def begin(self, run_id: str, plan: RunPlan) -> list[Event]:
        """An attempt begins, or goes on under another supervisor."""
        self._alarms[run_id] = Alarms(plan, run_id, self._clock())
        if plan.resume is None:
            return []
        text = f"this training {plan.resume.text}"
        return [Notice(run=run_id, at=now(), level="info", code="resuming", text=text)]

    def printed(self, run_id: str) -> None:
        if run_id in self._alarms:
            self._alarms[run_id].printed(self._clock())

    def saw(self, record: RunRecord, events: Sequence[Event]) -> RunRecord | None:
        """The record as it should be from now on, when what was just seen means that the run is to be stopped."""
        alarms = self._alarms.get(record.id)
        if alarms is not None:
            alarms.observe(events, self._clock())
        if not record.stop_on_nan or record.stop_requested_at is not None or record.state.is_final:
            return None
        for event in events:
            if isinstance(event, Notice) and event.code == "nan-loss":
                return replace(
                    record, stop_requested_at=now(), stop_reason=f"stopped by --stop-on-nan: {event.text}"
                )
        return None

    def look(self) -> list[Event]:
        """Alarms that are new, and what went wrong with hooks. Cheap, for every turn of the loop."""
        moment = self._clock()
        events: list[Event] = []
        if moment - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = moment
            for alarms in self._alarms.values():
                events += alarms.check(moment, now())
        return events + self._told_by_hooks()

    def end(self, record: RunRecord, workspace: Path) -> None:
        """The run is over, or waits for its next attempt. A final one is told to its hook."""
        self._alarms.pop(record.id, None)
        if record.state.is_final and record.on_finish:
            self._hooks.start(record.id, record.on_finish, self._body(record), workspace)

    def wait(self) -> list[Event]:
        """Until every hook has ended; what went wrong with them."""
        self._hooks.wait()
        return self._told_by_hooks()

    def _told_by_hooks(self) -> list[Event]:
        events: list[Event] = []
        with suppress(queue.Empty):
            while True:
                run_id, text = self._complaints.get_nowait()
                events.append(Notice(run=run_id, at=now(), level="warning", code="on-finish", text=text))
        return events

    def _body(self, record: RunRecord) -> dict[str, object]:
        """The shape of ``runs show --json``."""
        feed = RunFeed(self._store, [record.id])
        feed.poll()
        feed.conclude(record)
        (snapshot,) = feed.snapshots()
        return snapshot.to_json(self._store.paths(record.id).directory, now())
