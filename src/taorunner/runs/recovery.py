"""Continue from the directory: what is needed to go on with a run whose supervisor is gone.

``pick_up`` gives the supervisor that goes on all that the one before had in memory; ``look_after`` finds the batches
that nobody supervises and starts a supervisor for each; ``mark_lost`` is for what nobody can decide.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taorunner.backends.base import EngineState, Handle
from taorunner.backends.secrets import remove_secrets, stored_secrets
from taorunner.disk_room import room_at
from taorunner.errors import MachineError, RunStateError, TaorunnerError
from taorunner.events import Event, RunFinished, RunStarted, RunState, now
from taorunner.runs.console_log import ConsoleLog
from taorunner.runs.folders import remove_folder
from taorunner.runs.log_position import RecordedLog
from taorunner.runs.open_batches import restored_environ
from taorunner.runs.ownership import is_ready, orphans, owning
from taorunner.runs.record import RunRecord
from taorunner.runs.store import RunStore
from taorunner.runs.told import Told
from taorunner.state_files import UntrustedFileError

if TYPE_CHECKING:
    from pathlib import Path

    from taorunner.backends.base import Backend
    from taorunner.planning.plan import RunPlan
    from taorunner.runs.evidence import Evidence

READY_WITHIN_S = 3.0
"""A supervisor needs half a second to start and a moment to ask the engine."""
ENGINE_WITHIN_S = 10.0
"""An engine that is just being restarted is waited for."""
_ASK_AGAIN_S = 0.2
_POLL_S = 0.02
_NEVER_STARTED = "taorunner was ended while it recorded this run; it was never started"


@dataclass(frozen=True, slots=True)
class PickedUp:
    """``events`` are those that should have been told before the crash and were not."""

    evidence: Evidence
    log: ConsoleLog
    events: list[Event]


def pick_up(store: RunStore, record: RunRecord, plan: RunPlan) -> PickedUp:
    """What the supervisor before had in memory of a run that it had begun, from the run's folder."""
    from taorunner.runs.evidence import Evidence

    paths = store.paths(record.id)
    store.mend_events(record.id)
    told = Told(store.read_events(record.id)[0])
    recorded = RecordedLog.load(paths.position, paths.console)
    secrets = stored_secrets(plan, paths.directory) or ()
    launched_at = record.launched_at or record.started_at or record.queued_at
    evidence = Evidence(plan, record.id, launched_at, record.status_sizes)
    events = evidence.catch_up(paths.console, recorded, told, now())
    if record.handle is not None and not told.has_started(record.handle):
        started = RunStarted(
            run=record.id, at=record.started_at or launched_at, image=record.image, image_digest=record.image_digest,
            gpus=record.gpus, handle=record.handle,
        )  # fmt: skip
        events = [started, *events]
    return PickedUp(evidence, ConsoleLog(paths.console, secrets, recorded), events)


def has_started(backend: Backend, run_id: str, directory: Path) -> bool:
    """Whether the engine has a run of which there is no handle; one that it only created is removed.

    Raises:
        MachineError: the engine does not answer, also after a while.
    """
    deadline = time.monotonic() + ENGINE_WITHIN_S
    while True:
        try:
            found = backend.find(run_id, directory)
            if found is None:
                return False
            if backend.inspect([found])[run_id].state in (EngineState.RUNNING, EngineState.EXITED):
                return True
            backend.remove(found)
            return False
        except MachineError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_ASK_AGAIN_S)


def mend(store: RunStore, record: RunRecord) -> None:
    """A run that is over, as whole on disk as if nothing had come between its last steps."""
    directory = store.paths(record.id).directory
    remove_secrets(directory)
    store.paths(record.id).position.unlink(missing_ok=True)
    store.mend_events(record.id)
    if any(isinstance(event, RunFinished) for event in store.read_events(record.id)[0]):
        return
    at = record.finished_at or now()
    event = RunFinished(
        run=record.id, at=at, state=record.state, reason=record.reason or "", exit_code=record.exit_code,
        hint=record.hint,
    )  # fmt: skip
    store.append_events(record.id, [event])


def look_after(store: RunStore, *, wait_s: float = READY_WITHIN_S) -> list[str]:
    """Starts a supervisor for each orphan, and waits a little until it knows how its runs stand. Gives their ids."""
    found = [batch_id for batch_id in orphans(store) if adopt(store, batch_id)]
    deadline = time.monotonic() + (wait_s if found else 0)
    while time.monotonic() < deadline and not all(_is_settled(store, batch_id) for batch_id in found):
        time.sleep(_POLL_S)
    return found


def adopt(store: RunStore, batch_id: str) -> bool:
    """Starts a supervisor that goes on with the batch; False if there is nothing to go on with, or it is damaged."""
    from taorunner.runs.handover import Supervisor

    try:
        batch = store.load_batch(batch_id)
    except FileNotFoundError:
        _undo(store, batch_id)
        return False
    except UntrustedFileError as error:
        store.refused[batch_id] = str(error)
        return False
    except (OSError, ValueError):
        return False  # its runs may well go on: none of them is ended for what a file says
    supervisor = Supervisor(restored_environ(os.environ, batch.environ))
    supervisor.give(batch_id, str(store.state_dir), is_recovery=True)
    threading.Thread(target=supervisor.wait, daemon=True).start()  # whoever adopts may live long: no zombies
    return True


