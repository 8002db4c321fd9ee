"""``evaluate --on-host``: an inference with a low threshold, scored here against the labels of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from taorunner.errors import UsageError
from taorunner.events import RunState

if TYPE_CHECKING:
    from taorunner.cli.action_options import ActionOptions
    from taorunner.cli.options import Invocation
    from taorunner.planning.model.plan import RunPlan
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

Infer: TypeAlias = "Callable[[ActionOptions, Callable[[Sequence[str]], None]], int]"
"""Runs the inference of the experiments, and gives its runs to the second argument. Returns the exit code."""
_OWN_NAMES = (("AP50", "test_mAP50"), ("AP", "test_mAP"))
"""Figures of the same protocol, here and in the evaluation of networks that use COCO's."""
LOWEST_SCORE = 0.001
"""Boxes below a threshold are missing from the curve: TAO's 0.5 costs several points of AP (``docs/evaluation.md``)."""


def inference_of(options: ActionOptions) -> str:
    """The action whose predictions are scored: of the model, or of the engine that was built of it."""
    return "deploy.inference" if options.engine else "inference"


def evaluate_on_host(
    invocation: Invocation, experiments: list[str], options: ActionOptions, infer: Infer
) -> int:
    """Runs the inference of each experiment by ``infer``, then scores what these runs wrote. Returns the exit code: the
    worst of the runs.

    Raises UsageError for options that do not go with it, UserFilesError where nothing can be scored.
    """
    from taorunner.cli.experiment_words import orders_of
    from taorunner.evaluation.coco import check_library
    from taorunner.planning.model.request import ActionRequest
    from taorunner.runs.outputs.host_evaluation import truth_of
    from taorunner.runs.state.store import RunStore

    _refuse_others(options, experiments)
    score = LOWEST_SCORE if options.min_score is None else options.min_score
    low = replace(options, on_host=False, min_score=score)
    started: list[str] = []
    if options.dry_run or not experiments:
        return infer(low, started.extend)
    check_library()
    workspace = invocation.open_workspace(options.workspace)
    request = ActionRequest(action=inference_of(options), experiments=tuple(dict.fromkeys(experiments)))
    orders = orders_of(invocation, workspace, request, experiments, project=options.project, everything=False)
    truths = {
        (order.project, name): truth_of(workspace, order.project, name, options.truth)
        for order in orders for name in order.request.experiments
    }  # fmt: skip
    code = infer(low, started.extend)
    store = RunStore(workspace.state_dir)
    for record in map(store.load, started):
        if record.state is RunState.SUCCEEDED:
            if (decided := own_thresholds(store.load_plan(record.id))) is not None:
                invocation.note(decided)
            _print_scores(store, record, truths[record.project, record.experiment], options.split)
    return code


def own_thresholds(plan: RunPlan) -> str | None:
    """What to know of the scores of a network that takes no lowest score: boxes are missing from its curve."""
    if any(one.option.startswith("--min-score ") for one in plan.knobs):
        return None
    return (
        f"{plan.contract.network} inference takes no --min-score: the thresholds in its spec decided which boxes are "
        "scored"
    )


def _refuse_others(options: ActionOptions, experiments: list[str]) -> None:
    name = experiments[0] if len(experiments) == 1 else "EXPERIMENT"
    for option, is_given in (
        ("--detach", options.detach),
        ("--then", options.then),
        ("--json", options.json),
        ("--all", options.everything),
    ):
        if is_given:
            raise UsageError(
                f"--on-host does not go with {option}: it waits for an inference and shows its scores",
                hint=f"taorunner inference {name} --min-score 0.001, then taorunner dataset evaluate {name}",
            )


def _print_scores(store: RunStore, record: RunRecord, truth: Path, split: str | None) -> None:
    from taorunner.console.pages.datasets.evaluation_view import print_evaluation
    from taorunner.runs.outputs.host_evaluation import score_run

    done = score_run(store, record, truth, split=split)
    print_evaluation(done, json=False, title=record.experiment, own=own_figure(store, record))


def own_figure(store: RunStore, record: RunRecord) -> tuple[str, str, float] | None:
    """What the network's newest evaluation of the same checkpoint says: the figure here, its name, and its value."""
    from taorunner.runs.state.lookup.run_metrics import metrics_of
    from taorunner.runs.state.resume_origin import records_of

    read = store.load_plan(record.id).arguments.values.get("checkpoint")
    for earlier in records_of(store, record.experiment, "evaluate"):
        if earlier.project != record.project or earlier.state is not RunState.SUCCEEDED:
            continue
        if store.load_plan(earlier.id).arguments.values.get("checkpoint") == read:
            metrics = metrics_of(store, earlier).last
            return next(((ours, own, metrics[own]) for ours, own in _OWN_NAMES if own in metrics), None)
    return None
