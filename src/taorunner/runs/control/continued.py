"""What ``resume`` goes on with: the training whose results are there, and what was typed for it. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from taorunner.catalog.knobs import KNOBS, choices_of
from taorunner.contracts import Contract
from taorunner.errors import TaorunnerError
from taorunner.events import now
from taorunner.planning.checkpoints.checkpoint_files import find_checkpoints
from taorunner.planning.inputs.resume import results_seen_by
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Order
from taorunner.planning.model.typed_settings import continued_request
from taorunner.runs.outputs.writers import writer_of
from taorunner.runs.state.record import RunRecord, chain_of
from taorunner.runs.state.resume_origin import records_of, with_resumed
from taorunner.runs.state.store import RunStore

_UNREADABLE = (TaorunnerError, OSError, ValueError, KeyError, TypeError)


def continued_orders(store: RunStore, orders: Iterable[Order]) -> list[Order]:
    """The orders; in the place of each one to resume, one for each of its experiments, as ``continued`` gives it."""
    return [one for order in orders for one in _continued(store, order)]


def _continued(store: RunStore, order: Order) -> Iterator[Order]:
    request = order.request
    if not request.resume or request.continues is not None:
        yield order
        return
    for name in request.experiments:
        yield replace(order, request=continued(store, order.project, replace(request, experiments=(name,))))


def continued(store: RunStore, project: str, request: ActionRequest) -> ActionRequest:
    """The request to resume one experiment, with what was typed for the training that wrote its results, where the
    request says nothing itself. Unchanged when that training is not on record."""
    found = training_in_place(store, project, request.experiments[0])
    if found is None:
        return request
    record, plan = found
    then = request.then or tuple(_left_of_chain(store, record))
    return replace(continued_request(request, record.id, plan.typed, _keys(plan)), then=then)


def _left_of_chain(store: RunStore, record: RunRecord) -> Iterator[str]:
    """The actions behind a training in its chain, where none of them has started."""
    try:
        runs = [store.load(run_id) for run_id in store.load_batch(record.batch).runs]
    except _UNREADABLE:
        return
    chain = chain_of(record, runs)
    later = chain[chain.index(record) + 1 :]
    if all(one.state.is_final and one.started_at is None for one in later):
        yield from (one.action for one in later)


def training_in_place(store: RunStore, project: str, experiment: str) -> tuple[RunRecord, RunPlan] | None:
    """The newest training that wrote into the results of the experiment as they are now, with its plan.

    A run that resumes it and never started counts: it is what is to be done next. None when none is on record.
    """
    records = [one for one in records_of(store, experiment, "train") if one.project == project]
    try:
        if not records:
            return None
        newest = store.load_plan(records[0].id)
        place = newest.results_dir
        seen = results_seen_by(newest)
        times = [path.stat().st_mtime for path in find_checkpoints(seen, newest.contract.checkpoints)]
        began = [record for record in records if record.started_at is not None]
        wrote = writer_of(store, began, place, place, max(times, default=0.0), now())
        chosen = wrote or (began[0] if began else None)
        if chosen is None:
            return None
        never_started = (record for record in records if record.started_at is None)
        follows = (one for one in never_started if chosen in with_resumed(store, one))
        chosen = next(follows, chosen)
        return chosen, store.load_plan(chosen.id)
    except _UNREADABLE:
        return None


def _keys(plan: RunPlan) -> dict[str, set[str]]:
    """The keys of the spec that each knob sets in this training, or may set."""
    return {knob: {*_known(plan.contract, knob), *_set(plan, option)} for knob, (option, _) in KNOBS.items()}


def _known(contract: Contract, knob: str) -> Iterator[str]:
    for choice in choices_of(contract, knob):
        yield from choice.keys


def _set(plan: RunPlan, option: str) -> Iterator[str]:
    for one in plan.knobs:
        if one.option.split()[0] == option and one.was is None:
            yield one.key
