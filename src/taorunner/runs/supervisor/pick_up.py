"""Continues a run of an earlier supervisor from its folder and the engine's state."""

from __future__ import annotations

import time
from pathlib import Path

from taorunner.backends.contract import Backend, Handle
from taorunner.backends.secrets import stored_secrets
from taorunner.errors import MachineError
from taorunner.events import Event, RunStarted, RunState, now
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.state.log.console_log import ConsoleLog
from taorunner.runs.state.log.log_position import RecordedLog
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.observation import Observation
from taorunner.runs.supervisor.poller import Statuses
from taorunner.runs.supervisor.replay_filter import ReplayFilter
from taorunner.runs.supervisor.worker import Recorded
from taorunner.values.value import Value

ENGINE_WITHIN_S = 10.0
"""How long to wait for an engine that is restarting, in seconds."""
_ASK_AGAIN_S = 0.2


class PickedUp(Value):
    """The restored state of a run. ``events`` are those that the crash kept from being emitted.

    ``recorded`` is what a worker needs to continue.
    """

    observation: Observation
    log: ConsoleLog
    events: list[Event]
    recorded: Recorded


def pick_up(store: RunStore, record: RunRecord, plan: RunPlan, backend: str) -> PickedUp:
    """Restores from the run's folder what the earlier supervisor had in memory."""
    paths = store.paths(record.id)
    store.repair_events(record.id)
    replay_filter = ReplayFilter(store.read_events(record.id)[0])
    recorded = RecordedLog.load(paths.position, paths.console)
    secrets = stored_secrets(plan, paths.directory) or ()
    launched_at = record.launched_at or record.started_at or record.queued_at
    observation = Observation(plan, record.id, launched_at, record.status_sizes)
    waits = record.state is RunState.WAITING
    if waits and replay_filter.waiting is None:
        replay_filter.begin_launch()
    events = observation.catch_up(paths.console, recorded, replay_filter, now())
    waiting = (replay_filter.waiting or "") if waits else None
    if record.was_launched and not _has_started(record, replay_filter):
        waiting = "" if waits else None  # the worker reports it again, after the start
        started = RunStarted(
            run=record.id, at=now() if record.requeues else record.started_at or launched_at, image=record.image,
            image_digest=record.image_digest, gpus=record.gpus, handle=record.handle or "",
        )  # fmt: skip
        events = [started, *events]
    log = ConsoleLog(paths.console, secrets, recorded)
    continued = Recorded(
        None if record.handle is None else Handle(backend, record.id, record.handle, paths.directory),
        recorded.position, waiting, record.was_launched,
    )  # fmt: skip
    return PickedUp(observation, log, events, continued)


def _has_started(record: RunRecord, replay_filter: ReplayFilter) -> bool:
    """Whether the start of the current launch was emitted; of a run that waits again, that of an earlier one."""
    if replay_filter.handle != record.handle:
        return False
    return record.state is RunState.WAITING or replay_filter.waiting is None


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
