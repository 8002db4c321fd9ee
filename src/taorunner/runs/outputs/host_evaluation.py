"""Scores what an inference wrote against a dataset, on this machine, and keeps the figures with the run.

Only files that this very run wrote are scored, by the times of the files and of the runs that share its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from taorunner.errors import RunStateError, UsageError, UserFilesError
from taorunner.evaluation.predictions import Written
from taorunner.evaluation.result import Evaluation
from taorunner.evaluation.run import evaluate_predictions
from taorunner.events import RunState
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.runs.outputs.run_times import began_at
from taorunner.runs.outputs.scan import results_folder
from taorunner.runs.results import CLOCK_SLACK_S
from taorunner.runs.state.host_figures import may_have_figures, save_evaluation
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.resume_origin import records_of
from taorunner.runs.state.store import RunStore
from taorunner.text import printable


def truth_of(workspace: Workspace, project: str, experiment: str, named: str | None) -> Path:
    """The dataset to compare with; of the experiment's own, the folder above its subsets, of which those inferred
    count.

    Raises UserFilesError where the experiment has none, UsageError where there is no such dataset.
    """
    dataset = named
    if dataset is None:
        known = load_project(workspace, project).experiments.get(experiment)
        if known is None or known.dataset is None:
            raise UserFilesError(
                f'"{printable(experiment)}" has no dataset to compare with', hint="name it: --truth DATASET"
            )
        dataset = known.dataset.partition("/")[0]
    truth = workspace.project(project).dataset_dir(dataset)
    if named is not None and not truth.is_dir():
        truth = Path(named).expanduser().absolute()
    if not truth.is_dir():
        hint = "--truth takes a name below data/, or a folder"
        raise UsageError(f'there is no dataset "{printable(dataset)}"', hint=hint)
    return truth


def score_run(
    store: RunStore,
    record: RunRecord,
    truth: Path,
    *,
    from_: str | None = None,
    split: str | None = None,
    mapped: Mapping[str, str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """The evaluation of what the run wrote; from then on its figures are metrics of the run (``host/AP50``).

    Raises:
        RunStateError: it is no inference that succeeded, or another one ran beside it in the same folder.
        UserFilesError: nothing can be compared; what it wrote is not there any more.
    """
    short = store.short_id(record.id)
    if not may_have_figures(record.action):
        raise RunStateError(
            f"run {short} is no inference: it has no predictions to score",
            hint=f"taorunner evaluate {printable(record.experiment)} --on-host",
        )
    if record.state is not RunState.SUCCEEDED:
        raise RunStateError(
            f"run {short} has not succeeded: its predictions are not whole",
            hint=f"taorunner runs show {short}",
        )
    plan = store.load_plan(record.id)
    since_s, until_s = written_between(store, record)
    done = evaluate_predictions(
        results_folder(plan), truth, from_=from_, split=split, mapped=mapped,
        written=Written(plan.results_dir, since_s, until_s), progress=progress,
    )  # fmt: skip
    save_evaluation(store, record.id, done.to_json())
    return done


def written_between(store: RunStore, record: RunRecord) -> tuple[float, float]:
    """When its files were written: none while another inference of the experiment ran, which writes the same names."""
    began, ended = began_at(record), record.finished_at
    if ended is None:
        raise RunStateError(f"run {store.short_id(record.id)} has no end on record")
    since_s, until_s = began.timestamp() - CLOCK_SLACK_S, ended.timestamp() + CLOCK_SLACK_S
    for other in records_of(store, record.experiment, record.action):
        if other.id == record.id or other.results_dir != record.results_dir or other.started_at is None:
            continue
        if other.started_at >= ended:
            until_s = min(until_s, other.started_at.timestamp())
        elif other.finished_at is not None and other.finished_at <= began:
            since_s = max(since_s, other.finished_at.timestamp())
        else:
            raise RunStateError(
                f"run {store.short_id(other.id)} wrote into the same folder beside {store.short_id(record.id)}: "
                "which predictions are whose is not known",
                hint=f"run one after the other: taorunner evaluate {printable(record.experiment)} --on-host",
            )
    return since_s, until_s
