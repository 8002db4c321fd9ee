"""Active: the state of one attempt of a run between its start and its end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from taorunner.backends.contract import Backend, ChoosesModels, Handle, Launch
from taorunner.errors import MachineError, TaorunnerError
from taorunner.events import STOP_WAITS
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.chain import with_models_read
from taorunner.runs.state.log.console_log import ConsoleLog
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.observation import Observation
from taorunner.runs.supervisor.poller import Statuses
from taorunner.runs.supervisor.run_journal import Journal
from taorunner.runs.supervisor.worker import Worker
from taorunner.values.value import replace


@dataclass(slots=True)
class Active:
    """``handle`` is None until the engine has accepted it; ``printed``: there is output whose position is not saved.

    ``observation`` is that of the current launch.
    """

    plan: RunPlan
    launch: Launch
    worker: Worker
    backend: Backend
    statuses: Statuses
    observation: Observation
    log: ConsoleLog
    handle: Handle | None = None
    printed: bool = False
    _stop_sent: bool = False
    _kill_sent: bool = False
    _stop_waits: bool = False
    _stoppers: list[threading.Thread] = field(default_factory=list)

    def take_models(self, store: RunStore, journal: Journal) -> None:
        """Of a run of a chain that its engine has started by itself: which models it reads, once that is known."""
        if not self.plan.awaits or self.handle is None or not isinstance(self.backend, ChoosesModels):
            return
        run_id, read = self.handle.run_id, self.backend.models_read(self.handle)
        if len(read) != len(self.plan.awaits):
            return
        try:
            self.plan, text = with_models_read(store, journal.records[run_id], self.plan, read)
        except TaorunnerError as error:
            journal.notice(run_id, "chain", error.message)
            self.plan = replace(self.plan, awaits=())
        else:
            journal.notice(run_id, "chain", text, level="info")
        journal.save_plan(run_id, self.plan)
        self.observation.plan_is(self.plan)

    def stop(self, grace_s: float) -> None:
        """Requests a stop once, and again if the engine failed. Returns at once; the worker reports the end."""
        if self.handle is None:
            self.worker.abandon()
            return
        if self._stop_sent:
            return
        self._stop_sent = True
        self._ask_engine(grace_s)

    def kill(self) -> None:
        """Ends the run without a grace period, also when it is stopping already. Once; returns at once."""
        if self.handle is None:
            self.worker.abandon()
            return
        if not self._kill_sent:
            self._stop_sent = self._kill_sent = True
            self._ask_engine(0)

    def _ask_engine(self, grace_s: float) -> None:
        handle = self.handle
        assert handle is not None

        def ask() -> None:
            try:
                self.backend.stop(handle, grace_s)
                self.statuses.hurry()
            except TaorunnerError as error:
                self._stop_sent = self._kill_sent = False  # repeated at the next tick
                if not self._stop_waits:
                    self._stop_waits = True
                    is_silent = isinstance(error, MachineError)
                    how = "will be stopped when the engine answers" if is_silent else "is not stopped yet"
                    self.worker.notice(STOP_WAITS, f"{how}: {error.message}")

        thread = threading.Thread(target=ask, name=f"stop-{handle.run_id}", daemon=True)
        self._stoppers.append(thread)
        thread.start()
