"""The next command after a stopped training: resume, start again, or evaluate. Only reads."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

from taorunner.errors import TaorunnerError
from taorunner.events import RunState

if TYPE_CHECKING:
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore


class NextStep(str, Enum):
    """``START_AFRESH``: earlier results block a new start and cannot be resumed."""

    RESUME = "resume"
    START_AGAIN = "start again"
    START_AFRESH = "start afresh"
    EVALUATE = "evaluate"


def after_stop(store: RunStore, records: Iterable[RunRecord]) -> dict[str, NextStep]:
    """The next step of each stopped training among ``records``, by run id.

    Uses the rules of ``taorunner resume``: the network and the files decide. A training that never started has no
    results of its own. A training that was stopped for a NaN loss is not resumed.
    """
    return {
        record.id: _step(store, record)
        for record in records
        if record.state is RunState.STOPPED and record.action == "train"
    }


def _step(store: RunStore, record: RunRecord) -> NextStep:
    from taorunner.planning.inputs.earlier_results import holds_training
    from taorunner.planning.inputs.resume import results_seen_by, resumed
    from taorunner.planning.model.plan import RunPlan

    try:
        plan = store.load_plan(record.id)
        can_resume = record.stop_reason is None and (record.started_at or plan.resume) is not None
        going_on = resumed(plan) if can_resume else None
        is_in_the_way = holds_training(plan.contract, results_seen_by(plan))
    except (TaorunnerError, OSError, ValueError, KeyError, TypeError):
        return NextStep.START_AGAIN
    if isinstance(going_on, RunPlan):
        return NextStep.RESUME
    if going_on is not None and going_on.is_complete:
        return NextStep.EVALUATE
    return NextStep.START_AFRESH if is_in_the_way else NextStep.START_AGAIN
