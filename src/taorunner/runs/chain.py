"""Chains: runs of one experiment that start one after another, each on the models that those before it made.

A run of a chain is recorded with the run that has to succeed before it (``RunRecord.after``), so every supervisor of
the batch goes on with it. Its plan was made at the launch; when it starts, the models of its chain are put into it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from taorunner.backends.contract import ChosenModel, Follows
from taorunner.contained_files import files_below
from taorunner.errors import MachineError, UserFilesError
from taorunner.events import RunState
from taorunner.planning.model.plan import Awaited, RunPlan
from taorunner.runs.state.record import RunRecord, runs_before
from taorunner.runs.state.store import RunStore
from taorunner.targets import target_of

_AFTER = {RunState.STOPPED: "was stopped", RunState.LOST: "was lost", RunState.DAMAGED: "is damaged"}


class Turn(str, Enum):
    """Whether a queued run may start: ``NOW``, ``LATER``, or ``NEVER``."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


def turn(record: RunRecord, records: Mapping[str, RunRecord]) -> Turn:
    """Whether the runs before this one have succeeded. ``records`` are those of the batch, by id."""
    if record.after is None:
        return Turn.NOW
    before = records.get(record.after)
    if before is not None and not before.state.is_final:
        return Turn.LATER
    has_succeeded = before is not None and before.state is RunState.SUCCEEDED
    return Turn.NOW if has_succeeded else Turn.NEVER


def startable(
    store: RunStore, queued: Iterable[str], records: Mapping[str, RunRecord], plans: Mapping[str, RunPlan]
) -> dict[str, Follows | None]:
    """Those of the queued runs that can be started now, in order; with what they follow where that has not ended."""
    found: dict[str, Follows | None] = {}
    for run_id in queued:
        whose = turn(records[run_id], records)
        if whose is Turn.NOW:
            found[run_id] = None
        elif whose is Turn.LATER and target_of(plans[run_id].backend).chains:
            after = follows(store, records[run_id], plans[run_id], records, plans)
            if after is not None:
                found[run_id] = after
    return found


def follows(
    store: RunStore, record: RunRecord, plan: RunPlan, records: Mapping[str, RunRecord],
    plans: Mapping[str, RunPlan],
) -> Follows | None:  # fmt: skip
    """How the engine can start a run by itself when the run before it has succeeded; None where it cannot.

    Both must be runs of one engine that takes chains, and the run before must be in its hands. What the chain makes is
    then chosen by its names alone: none may have characters that a script would have to quote.
    """
    before = records.get(record.after or "")
    if before is None or before.handle is None or before.state not in (RunState.WAITING, RunState.RUNNING):
        return None
    one = plans[before.id]
    is_same = all(
        getattr(plan, name) == getattr(one, name) for name in ("backend", "cluster", "backend_options")
    )
    earlier = [plans[run.id].contract for run in runs_before(record, records)]
    status_files = {name for contract in earlier for name in contract.progress.status_files}
    if (
        not (is_same and target_of(plan.backend).with_settings(plan.backend_options).chains)
        or before.retries_left
        or status_files & set(plan.contract.progress.status_files)  # what it writes could not be told apart
    ):
        return None
    models = [_chosen(store, awaits, plan, records, plans, record) for awaits in plan.awaits]
    written = _written_below(plan)
    if written is None or any(model is None for model in models):
        return None
    known = tuple(model for model in models if model is not None)
    return Follows(before.handle, before.action, known, written, plan.overwrite)


def _chosen(
    store: RunStore, one: Awaited, plan: RunPlan, records: Mapping[str, RunRecord], plans: Mapping[str, RunPlan],
    record: RunRecord,
) -> ChosenModel | None:  # fmt: skip
    from taorunner.planning.checkpoints.checkpoint_files import PRETRAINED_SUFFIXES
    from taorunner.planning.inputs.awaited import any_model, is_odd, places

    maker = next((run for run in runs_before(record, records) if run.action == one.action), None)
    if maker is None:
        return None
    contract = plans[maker.id].contract
    patterns = contract.checkpoints.globs if one.action == "train" else contract.verdict.artifacts
    if not patterns and one.action != "train":
        patterns = tuple(f"{one.action}/**/*{suffix}" for suffix in PRETRAINED_SUFFIXES)
    patterns = tuple(map(any_model, patterns))
    texts = places(one, plan.results_inside)
    plain = [pattern.replace("*", "").replace("?", "") or "x" for pattern in patterns]
    is_plain = not any(map(is_odd, [*plain, *(text for text, _ in texts)]))
    if not patterns or not is_plain or any(pattern.startswith("/") for pattern in patterns):
        return None
    if one.action == "train":
        return ChosenModel(one.action, patterns, texts, average=contract.checkpoints.average_glob or "")
    return ChosenModel(one.action, patterns, texts, store.paths(maker.id).directory)


def _written_below(plan: RunPlan) -> tuple[str, ...] | None:
    """The files that the action writes, below its results; None where one lies elsewhere or has an odd name."""
    from taorunner.planning.inputs.awaited import is_odd, written_files

    names = []
    for path in written_files(plan) if plan.awaits else ():
        if not path.is_relative_to(plan.results_dir) or is_odd(str(path.relative_to(plan.results_dir))):
            return None
        names.append(str(path.relative_to(plan.results_dir)))
    return tuple(names)


