"""Continues a run of an earlier supervisor from its folder and the engine's state."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from taorunner.backends.contract import Backend
from taorunner.backends.secrets import stored_secrets
from taorunner.errors import MachineError
from taorunner.events import Event, RunStarted, RunState, now
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.state.console_log import ConsoleLog
from taorunner.runs.state.log_position import RecordedLog
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.observation import Observation
from taorunner.runs.supervisor.poller import Statuses
from taorunner.runs.supervisor.replay_filter import ReplayFilter

ENGINE_WITHIN_S = 10.0
"""How long to wait for an engine that is restarting, in seconds."""
_ASK_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class PickedUp:
    """The restored state of a run. ``events`` are those that the crash kept from being emitted."""

    observation: Observation
    log: ConsoleLog
    events: list[Event]


def pick_up(store: RunStore, record: RunRecord, plan: RunPlan) -> PickedUp:
    """Restores from the run's folder what the earlier supervisor had in memory."""
    paths = store.paths(record.id)
    store.repair_events(record.id)
    replay_filter = ReplayFilter(store.read_events(record.id)[0])
    recorded = RecordedLog.load(paths.position, paths.console)
    secrets = stored_secrets(plan, paths.directory) or ()
    launched_at = record.launched_at or record.started_at or record.queued_at
    observation = Observation(plan, record.id, launched_at, record.status_sizes)
    events = observation.catch_up(paths.console, recorded, replay_filter, now())
    has_begun = record.handle is not None and record.state is not RunState.WAITING
    if record.handle is not None and has_begun and not replay_filter.has_started(record.handle):
        started = RunStarted(
            run=record.id, at=record.started_at or launched_at, image=record.image, image_digest=record.image_digest,
            gpus=record.gpus, handle=record.handle,
        )  # fmt: skip
        events = [started, *events]
    return PickedUp(observation, ConsoleLog(paths.console, secrets, recorded), events)


def has_started(backend: Backend, statuses: Statuses, run_id: str, directory: Path) -> bool:
    """Whether the engine has started a run whose handle was not recorded. A container only created is removed.

    Raises:
        MachineError: the engine does not answer after several attempts.
    """
    deadline = time.monotonic() + ENGINE_WITHIN_S
    while True:
        try:
            found = backend.find(run_id, directory)
            if found is None:
                return False
            if statuses.ask(found).state.was_accepted:
                return True
            backend.remove(found)
            return False
        except MachineError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_ASK_AGAIN_S)
