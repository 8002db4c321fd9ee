"""``evaluate --on-host``: an inference with a low threshold, scored here against the labels of the dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.errors import ExitCode, UsageError, UserFilesError
from taorunner.text import printable

if TYPE_CHECKING:
    from taorunner.cli.action_options import ActionOptions
    from taorunner.cli.options import Invocation
    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

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
        record = _newest(store, *pair)
        labels = store.load_plan(record.id).results_dir / "inference"
        _print_scores(record, labels, truth, options.split)
    return ExitCode.DONE


def _refuse_others(options: ActionOptions) -> None:
    for option, is_given in (
        ("--detach", options.detach),
        ("--then", options.then),
        ("--json", options.json),
    ):
        if is_given:
            raise UsageError(
                f"--on-host does not go with {option}: it waits for an inference and shows its scores",
                hint="taorunner inference EXPERIMENT --min-score 0.001, then taorunner dataset evaluate",
            )


def _newest(store: RunStore, project: str, experiment: str) -> RunRecord:
    from taorunner.runs.state.record import RunRecord

    found = [
        record
        for record in store.listed()
        if isinstance(record, RunRecord)
        and (record.project, record.experiment, record.action) == (project, experiment, "inference")
    ]
    return max(found, key=lambda record: record.id)


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


def _print_scores(record: RunRecord, labels: Path, truth: Path, split: str | None) -> None:
    from taorunner.console.pages.datasets.evaluation_view import print_evaluation
    from taorunner.evaluation.run import evaluate_boxes
    from taorunner.runs.results import CLOCK_SLACK_S

    started = record.started_at or record.queued_at
    done = evaluate_boxes(labels, truth, split=split, since_s=started.timestamp() - CLOCK_SLACK_S)
    print_evaluation(done, json=False, title=record.experiment)
