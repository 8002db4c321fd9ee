"""``evaluate --on-host``: an inference with a low threshold, scored here against the labels of the dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.errors import ExitCode, UsageError, UserFilesError
from taorunner.events import RunState
from taorunner.text import printable

if TYPE_CHECKING:
    from taorunner.cli.action_options import ActionOptions
    from taorunner.cli.options import Invocation
    from taorunner.planning.model.plan import RunPlan
    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

_OWN_NAMES = (("AP50", "test_mAP50"), ("AP", "test_mAP"))
"""Figures of the same protocol, here and in the evaluation of networks that use COCO's."""
LOWEST_SCORE = 0.001
"""Boxes below a threshold are missing from the curve: TAO's 0.5 costs several points of AP (``docs/evaluation.md``)."""


def evaluate_on_host(
    invocation: Invocation,
    experiments: list[str],
    options: ActionOptions,
    infer: Callable[[ActionOptions], int],
) -> int:
    """Runs the inference of each experiment by ``infer``, then scores what they wrote. Returns the exit code.

    Raises UsageError for options that do not go with it, UserFilesError where nothing can be scored.
    """
    from taorunner.cli.experiment_words import orders_of
    from taorunner.evaluation.scoring import check_library
    from taorunner.planning.model.request import ActionRequest
    from taorunner.runs.state.store import RunStore

    _refuse_others(options)
    score = LOWEST_SCORE if options.min_score is None else options.min_score
    low = replace(options, on_host=False, min_score=score)
    if options.dry_run or not experiments:
        return infer(low)
    check_library()
    workspace = invocation.open_workspace(options.workspace)
    request = ActionRequest(action="inference", experiments=tuple(dict.fromkeys(experiments)))
    orders = orders_of(invocation, workspace, request, experiments, project=options.project, everything=False)
    pairs = [(order.project, name) for order in orders for name in order.request.experiments]
    truths = {pair: _truth(workspace, *pair, options.truth) for pair in pairs}
    code = infer(low)
    if code != ExitCode.DONE:
        return code
    store = RunStore(workspace.state_dir)
    for pair, truth in truths.items():
        record = _newest_first(store, *pair, "inference")[0]
        _print_scores(store, record, truth, options.split)
    return ExitCode.DONE


def _refuse_others(options: ActionOptions) -> None:
    for option, is_given in (
        ("--detach", options.detach),
        ("--then", options.then),
        ("--json", options.json),
        ("--all", options.everything),
    ):
        if is_given:
            raise UsageError(
                f"--on-host does not go with {option}: it waits for an inference and shows its scores",
                hint="taorunner inference EXPERIMENT --min-score 0.001, then taorunner dataset evaluate",
            )


def _newest_first(store: RunStore, project: str, experiment: str, action: str) -> list[RunRecord]:
    from taorunner.runs.state.record import RunRecord

    found = [
        record
        for record in store.listed()
        if isinstance(record, RunRecord)
        and (record.project, record.experiment, record.action) == (project, experiment, action)
    ]
    return sorted(found, key=lambda record: record.id, reverse=True)


def _truth(workspace: Workspace, project: str, experiment: str, named: str | None) -> Path:
    """The dataset to compare with; of the experiment's own, the folder above its subsets, of which those inferred
    count."""
    from taorunner.project.load import load_project

    dataset = named
    if dataset is None:
        dataset = load_project(workspace, project).experiments[experiment].dataset
        if dataset is None:
            raise UserFilesError(
                f'"{experiment}" has no dataset to compare with', hint="name it: --truth DATASET"
            )
        dataset = dataset.partition("/")[0]
    truth = workspace.project(project).dataset_dir(dataset)
    if named is not None and not truth.is_dir():
        truth = Path(named).expanduser().absolute()
    if not truth.is_dir():
        hint = "--truth takes a name below data/, or a folder"
        raise UsageError(f'there is no dataset "{printable(dataset)}"', hint=hint)
    return truth


def _print_scores(store: RunStore, record: RunRecord, truth: Path, split: str | None) -> None:
    """Also keeps them as ``evaluation.json`` in the folder of the run."""
    from taorunner.atomic_files import write_json
    from taorunner.console.pages.datasets.evaluation_view import print_evaluation
    from taorunner.evaluation.run import evaluate_boxes
    from taorunner.runs.results import CLOCK_SLACK_S

    plan = store.load_plan(record.id)
    started = record.started_at or record.queued_at
    done = evaluate_boxes(
        plan.results_dir / "inference",
        truth,
        split=split,
        since_s=started.timestamp() - CLOCK_SLACK_S,
        root=plan.results_dir,
    )
    write_json(store.paths(record.id).directory / "evaluation.json", done.to_json())
    own = _own_figure(store, record, plan)
    print_evaluation(done, json=False, title=record.experiment, own=own)


def _own_figure(store: RunStore, record: RunRecord, plan: RunPlan) -> tuple[str, str, float] | None:
    """What the network's newest evaluation of the same checkpoint says: the figure here, its name, and its value."""
    from taorunner.runs.state.lookup.run_metrics import metrics_of

    for earlier in _newest_first(store, record.project, record.experiment, "evaluate"):
        read = store.load_plan(earlier.id).arguments.values.get("checkpoint")
        if earlier.state is RunState.SUCCEEDED and read == plan.arguments.values.get("checkpoint"):
            metrics = metrics_of(store, earlier).last
            return next(((ours, own, metrics[own]) for ours, own in _OWN_NAMES if own in metrics), None)
    return None
