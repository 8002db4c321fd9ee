"""What keeps a run that has not ended from being continued: a damaged file of its batch, or a damaged plan.

Its record is intact, so what the run is and whether it was started is known; only a supervisor cannot go on with it.
"""

from __future__ import annotations

from taorunner.errors import RunStateError
from taorunner.events import RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import Batch, DamagedRun, DamagedRunError, RunStore
from taorunner.state_files import UntrustedFileError

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_EVERY_PLAN = frozenset({
    "project", "experiment", "action", "backend", "contract", "argv", "workspace", "results_dir",
})  # fmt: skip
"""Keys without a default in ``RunPlan``, which takes long to import."""


def fault_of(store: RunStore, record: RunRecord, *, is_thorough: bool = False) -> DamagedRun | None:
    """Which file is damaged, and how; None for a run that has ended or can be continued.

    ``is_thorough`` reads the plan as a supervisor does; without it, only its form is looked at, which lists can afford.
    """
    if record.state.is_final:
        return None
    return _fault(store, record, _batch_error(store, record.batch), is_thorough=is_thorough)


def shown_in_list(store: RunStore, runs: Sequence[RunRecord | DamagedRun]) -> list[RunRecord | DamagedRun]:
    """The runs as a list of runs shows them. The file of each batch is read once."""
    known: dict[str, Exception | None] = {}
    shown: list[RunRecord | DamagedRun] = []
    for run in runs:
        fault = None
        if not isinstance(run, DamagedRun) and not run.state.is_final:
            if run.batch not in known:
                known[run.batch] = _batch_error(store, run.batch)
            fault = _fault(store, run, known[run.batch])
        shown.append(fault or run)
    return shown


def _batch_error(store: RunStore, batch_id: str) -> Exception | None:
    try:
        store.load_batch(batch_id)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return error
    return None


def _fault(
    store: RunStore, record: RunRecord, batch_error: Exception | None, *, is_thorough: bool = False
) -> DamagedRun | None:
    name = "batch.json"
    try:
        if batch_error is not None:
            raise batch_error
        name = "plan.json"
        body = store.plan_body(record.id)
        if not isinstance(body, dict) or not body.keys() >= _OF_EVERY_PLAN:
            raise ValueError("not a stored plan")
        if is_thorough:
            store.load_plan(record.id)
    except (FileNotFoundError, UntrustedFileError):
        return None  # it is being made, or another's
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = str(error).rpartition(" is damaged: ")[2]
        return DamagedRun(record.id, f"{name} is damaged: {text}", name)
    return None


def refusal_of(store: RunStore, record: RunRecord, fault: DamagedRun) -> RunStateError:
    """The error for a command that would continue the run."""
    run = store.short_id(record.id)
    if record.state is RunState.QUEUED:
        way = f"taorunner stop {run} ends it; it was never started"
    else:
        way = f"taorunner runs mark-lost {run} ends its record once the engine has ended it"
    return RunStateError(f'run "{run}" cannot be continued: {fault.reason}', hint=way)


def damage_of(store: RunStore, record: RunRecord) -> DamagedRunError | None:
    """The fault as a page of the run shows it."""
    fault = fault_of(store, record)
    if fault is None:
        return None
    what = fault.reason.removeprefix(f"{fault.place} ")
    error = DamagedRunError(store.paths(record.id), what, fault.place)
    error.message, error.hint = fault.reason, refusal_of(store, record, fault).hint
    return error


def has_work(store: RunStore, batch: Batch) -> bool:
    """Whether a supervisor of the batch could do something: continue a run, or end the batch."""
    damaged = 0
    for run_id in batch.runs:
        try:
            record = store.load(run_id)
        except RunStateError:
            damaged += 1
            continue
        if record.state.is_final:
            continue
        if fault_of(store, record, is_thorough=True) is None:
            return True
        damaged += 1
    return not damaged
