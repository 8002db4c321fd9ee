"""Records new batches, and runs that are added to a batch later."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.atomic_files import flush_all
from taorunner.errors import TaorunnerError
from taorunner.events import Notice, RunState
from taorunner.runs.state.batch_index import kept_environ
from taorunner.runs.state.record import DEFAULT_POLICY, RunPolicy, RunRecord
from taorunner.runs.state.resume_origin import lineage
from taorunner.runs.state.store import Batch, RunStore
from taorunner.values.value import replace

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan


def create_batch(
    store: RunStore, plans: Sequence[tuple[str, RunPlan]], at: datetime, *, parallel: int | None = None,
    grace_s: float = 30.0, environ: Mapping[str, str], policy: RunPolicy = DEFAULT_POLICY, lingers_s: float = 0.0,
) -> Batch:  # fmt: skip
    """Records a run in state QUEUED for each ``(run id, plan)``, as one batch, which survives a power failure.

    Secrets are copied from the caller's ``environ`` into files that only the caller can read.

    Raises:
        MachineError: the state folder belongs to another user and is not shared.
    """
    store.check_is_ours()
    batch = Batch(
        f"{at:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}", tuple(run for run, _ in plans), parallel, grace_s,
        kept_environ(environ), lingers_s,
    )  # fmt: skip
    store.open_batches.begin(batch.id, batch.runs)
    store.batch_paths(batch.id).directory.mkdir(parents=True)
    record_runs(store, plans, batch.id, at, environ, policy)
    store.save_batch(batch)
    return batch


def record_runs(
    store: RunStore, plans: Sequence[tuple[str, RunPlan]], batch_id: str, at: datetime,
    environ: Mapping[str, str], policy: RunPolicy,
) -> None:  # fmt: skip
    """Creates the folders of queued runs and flushes them to disk; ``save_batch`` makes them part of the batch."""
    for run_id, plan in plans:
        _record_run(store, run_id, plan, batch_id, at, environ, policy)
    new = [store.paths(run_id).directory for run_id, _ in plans]
    files = [Path(folder, name) for top in new for folder, _, names in os.walk(top) for name in (*names, "")]
    flush_all([*files, *store.open_batches.places(batch_id), store.runs_dir, store.batches_dir])


def _record_run(
    store: RunStore, run_id: str, plan: RunPlan, batch_id: str, at: datetime, environ: Mapping[str, str],
    policy: RunPolicy,
) -> None:  # fmt: skip
    """Creates the folder of a queued run. Its record is written last and completes it."""
    from taorunner.backends.secrets import write_secrets  # listing runs needs no plans

    resumed_from, attempt = lineage(store, plan)
    policy = _kept_policy(store, plan, policy)
    record = RunRecord(
        id=run_id, batch=batch_id, project=plan.project, experiment=plan.experiment, action=plan.action,
        backend=plan.backend, state=RunState.QUEUED, queued_at=at, image=plan.image, epochs=plan.epochs,
        results_dir=str(plan.results_dir), attempt=attempt, resumed_from=resumed_from,
        retries_left=policy.retries or 0, stop_on_nan=policy.stop_on_nan, on_finish=policy.on_finish,
        forced=plan.forced, after=plan.after, keep_checkpoints=policy.keep_checkpoints,
        nodes=plan.resources.nodes, cluster=plan.cluster,
    )  # fmt: skip
    paths = store.paths(run_id)
    paths.input_dir.mkdir(parents=True)
    write_secrets(plan, paths.directory, environ)
    store.save_plan(run_id, plan, durable=False)  # flushed with the other files of the run
    store.append_events(run_id, [record.queued_event(), *_place_in_chain(store, record)])
    store.save(record)


def _kept_policy(store: RunStore, plan: RunPlan, policy: RunPolicy) -> RunPolicy:
    """What is not said for a resumed training is as for the run that it resumes."""
    if plan.resume is None or plan.resume.run is None:
        return policy
    try:
        before = store.load(plan.resume.run)
    except TaorunnerError:
        return policy
    retries = before.retries_left + before.retries_made if policy.retries is None else policy.retries
    return RunPolicy(
        retries, policy.stop_on_nan or before.stop_on_nan,
        policy.on_finish or before.on_finish, policy.keep_checkpoints or before.keep_checkpoints,
    )  # fmt: skip


def _place_in_chain(store: RunStore, record: RunRecord) -> Iterator[Notice]:
    """What a run of a chain waits for. The run before it is recorded first."""
    if record.after is not None:
        text = f"starts when {store.load(record.after).action} has succeeded"
        yield Notice(run=record.id, at=record.queued_at, level="info", code="chain", text=text)


def extend_batch(store: RunStore, batch: Batch, runs: Sequence[str]) -> Batch:
    """Adds runs to the batch. Their folders must be complete."""
    longer = replace(batch, runs=(*batch.runs, *runs))
    store.save_batch(longer)
    return longer