def with_models_read(
    store: RunStore, record: RunRecord, plan: RunPlan, read: Sequence[str]
) -> tuple[RunPlan, str]:
    """The plan of a run that has begun, with the models that its engine has chosen, and what they are.

    Raises MachineError when the engine does not say what it has chosen.
    """
    from taorunner.planning.inputs.awaited import filled, is_odd

    if len(read) != len(plan.awaits) or any(is_odd(name) or ".." in name for name in read):
        raise MachineError(f'which models "{record.experiment}" reads is not known')
    models = {one.stand_in: plan.results_dir / name for one, name in zip(plan.awaits, read, strict=True)}
    found = filled(plan, models, has_begun=True)
    what = {"train": "the newest checkpoint of the training"}
    texts = [
        f"reads {path.name}, {what.get(one.action, f'which {one.action} made')}"
        for one, path in zip(plan.awaits, models.values(), strict=True)
    ]
    return found, "; ".join(texts)


def is_over(records: Mapping[str, RunRecord], undecided: Collection[str]) -> bool:
    """Whether nothing is left for this supervisor: every run is final, undecided, or waits for one that is
    undecided."""
    return all(
        record.state.is_final or any(one.id in undecided for one in (record, *runs_before(record, records)))
        for record in records.values()
    )


def why_never(record: RunRecord, records: Mapping[str, RunRecord]) -> str:
    """``not started: train failed``: the first run of the chain that did not succeed."""
    chain = [*runs_before(record, records)]
    first = chain[-1].after if chain else record.after
    if first is not None and first not in records:
        return "not started: the record of the run before it cannot be read"
    cause = next(one for one in reversed(chain) if one.state is not RunState.SUCCEEDED)
    return f"not started: {cause.action} {_AFTER.get(cause.state, 'failed')}"


def with_models(
    store: RunStore, record: RunRecord, plan: RunPlan, records: Mapping[str, RunRecord],
    plans: Mapping[str, RunPlan],
) -> tuple[RunPlan, str]:  # fmt: skip
    """The plan of a run that starts now, with the models of its chain, and what they are. Its private spec gets them,
    too.

    Raises:
        UserFilesError: a run before it left no model that can be used, or what it would write is there already.
        MachineError: the results cannot be read.
    """
    from taorunner.backends.secrets import change_private_spec
    from taorunner.planning.inputs.awaited import filled, path_inside, with_models

    makers = {one.action: one for one in reversed([*runs_before(record, records)])}
    try:
        made = {one: _model(store, one, makers, plans) for one in plan.awaits}
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MachineError(f"the results in {plan.results_dir} cannot be read: {reason}") from error
    models = {one.stand_in: path for one, (path, _) in made.items()}
    found = filled(plan, models)
    inside = {one: path_inside(plan, path) for one, path in models.items()}
    change_private_spec(plan, store.paths(record.id).directory, lambda text: with_models(text, inside))
    return found, "; ".join(f"reads {path.name}, {what}" for path, what in made.values())


def _model(
    store: RunStore, one: Awaited, makers: Mapping[str, RunRecord], plans: Mapping[str, RunPlan]
) -> tuple[Path, str]:
    """The model, and what it is."""
    maker = makers.get(one.action)
    if maker is None or maker.id not in plans:
        raise UserFilesError(f'the chain has no run of "{one.action}" whose model could be read')
    plan = plans[maker.id]
    if one.action == "train":
        found, what = _checkpoint(store, maker, plan)
    else:
        found, what = _written(maker, plan), f"which {one.action} made"
    if found is None:
        raise UserFilesError(
            f'{one.action} of "{maker.experiment}" left no model that can be read in {plan.results_dir}',
            hint=f"taorunner runs show {store.short_id(maker.id)}",
        )
    return found, what


def _checkpoint(store: RunStore, record: RunRecord, plan: RunPlan) -> tuple[Path | None, str]:
    """The checkpoint of the best epoch where a direction is known, else the newest. Never one that was cut off."""
    from taorunner.planning.checkpoints.checkpoint_files import (
        epoch_of,
        find_checkpoints,
        newest_whole,
        whole_checkpoints,
    )
    from taorunner.planning.inputs.resume import results_seen_by
    from taorunner.runs.state.lookup.training_scores import lineage_scores

    rule, seen = plan.contract.checkpoints, results_seen_by(plan)
    checkpoints = find_checkpoints(seen, rule)
    of_epoch = {epoch_of(path, rule): path for path in whole_checkpoints(checkpoints)}
    scores = lineage_scores(store, record)
    best = scores.best_of({epoch for epoch in of_epoch if epoch is not None}) if scores is not None else None
    chosen = newest_whole(checkpoints, seen, rule) if best is None else of_epoch[best]
    own = None if chosen is None else plan.results_dir / chosen.relative_to(seen)
    return own, f"the {'newest' if best is None else 'best'} checkpoint of the training"


def _written(record: RunRecord, plan: RunPlan) -> Path | None:
    """The newest artifact of the action since its first start; where the catalog names none, the newest weights of its
    folder."""
    from taorunner.planning.checkpoints.checkpoint_files import PRETRAINED_SUFFIXES
    from taorunner.planning.inputs.resume import results_seen_by
    from taorunner.runs.far_results import results_of
    from taorunner.runs.outputs.run_times import began_at
    from taorunner.runs.results import CLOCK_SLACK_S

    access = results_of(plan)
    paths = access.artifacts()
    if not plan.contract.verdict.artifacts:
        seen = results_seen_by(plan)
        below = (
            plan.results_dir / path.relative_to(seen)
            for path in files_below(seen, seen / plan.contract.action)
        )
        paths = (path for path in below if path.name.endswith(PRETRAINED_SUFFIXES))
    since_s = began_at(record).timestamp() - CLOCK_SLACK_S
    dated = ((access.modified_s(path), path) for path in paths if path.is_relative_to(plan.results_dir))
    found = [(time_s, path) for time_s, path in dated if time_s is not None and time_s >= since_s]
    return max(found, default=(0.0, None))[1]
