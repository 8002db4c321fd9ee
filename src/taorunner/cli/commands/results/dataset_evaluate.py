"""``dataset evaluate``: scores boxes that a network predicted against a dataset, without a container."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer

from taorunner.cli.dataset_folders import check_format, dataset_folder
from taorunner.cli.help_pages import add_command
from taorunner.cli.long_work import cleaning_up
from taorunner.cli.options import FromOption, JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import UsageError


def register(group: typer.Typer) -> None:
    """``group`` is ``dataset``."""
    add_command(
        group, "evaluate", _evaluate, "Score predicted boxes against the labels of a dataset",
        "taorunner dataset evaluate labels --truth parts --split val",
    )  # fmt: skip


def _evaluate(
    context: typer.Context,
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Labels that an inference wrote, or COCO results",
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
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.datasets.evaluation_view import print_evaluation
    from taorunner.console.pages.datasets.result_view import Progress
    from taorunner.datasets.transform.archive_source import source_folder
    from taorunner.evaluation.run import evaluate_boxes

    context.obj.refuse_extra()
    check_format(from_)
    if truth is None:
        raise UsageError("--truth is missing", hint="--truth DATASET, the labelled images that were inferred")
    classes = _pairs(mapped or ())
    source, _ = dataset_folder(context.obj, truth, project, workspace)
    with (
        cleaning_up(dataset=truth),
        Progress(is_quiet=context.obj.is_quiet) as progress,
        source_folder(source, progress=progress) as read,
    ):
        done = evaluate_boxes(
            predictions.expanduser().absolute(), read.folder, from_=from_, split=split, mapped=classes,
            progress=progress,
        )  # fmt: skip
        done = read.result(done)
    print_evaluation(done, json=json)
    return 0


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