def refuse_without_room(store: RunStore) -> None:
    """For runs that nobody follows: a supervisor that cannot write ends at once.

    Raises:
        MachineError: the disk under the workspace's records is full. What runs in the engine goes on.
    """
    room = room_at(store.state_dir)
    if room is not None and room.is_full:
        raise MachineError(
            f'runs cannot be recorded in "{store.state_dir}": no space left on device; {room.text}',
            hint=f"what runs goes on; {room.hint}; then taorunner attach goes on, too",
        )


def mark_lost(store: RunStore, record: RunRecord) -> RunRecord:
    """Ends the record of a run of which nobody can say anything any more. Nothing is stopped or removed.

    Raises:
        RunStateError: it is over or only queued, a supervisor owns it, or the engine can be asked about it.
    """
    if record.state.is_final:
        raise RunStateError(f'run "{record.id}" is already over: {record.state.value}')
    if record.state is RunState.QUEUED:
        raise RunStateError(
            f'run "{record.id}" is queued: nothing of it can be lost', hint=f"taorunner stop {record.id}"
        )
    with owning(store.batch_paths(record.batch)) as is_owner:
        if not is_owner:
            raise RunStateError(
                f'run "{record.id}" is being followed',
                hint=f"taorunner stop {record.id} ends it; its supervisor gives up after ten minutes without an engine",
            )
        record = store.load(record.id)
        if record.state.is_final:
            return record
        state = _engine_state(store, record)
        if state not in (None, EngineState.MISSING):
            raise RunStateError(
                f'the engine still knows run "{record.id}": {state.value}',
                hint=f"taorunner attach {record.id} follows it again, taorunner stop {record.id} ends it",
            )
        reason = "marked as lost by hand"
        if record.started_at is None:
            reason += _with_results_back(store, record, is_gone=state is EngineState.MISSING)
        _finish(store, record, RunState.LOST, reason)
    return store.load(record.id)


def _with_results_back(store: RunStore, record: RunRecord, *, is_gone: bool) -> str:
    """What ``--overwrite`` moved for a run that is not in the engine goes back. Says what became of it."""
    from taorunner.runs.preparation import put_back, recorded_moves

    directory = store.paths(record.id).directory
    if is_gone:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return "".join(f"; {text}" for text in put_back(store.load_plan(record.id), directory))
    asides = list(dict.fromkeys(str(move.aside) for move in recorded_moves(directory)))
    return f"; the earlier results are in {', '.join(asides)}" if asides else ""


def _engine_state(store: RunStore, record: RunRecord) -> EngineState | None:
    """None when the engine cannot be asked."""
    from taorunner.backends.registry import load_backend

    directory = store.paths(record.id).directory
    with suppress(OSError, ValueError, KeyError, TypeError):
        batch = store.load_batch(record.batch)
        os.environ.update(restored_environ({}, batch.environ))  # the engine that the run was given to
    try:
        backend = load_backend(record.backend)
        handle = (
            Handle(record.backend, record.id, record.handle, directory)
            if record.handle is not None
            else backend.find(record.id, directory)
        )
        return EngineState.MISSING if handle is None else backend.inspect([handle])[record.id].state
    except TaorunnerError:
        return None


def _undo(store: RunStore, batch_id: str) -> None:
    """A batch whose making was interrupted."""
    for run_id in store.open_batches.runs(batch_id):
        _undo_run(store, run_id, batch_id)
    store.open_batches.end(batch_id)


def undo_half_joined(store: RunStore, batch_id: str) -> None:
    """Runs whose adding to the batch was interrupted. To be called while nobody adds any."""
    known = set(store.load_batch(batch_id).runs)
    for run_id in store.open_batches.runs(batch_id):
        if run_id not in known:
            _undo_run(store, run_id, batch_id)


def _undo_run(store: RunStore, run_id: str, batch_id: str) -> None:
    """What is recorded of it never started, and half a record is removed. A damaged one, and one of another batch, is
    left alone."""
    if not os.path.lexists(store.paths(run_id).record):
        with suppress(TaorunnerError):
            remove_folder(store.runs_dir, run_id)
        return
    try:
        record = store.load(run_id)
    except RunStateError:
        return
    if record.batch == batch_id and not record.state.is_final:
        _finish(store, record, RunState.STOPPED, _NEVER_STARTED)


def _finish(store: RunStore, record: RunRecord, state: RunState, reason: str) -> None:
    event = RunFinished(run=record.id, at=now(), state=state, reason=reason)
    store.save(record.finished(event))
    mend(store, store.load(record.id))


def _is_settled(store: RunStore, batch_id: str) -> bool:
    """Its supervisor has looked after every run, or has nothing to look after any more."""
    return batch_id not in store.open_batches.ids() or is_ready(store.batch_paths(batch_id))


def batches_of(records: Sequence[RunRecord]) -> list[str]:
    return list(dict.fromkeys(record.batch for record in records if not record.state.is_final))
