"""``dataset evaluate``: scores boxes that a network predicted against a dataset, without a container."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.dataset_folders import check_format, dataset_folder
from taorunner.cli.help_pages import add_command
from taorunner.cli.long_work import cleaning_up
from taorunner.cli.options import FromOption, JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import UsageError

if TYPE_CHECKING:
    from taorunner.cli.options import Invocation
    from taorunner.evaluation.result import Evaluation
    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore


def register(group: typer.Typer) -> None:
    """``group`` is ``dataset``."""
    add_command(
        group, "evaluate", _evaluate, "Score predictions against the labels of a dataset",
        "taorunner dataset evaluate labels --truth parts --split val",
    )  # fmt: skip


def _evaluate(
    context: typer.Context,
    predictions: Annotated[
        list[Path],
        typer.Argument(
            help="What an inference wrote, COCO results, a run",
            metavar="PREDICTIONS",
            show_default=False,
        ),
    ],
    truth: Annotated[
        Optional[str],
        option("--truth", "Compare with this dataset: a folder, archive, or name", word="DATASET"),
    ] = None,
    from_: FromOption = None,
    split: Annotated[Optional[str], option("--split", "Compare with this subset only", word="NAME")] = None,
    mapped: Annotated[
        Optional[list[str]],
        option("--map", "Take a predicted class for one of the dataset", word="PREDICTED=CLASS"),
    ] = None,
    gallery: Annotated[
        Optional[Path], option("--gallery", "Draw the worst images on an HTML page", word="FILE")
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", "Replace the page")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.datasets.evaluation_view import print_evaluation
    from taorunner.console.pages.datasets.side_by_side_view import print_side_by_side
    from taorunner.evaluation.gallery import check_free

    context.obj.refuse_extra()
    check_format(from_)
    ask = _Asked(context.obj, truth, from_, split, _pairs(mapped or ()), project, workspace)
    if len(predictions) > 1:
        if gallery is not None:
            raise UsageError("--gallery draws one evaluation", hint="give one PREDICTIONS with it")
        found = [(_title(one), ask.evaluation(one)) for one in predictions]
        print_side_by_side(found, json=json)
        return 0
    if gallery is not None:
        check_free(gallery, overwrite=overwrite)
    done = ask.evaluation(predictions[0], partial(_draw, gallery, overwrite=overwrite))
    print_evaluation(done, json=json)
    if gallery is not None:
        from taorunner.console.base.formatting import shown_path

        context.obj.note(f"made {shown_path(gallery.absolute(), Path.cwd())}")
    return 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed besides the predictions."""

    invocation: Invocation
    truth: str | None
    from_: str | None
    split: str | None
    classes: dict[str, str]
    project: str | None
    workspace: Path | None

    def evaluation(
        self, predictions: Path, draw: Callable[[Evaluation], None] = lambda done: None
    ) -> Evaluation:
        """``draw`` gets it while the dataset is there."""
        from taorunner.console.pages.datasets.result_view import Progress
        from taorunner.datasets.transform.archive_source import source_folder
        from taorunner.evaluation.run import evaluate_predictions

        place = predictions.expanduser()
        found = (
            None if place.exists() else _inference(self.invocation, predictions, self.project, self.workspace)
        )
        if found is not None:
            done = self._of_run(*found)
            draw(done)
            return done
        if self.truth is None:
            raise UsageError(
                "--truth is missing", hint="--truth DATASET, the labelled images that were inferred"
            )
        source, _ = dataset_folder(self.invocation, self.truth, self.project, self.workspace)
        with (
            cleaning_up(dataset=self.truth),
            Progress(is_quiet=self.invocation.is_quiet) as progress,
            source_folder(source, progress=progress) as read,
        ):
            done = evaluate_predictions(
                place.absolute(), read.folder, from_=self.from_, split=self.split, mapped=self.classes,
                progress=progress,
            )  # fmt: skip
            draw(done)
            made: Evaluation = read.result(done)
        return made

    def _of_run(self, place: Workspace, store: RunStore, record: RunRecord) -> Evaluation:
        from taorunner.console.pages.datasets.result_view import Progress
        from taorunner.runs.outputs.host_evaluation import score_run, truth_of

        folder = truth_of(place, record.project, record.experiment, self.truth)
        with (
            cleaning_up(dataset=str(folder)),
            Progress(is_quiet=self.invocation.is_quiet) as progress,
        ):
            return score_run(
                store,
                record,
                folder,
                from_=self.from_,
                split=self.split,
                mapped=self.classes,
                progress=progress,
            )


def _title(predictions: Path) -> str:
    """The folder that says most of where the predictions came from."""
    parts = [part for part in predictions.parts if part not in ("inference", "trt_inference", "labels")]
    return parts[-1] if parts else predictions.name


def _inference(
    invocation: Invocation, word: Path, project: str | None, workspace: Path | None
) -> tuple[Workspace, RunStore, RunRecord] | None:
    """The inference that ``word`` means: a run, or the newest one of an experiment; None where it means none."""
    import os

    from taorunner.errors import TaorunnerError
    from taorunner.project.workspace import find_workspace, nearest_project
    from taorunner.runs.comparison.chosen import chosen_runs
    from taorunner.runs.state.store import RunStore

    try:
        place = find_workspace(Path.cwd(), workspace, os.environ)
    except TaorunnerError:
        return None
    store = RunStore(place.state_dir)
    within = project or invocation.project
    near = nearest_project(place, Path.cwd(), os.environ)
    try:
        (record,) = chosen_runs(store, [str(word)], "inference", within, near)
    except (TaorunnerError, ValueError):
        return None
    return place, store, record


def _draw(path: Path | None, done: Evaluation, *, overwrite: bool) -> None:
    if path is None or done.data.folder is None:
        return
    from taorunner.evaluation.gallery import write_gallery

    write_gallery(path.absolute(), done, Path(done.data.folder), overwrite=overwrite)


def _pairs(words: Sequence[str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for word in words:
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise UsageError(f'--map "{word}" has no form PREDICTED=CLASS', hint="--map car=vehicle")
        if old in made and made[old] != new:
            raise UsageError(f'--map gives "{old}" two classes: "{made[old]}" and "{new}"', hint="give one")
        made[old] = new
    return made
