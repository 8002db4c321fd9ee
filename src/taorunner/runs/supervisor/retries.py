"""Retries: restarts a run after an external failure.

``--retries N`` restarts the same run (id, folder, log, GPUs) from its newest checkpoint, up to N times. Viewers see
one run. Its record counts the attempts, its events hold the reasons, and status.json is read from its size at each
launch. ``taorunner resume`` creates a new run instead, with ``resumed_from`` and the next attempt number.
"""

from __future__ import annotations

from taorunner.backends.contract import Backend, EngineState
from taorunner.errors import MachineError, TaorunnerError
from taorunner.planning.checkpoints.checkpoint_files import untrained_leftovers
from taorunner.planning.model.plan import RunPlan
from taorunner.progress.verdict import Verdict
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunPaths
from taorunner.runs.supervisor.poller import Statuses
from taorunner.text import duration
from taorunner.values.value import Value, replace

RETRY_WAITS_S = (5.0, 30.0, 120.0)
"""The delay before each further attempt; the last one is repeated."""


class NextAttempt(Value):
    """``text`` describes the failure and the next attempt, ``wait_s`` is the delay before it in seconds."""

    record: RunRecord
    plan: RunPlan
    text: str
    wait_s: float


def next_attempt(
    record: RunRecord,
    plan: RunPlan,
    ended: Verdict | TaorunnerError,
    waits_s: tuple[float, ...] = RETRY_WAITS_S,
    *,
    has_started: bool = True,
) -> NextAttempt | None:
    """The next attempt; None when none is left or the failure would repeat.

    A run that never started (``has_started``) is repeated unchanged: it has written no results.
    """
    if record.retries_left < 1 or record.stop_requested_at is not None or not _is_worth_it(ended):
        return None
    continued = replace(plan, set_aside=(), overwrite=False) if has_started else plan
    if plan.contract.action == "train" and has_started:
        from taorunner.planning.inputs.resume import (  # when a run fails: it reads specs
            results_seen_by,
            resumed,
        )

        going_on = resumed(plan)
        if isinstance(going_on, RunPlan):
            continued = going_on
        elif going_on.finding.code != "nothing-to-resume":
            return None
        else:  # otherwise TAO would resume from the untrained weights of this attempt
            seen = results_seen_by(plan)
            leftovers = untrained_leftovers(seen, plan.contract.checkpoints)
            own = tuple(plan.results_dir / path.relative_to(seen) for path in leftovers)
            continued = replace(continued, set_aside=own)
    how = continued.resume.text if continued.resume is not None else "starts from the beginning"
    wait_s = waits_s[min(record.retries_made, len(waits_s) - 1)]
    reason = ended.reason if isinstance(ended, Verdict) else ended.message
    text = f"attempt {record.attempt}: {reason}; attempt {record.attempt + 1} {how}, in {duration(wait_s)}"
    return NextAttempt(record.tried_again(), continued, text, wait_s)


def _is_worth_it(ended: Verdict | TaorunnerError) -> bool:
    return ended.is_transient if isinstance(ended, Verdict) else isinstance(ended, MachineError)


def clear_earlier(backend: Backend, statuses: Statuses, run_id: str, paths: RunPaths) -> None:
    """Removes the finished attempt from the engine, because the next one has the same name.

    Raises MachineError when the engine does not answer.
    """
    found = backend.find(run_id, paths.directory)
    if found is not None and statuses.ask(found).state is EngineState.EXITED:
        backend.remove(found)
