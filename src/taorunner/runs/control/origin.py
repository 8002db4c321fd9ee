"""What a run was made from, and which runs followed it. Only reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.errors import RunStateError, TaorunnerError
from taorunner.planning.model.plan_dataset import dataset_folder
from taorunner.runs.state.record import RunRecord, chain_of
from taorunner.runs.state.resume_origin import records_of, with_resumed

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan
    from taorunner.runs.state.store import RunStore

RANDOM = "random values"


@dataclass(frozen=True, slots=True)
class Origin:
    """``data`` is the folder of the dataset; ``made_from`` the weights, a checkpoint or a model in words; None where
    that is not known. ``source`` is the run that made them: the one that is resumed, or the one before in a chain.
    ``followed_by`` are the action and the id of each run after this one in its chain; ``resumed_by`` is the run that
    went on from it, ``later`` the next run of the same action and experiment."""

    data: Path | None = None
    made_from: str | None = None
    source: str | None = None
    followed_by: tuple[tuple[str, str], ...] = ()
    resumed_by: str | None = None
    later: str | None = None


def origin_of(store: RunStore, record: RunRecord) -> Origin:
    """Never raises for files of the run: what cannot be read is not known."""
    chain = _chain(store, record)
    at = [one.id for one in chain].index(record.id)
    later = later_run(store, record)
    resumed_by = later.id if later is not None and resumes(store, later, record) else None
    source = record.resumed_from or (chain[at - 1].id if at else None)
    try:
        plan = store.load_plan(record.id)
    except (TaorunnerError, OSError, ValueError, KeyError, TypeError):
        plan = None
    went_on_itself = (
        record.retries_made > 0 and record.resumed_from is None
    )  # then the plan is that of the retry
    made_from = _made_from(plan) if plan is not None and not (went_on_itself and plan.resume) else None
    return Origin(
        dataset_folder(plan) if plan is not None else None, made_from, source,
        tuple((one.action, one.id) for one in chain[at + 1 :]), resumed_by,
        later.id if later is not None else None,
    )  # fmt: skip


def later_run(store: RunStore, record: RunRecord) -> RunRecord | None:
    """The next run of the same action of the same experiment that was started; None where there is none."""
    found = None
    for one in _newer(store, record):
        if one.started_at is not None:
            found = one
    return found


def resumes(store: RunStore, later: RunRecord, record: RunRecord) -> bool:
    """Whether ``later`` went on from ``record``, or from a run that did."""
    return any(one.id == record.id for one in with_resumed(store, later)[1:])


def _newer(store: RunStore, record: RunRecord) -> Iterator[RunRecord]:
    """Newest first. Ids begin with their times, so those that are sorted before this one are of earlier runs."""
    for one in records_of(store, record.experiment, record.action):
        if one.id[:15] < record.id[:15]:
            return
        if one.project == record.project and one.queued_at > record.queued_at:
            yield one


def _chain(store: RunStore, record: RunRecord) -> list[RunRecord]:
    try:
        ids = store.load_batch(record.batch).runs
    except (TaorunnerError, OSError, ValueError, KeyError, TypeError):
        return [record]
    mates = [record]
    for run_id in ids:
        try:
            mates.append(store.load(run_id))
        except RunStateError:
            continue
    return chain_of(record, mates)


def _made_from(plan: RunPlan) -> str | None:
    from taorunner.planning.inputs.named_checkpoint import destination

    if plan.resume is not None:
        where = "within" if plan.resume.is_partial else "after"
        return f"{plan.resume.checkpoint.name}, {where} epoch {plan.resume.epoch}"
    if plan.weights is not None:
        return plan.weights
    if plan.action != "train":
        return None
    pretrained = plan.arguments.values.get("pretrained")
    read = [*plan.argv, plan.spec.text if plan.spec is not None else ""]
    if isinstance(pretrained, str) and pretrained and any(pretrained in text for text in read):
        return Path(pretrained).name
    return RANDOM if destination(plan.contract) is None else None
