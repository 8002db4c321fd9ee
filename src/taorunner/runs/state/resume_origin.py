"""Finds the runs that a resumed training continues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from taorunner.errors import TaorunnerError
from taorunner.planning.model.run_ids import name_in_run_id

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner runs diff`
if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

_MOST_RUNS = 100


def lineage(store: RunStore, plan: RunPlan) -> tuple[str | None, int]:
    """``(run id, attempt)`` of a resumed training: the run that the plan names, else the newest earlier training into
    these results, and its number.

    ``(None, 1)`` for a new training, or if the earlier runs are no longer recorded.
    """
    if plan.resume is None:
        return None, 1
    if plan.resume.run is not None:
        with suppress(TaorunnerError):
            return plan.resume.run, store.load(plan.resume.run).attempt + 1
    for record in records_of(store, plan.experiment, plan.action):
        if record.results_dir == str(plan.results_dir):
            return record.id, record.attempt + 1
    return None, 1


def records_of(store: RunStore, experiment: str, action: str) -> Iterator[RunRecord]:
    """The records that can be read of one action of the experiments of this name, in any project, newest first."""
    part = name_in_run_id(experiment, action)
    for run_id in store.run_ids():
        if part not in run_id:
            continue
        try:
            record = store.load(run_id)
        except TaorunnerError:
            continue
        if (record.experiment, record.action) == (experiment, action):
            yield record


def with_resumed(store: RunStore, record: RunRecord) -> list[RunRecord]:
    """The run, and those that it resumes, newest first: up to one that is no longer recorded."""
    found = [record]
    while record.resumed_from is not None and len(found) < _MOST_RUNS:
        try:
            record = store.load(record.resumed_from)
        except TaorunnerError:
            break
        if any(record.id == one.id for one in found):
            break
        found.append(record)
    return found
