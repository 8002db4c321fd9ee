"""RunMonitor: alarms of running runs and ``--stop-on-nan``.

Belongs to the runner's one thread. It decides what should happen; the runner records it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from taorunner.events import Event, Notice, now
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.state.record import RunRecord
from taorunner.runs.supervisor.alarms import Alarms

_LOOK_EVERY_S = 1.0


class RunMonitor:
    """``clock`` gives seconds and only goes forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._alarms: dict[str, Alarms] = {}
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
        """New alarms. Cheap enough for every turn of the loop."""
        moment = self._clock()
        events: list[Event] = []
        if moment - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = moment
            for alarms in self._alarms.values():
                events += alarms.check(moment, now())
        return events

    def end(self, run_id: str) -> None:
        """The run is over, or waits for its next attempt."""
        self._alarms.pop(run_id, None)
