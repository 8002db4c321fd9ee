"""Recovers batches whose supervisor died.

``start_missing_supervisors`` starts a supervisor for each batch without one, ``adopt`` for one batch. ``mark_lost``
ends the record of a run whose state cannot be determined.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from taorunner.backends.contract import EngineState, Handle
from taorunner.disk_room import probe, room_at, unwritable
from taorunner.errors import MachineError, RunStateError, TaorunnerError
from taorunner.events import RunState
from taorunner.runs.state.batch_index import restored_environ
from taorunner.runs.state.batch_lock import is_ready, orphans, owning
from taorunner.runs.state.lookup.unusable import has_work
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.run_repair import finish_run, undo_batch
from taorunner.runs.state.store import RunStore
from taorunner.state_files import UntrustedFileError

READY_WITHIN_S = 3.0
"""A supervisor needs half a second to start, and some time to query the engine."""
_POLL_S = 0.02


def start_missing_supervisors(store: RunStore, *, wait_s: float = READY_WITHIN_S) -> list[str]:
    """Starts a supervisor for each orphaned batch and waits up to ``wait_s`` until it is ready. Returns their ids."""
    found = [batch_id for batch_id in orphans(store) if adopt(store, batch_id)]
    deadline = time.monotonic() + (wait_s if found else 0)
    while time.monotonic() < deadline and not all(_is_settled(store, batch_id) for batch_id in found):
        time.sleep(_POLL_S)
    return found


def adopt(store: RunStore, batch_id: str) -> bool:
    """Starts a supervisor that continues the batch; False if nothing is left to do or the batch is damaged."""
    from taorunner.runs.control.spawn import Supervisor

    try:
        batch = store.load_batch(batch_id)
    except FileNotFoundError:
        undo_batch(store, batch_id)
        return False
    except UntrustedFileError as error:
        store.refused[batch_id] = str(error)
        return False
    except (OSError, ValueError):
        return False  # its runs may still be running: a damaged file ends none of them
    if not has_work(store, batch):
        return False
    supervisor = Supervisor(restored_environ(os.environ, batch.environ))
    supervisor.give(batch_id, str(store.state_dir), is_recovery=True)
    threading.Thread(target=supervisor.wait, daemon=True).start()  # reaps it in a caller that lives long
    return True


def refuse_without_room(store: RunStore) -> None:
    """Checks that a supervisor could write. On a full disk the supervisor process exits at start.

    Raises:
        MachineError: the disk with the workspace's records is full or read-only. Runs go on.
    """
    room = room_at(store.state_dir)
    if room is not None and room.is_full:
        raise MachineError(
            f'runs cannot be recorded in "{store.state_dir}": no space left on device; {room.text}',
            hint=f"the runs themselves continue; {room.hint}; then resume watching with taorunner attach",
        )
    try:
        probe(store.state_dir)
    except OSError as error:
        full = unwritable(error, store.state_dir)
        hint = f"the runs themselves continue; {full.hint}; then resume watching with taorunner attach"
        raise MachineError(f"runs cannot be recorded: {full.message}", hint=hint) from None


def mark_lost(store: RunStore, record: RunRecord) -> RunRecord:
    """Marks a run LOST when its state cannot be determined. Nothing is stopped or removed.

    Raises:
        RunStateError: the run is over or only queued, a supervisor owns it, or the engine answers for it.
    """
    run = store.short_id(record.id)
    if record.state.is_final:
        raise RunStateError(f'run "{run}" has already ended: {record.state.value.lower()}')
    if record.state is RunState.QUEUED:
        raise RunStateError(f'run "{run}" is queued and cannot be lost', hint=f"taorunner stop {run}")
    with owning(store.batch_paths(record.batch)) as is_owner:
        if not is_owner:
            raise RunStateError(
                f'run "{run}" has a live supervisor',
                hint=f"taorunner stop {run} ends it; its supervisor gives up after ten minutes without an engine",
            )
        record = store.load(record.id)
        if record.state.is_final:
            return record
        state = _engine_state(store, record)
        if state not in (None, EngineState.MISSING):
            raise RunStateError(
                f'the engine still knows run "{run}": {state.value}',
                hint=f"taorunner attach {run} resumes watching it, taorunner stop {run} ends it",
            )
        reason = "marked as lost by hand"
        if record.started_at is None:
            reason += _with_results_back(store, record, is_gone=state is EngineState.MISSING)
        finish_run(store, record, RunState.LOST, reason)
    return store.load(record.id)


def _with_results_back(store: RunStore, record: RunRecord, *, is_gone: bool) -> str:
    """Moves back what ``--overwrite`` set aside for a run that the engine does not have. Returns a report."""
    from taorunner.runs.supervisor.run_files import put_back, recorded_moves

    directory = store.paths(record.id).directory
    if is_gone:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return "".join(f"; {text}" for text in put_back(store.load_plan(record.id), directory))
    asides = list(dict.fromkeys(str(move.aside) for move in recorded_moves(directory)))
    return f"; the earlier results are in {', '.join(asides)}" if asides else ""


def _engine_state(store: RunStore, record: RunRecord) -> EngineState | None:
    """The engine's state of the run; None when the engine does not answer."""
    from taorunner.backends.registry import load_backend

    directory = store.paths(record.id).directory
    environ: Mapping[str, str] = os.environ
    with suppress(OSError, ValueError, KeyError, TypeError):  # the engine that the batch was launched with
        environ = {**os.environ, **restored_environ({}, store.load_batch(record.batch).environ)}
    try:
        backend = load_backend(record.backend, environ)
        handle = (
            Handle(record.backend, record.id, record.handle, directory)
            if record.handle is not None
            else backend.find(record.id, directory)
        )
        return EngineState.MISSING if handle is None else backend.inspect([handle])[record.id].state
    except TaorunnerError:
        return None


def _is_settled(store: RunStore, batch_id: str) -> bool:
    """Whether the batch's supervisor is ready, or the batch is over."""
    return batch_id not in store.open_batches.ids() or is_ready(store.batch_paths(batch_id))


def batches_of(records: Sequence[RunRecord]) -> list[str]:
    return list(dict.fromkeys(record.batch for record in records if not record.state.is_final))
