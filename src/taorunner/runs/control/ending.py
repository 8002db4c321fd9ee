"""What can be said when a run is over: what it left, the best checkpoint, and the commands that follow. Only reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.errors import TaorunnerError
from taorunner.events import RunState, now
from taorunner.planning.model.request import command_of
from taorunner.planning.model.rerun_name import is_rerun
from taorunner.runs.control.next_step import NextStep, after_stop
from taorunner.runs.control.origin import later_run, resumes
from taorunner.runs.outputs.recorded import BYPRODUCTS, Output, RunResults, recorded_results

if TYPE_CHECKING:
    from taorunner.catalog.network import Network
    from taorunner.planning.model.plan import RunPlan
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

_MEMORY_CAUSES = frozenset({"cuda-out-of-memory"})
"""Codes of causes that a smaller batch ends."""
_FROM_OUTSIDE = frozenset({129, 130, 137, 143})
"""Exit codes of a process that another one ended: SIGHUP, SIGINT, SIGKILL, SIGTERM."""
_AFTER_STOP = {
    NextStep.RESUME: "resume {}",
    NextStep.START_AGAIN: "train {}",
    NextStep.START_AFRESH: "train {} --overwrite",
    NextStep.EVALUATE: "evaluate {}",
}
_UNREADABLE = (TaorunnerError, OSError, ValueError, KeyError, TypeError)
"""What reading the files of a run, its results or its network may raise."""
_CONVERSIONS = frozenset({"convert", "dataset_convert"})


@dataclass(frozen=True, slots=True)
class Ending:
    """``steps`` are the commands that follow, best first, without ``taorunner -p PROJECT`` and with ``{}`` in the place
    of the experiments. ``best`` is the checkpoint of the best epoch; None where no metric has a direction.
    ``counts_from`` is the number that TAO gives to the first epoch in names of checkpoints. ``is_untouched``: the run
    was never started, and earlier results of the experiment are where they were. ``set_aside`` is where its results are
    when a later run moved them.
    """

    results: RunResults = field(default_factory=RunResults)
    best: Output | None = None
    steps: tuple[str, ...] = ()
    counts_from: int = 1
    is_untouched: bool = False
    set_aside: Path | None = None

    @property
    def newest(self) -> Output | None:
        return self.results.checkpoints[-1] if self.results.checkpoints else None


def endings(store: RunStore, records: Iterable[RunRecord]) -> dict[str, Ending]:
    """The ending of each run, by run id.

    Never raises for files of a run or its network: what cannot be read has no steps.
    """
    found: dict[str, Ending] = {}
    for record in records:
        try:
            plan = store.load_plan(record.id)
        except _UNREADABLE:
            steps = after_stop(store, [record])
            found[record.id] = Ending(steps=tuple(_AFTER_STOP[step] for step in steps.values()))
        else:
            found[record.id] = _ending(store, record, plan)
    return found


def _ending(store: RunStore, record: RunRecord, plan: RunPlan) -> Ending:
    results = run_results(store, record, plan)
    best = best_checkpoint(store, record, results)
    ending = Ending(results, best, counts_from=plan.contract.checkpoints.first_epoch)
    is_left = any(one.kind not in BYPRODUCTS for one in results.outputs)
    try:
        is_over = is_rerun(record.experiment) or _is_over(
            store, record, is_left=is_left
        )  # it is no experiment
        steps = () if is_over else tuple(_steps(store, record, plan, ending))
        return replace(
            ending, steps=steps, is_untouched=_is_untouched(record, plan),
            set_aside=None if is_left else set_aside_in(store, record),
        )  # fmt: skip
    except _UNREADABLE:
        return ending


def _is_over(store: RunStore, record: RunRecord, *, is_left: bool) -> bool:
    """Whether a command for the experiment would mean the results of a later run: one that went on from this run, or
    one that was started when nothing of this run was left (``is_left``)."""
    later = later_run(store, record)
    return later is not None and (not is_left or resumes(store, later, record))


def run_results(store: RunStore, record: RunRecord, plan: RunPlan | None = None) -> RunResults:
    """What the run wrote and what is still in its place: as recorded at its end, else searched for."""
    from taorunner.runs.outputs.run_times import began_at
    from taorunner.runs.outputs.scan import scan_results

    recorded = recorded_results(store, record.id)
    if recorded is not None:
        return recorded.in_place
    folder = Path(record.results_dir) if record.results_dir is not None else None
    if record.started_at is None:
        return RunResults(folder)
    try:
        plan = plan or store.load_plan(record.id)
        return scan_results(plan, began_at(record), until=record.finished_at, hashes=False)
    except _UNREADABLE:
        return RunResults(folder)


def set_aside_in(store: RunStore, record: RunRecord) -> Path | None:
    """Where a later run moved what this run wrote; None where that is not known. Of a run without a record of what it
    wrote, the times of the files decide."""
    from taorunner.project.workspace import ProjectPaths
    from taorunner.runs.outputs.run_times import ran_at
    from taorunner.runs.outputs.set_aside import TRAINING, find_set_aside, list_set_aside
    from taorunner.runs.outputs.writers import moved_outputs

    if record.results_dir is None:
        return None
    project = ProjectPaths(Path(record.results_dir).parent.parent)
    recorded = recorded_results(store, record.id)
    if recorded is None:
        measured = find_set_aside(project, record.experiment) if record.action == "train" else []
        own = (one for one in measured if one.kind == TRAINING and ran_at(record, one.newest_s, now()))
        return next((one.path for one in own), None)
    for item in list_set_aside(project, record.experiment):
        if any(one.is_there for one in moved_outputs(recorded.outputs, item.place, item.path)):
            return item.path
    return None


def best_checkpoint(store: RunStore, record: RunRecord, results: RunResults) -> Output | None:
    """The checkpoint of the epoch with the best value of the main metric, among those that are there.

    None without a metric whose direction is known, and without values for the epochs of the checkpoints.
    """
    from taorunner.runs.state.lookup.training_scores import lineage_scores

    by_epoch = {one.epoch: one for one in results.checkpoints if one.epoch is not None}
    scores = lineage_scores(store, record) if by_epoch else None
    best = scores.best_of(set(by_epoch)) if scores is not None else None
    return by_epoch[best] if best is not None else None


def _steps(store: RunStore, record: RunRecord, plan: RunPlan, ending: Ending) -> Iterable[str]:
    if record.state is RunState.STOPPED:
        typed = plan.typed.words()
        for step in after_stop(store, [record]).values():
            again = step in (NextStep.START_AGAIN, NextStep.START_AFRESH)
            yield f"{_AFTER_STOP[step]} {typed}".rstrip() if again else _AFTER_STOP[step]
    elif record.state is RunState.FAILED:
        yield from _after_failure(record, plan)
    elif record.state is RunState.SUCCEEDED:
        network = _network(plan)
        known = network.actions(plan.contract.release) if network is not None else {}
        for action in _after_success(record.action, known):
            reads = action in ("evaluate", "export")
            is_older = reads and ending.best is not None and ending.best != ending.newest
            words = [
                f"{command_of(action)} {{}}",
                "--checkpoint best" if is_older else "",
                plan.typed.of_model() if reads else "",
                plan.typed.of_place(with_image=known[action] == plan.contract.group),
            ]
            yield " ".join(word for word in words if word)
        if record.action == "export" and any(one.kind == "onnx" for one in ending.results.outputs):
            yield "bundle {}"


def _after_success(action: str, known: Mapping[str, str]) -> Iterable[str]:
    """The actions that follow. ``known`` are those of the network, as it names them, with their groups."""
    following: tuple[str, ...] = ()
    if action in _CONVERSIONS:
        following = ("train",)
    elif action == "train":
        following = ("evaluate", "export")
    elif action == "export":
        following = ("gen_trt_engine",)
    elif action == "gen_trt_engine":
        following = ("deploy.evaluate",) if "deploy.evaluate" in known else ("deploy.inference",)
    return [name for name in following if name in known]


def _after_failure(record: RunRecord, plan: RunPlan) -> Iterable[str]:
    """A smaller batch after the GPU ran out of memory, where the network has a key for it and the spec a value. A
    training that was ended from outside goes on from its newest checkpoint."""
    from taorunner.catalog.knobs import choices_of
    from taorunner.planning.inputs.earlier_results import holds_training
    from taorunner.planning.inputs.resume import results_seen_by, resumed
    from taorunner.planning.model.plan import RunPlan
    from taorunner.progress.causes.table import find_cause

    cause = find_cause(record.reason or "")
    size = batch_size(plan)
    lacks_memory = cause is not None and cause.cause.code in _MEMORY_CAUSES
    if not lacks_memory and record.action == "train" and record.exit_code in _FROM_OUTSIDE:
        if isinstance(resumed(plan), RunPlan):
            yield "resume {}"
        return
    if not lacks_memory or size is None or size < 2:
        return
    command = f"{command_of(record.action)} {{}}"
    smaller = f"--batch-size {size // 2}"
    if record.action == "train":
        if isinstance(resumed(plan), RunPlan):
            yield f"resume {{}} {smaller}"
            return
        if holds_training(plan.contract, results_seen_by(plan)):
            command += " --overwrite"
    keys = {key for choice in choices_of(plan.contract, "batch_size") for key in choice.keys}
    yield f"{command} {smaller} {plan.typed.words(without={'batch_size', *keys})}".rstrip()


def batch_size(plan: RunPlan) -> int | None:
    """The number of images that a GPU took at once; None where the network has no key for it, or the spec no value."""
    from taorunner.catalog.knobs import choices_of

    values = _values(plan)
    resources = plan.resources
    for choice in choices_of(plan.contract, "batch_size"):
        if choice.when is not None and str(values.get(choice.when[0])) != choice.when[1]:
            continue
        size = next((value for key in choice.keys if isinstance(value := values.get(key), int)), None)
        if size is not None and not isinstance(size, bool):
            return size // max(1, resources.gpus.count * resources.nodes) if choice.is_total else size
    return None


def _values(plan: RunPlan) -> dict[str, object]:
    """The values of the rendered spec by dotted key, with whole numbers of the command line in their place."""
    from taorunner.specs.syntax.leaves import leaves
    from taorunner.specs.syntax.text_position import SpecProblemError

    found: dict[str, object] = {}
    if plan.spec is not None and plan.contract.spec is not None:
        with suppress(SpecProblemError):
            found = {leaf.key: leaf.value for leaf in leaves(plan.spec.text, plan.contract.spec.format)}
    for token in plan.argv:
        name, equals, value = token.partition("=")
        if equals and value.isascii() and value.isdecimal():
            found[name.lstrip("+")] = int(value)
    return found


def _is_untouched(record: RunRecord, plan: RunPlan) -> bool:
    if record.started_at is not None or record.state is not RunState.FAILED or not plan.overwrite:
        return False
    try:
        return all(os.path.lexists(path) for path in plan.set_aside) and any(plan.results_dir.iterdir())
    except OSError:
        return False


def _network(plan: RunPlan) -> Network | None:
    from taorunner.planning.inputs.workspace_networks import Networks
    from taorunner.project.workspace import Workspace

    try:
        return Networks(Workspace(plan.workspace).networks_dir).load(plan.contract.network)
    except (TaorunnerError, OSError, ValueError):
        return None
