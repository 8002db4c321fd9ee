"""Which run does a resumed training go on from?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taorunner.errors import TaorunnerError
from taorunner.planning.model.run_ids import name_in_run_id

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan
    from taorunner.runs.state.store import RunStore


def lineage(store: RunStore, plan: RunPlan) -> tuple[str | None, int]:
    """``(run that a resumed training goes on from, number of the attempt)``: the newest training into these results.

    ``(None, 1)`` for a training that begins, or whose earlier runs are no longer recorded.
    """
    if plan.resume is None:
        return None, 1
    part = name_in_run_id(plan.experiment, plan.action)
    for run_id in store.run_ids():
        if part not in run_id:
            continue
        try:
            record = store.load(run_id)
        except TaorunnerError:
            continue
        if record.results_dir == str(plan.results_dir) and record.action == plan.action:
            return record.id, record.attempt + 1
    return None, 1
