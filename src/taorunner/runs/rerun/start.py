"""Starts a rerun: the plan of the run with results of its own, recorded and handed to a supervisor as any other run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from taorunner.errors import RunStateError, TaorunnerError
from taorunner.events import now
from taorunner.planning.model.request import Site, command_of
from taorunner.planning.model.run_ids import new_run_id
from taorunner.runs.control.launch import Launched, LaunchOptions, launch_plans
from taorunner.runs.inputs.run_lock import RunLock, read_lock
from taorunner.runs.rerun.repeat import repeated

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan
    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore


def readable_inputs(store: RunStore, record: RunRecord) -> tuple[RunLock, RunPlan]:
    """Raises RunStateError for a run without a lock or with a damaged plan."""
    lock, short = read_lock(store, record.id), store.short_id(record.id)
    if lock is None:
        raise RunStateError(
            f"what run {short} was made from is not on record",
            hint="an older version ran it, it never started, or its run.lock is damaged: "
            f"taorunner -p {record.project} {command_of(record.action)} {record.experiment} starts a new one",
        )
    try:
        return lock, store.load_plan(record.id)
    except (TaorunnerError, OSError, ValueError, KeyError, TypeError) as error:
        raise RunStateError(f"the plan of run {short} cannot be read: {error}") from error


def start_rerun(
    store: RunStore, workspace: Workspace, record: RunRecord, name: str, environ: Mapping[str, str]
) -> Launched:
    """Starts it as the experiment ``name``, whatever is different by now.

    Raises:
        RunStateError: the run cannot be repeated.
        UserFilesError: a secret of it is not there.
        MachineError: runs cannot be recorded.
    """
    lock, plan = readable_inputs(store, record)
    run_id = new_run_id(name, record.action, now())
    site = Site(run_id, store.paths(run_id).directory)
    again = repeated(workspace, record, lock, plan, site, name)
    return launch_plans(store, [(run_id, again)], LaunchOptions(), environ)
