"""``bundle``: an exported model as a folder to hand over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, UnknownNameError, UsageError
from taorunner.text import did_you_mean, printable

if TYPE_CHECKING:
    from taorunner.handover.bundle import Bundle
    from taorunner.handover.model import Use

USES = ("deepstream", "onnx", "triton")


def register(app: typer.Typer) -> None:
    add_command(
        app, "bundle", _bundle, "Pack an exported model to hand it over",
        "taorunner bundle rtdetr_01 --for deepstream", "taorunner bundle rtdetr_01 --for triton -o models_repository",
    )  # fmt: skip


def _bundle(
    context: typer.Context,
    experiment: Annotated[str, typer.Argument(help="Its newest export is packed", metavar="EXPERIMENT")],
    use: Annotated[str, option("--for", "Runs it: deepstream, triton or onnx", word="USE")] = "onnx",
    output: Annotated[
        Optional[Path],
        option("--output", "-o", "Folder or .zip [default: models/EXPERIMENT.bundle-USE]", word="DIR"),
    ] = None,
    no_check: Annotated[bool, option("--no-check", "Do not run the model on images")] = False,
    overwrite: Annotated[bool, option("--overwrite", "Replace an earlier bundle")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.base.json_output import write_json
    from taorunner.handover.bundle import make_bundle
    from taorunner.project.load import load_project
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    wanted = _use(use)
    place = context.obj.open_workspace(workspace)
    name = context.obj.project_name(place, project, [experiment])
    paths, known = place.project(name), load_project(place, name).experiments
    if experiment not in known:
        problem = f'there is no experiment "{printable(experiment)}" in project "{name}"'
        raise UnknownNameError(problem, hint=did_you_mean(experiment, known))
    folder = (
        output.expanduser().absolute() if output is not None else paths.bundle_dir(experiment, wanted.value)
    )
    made = make_bundle(
        RunStore(place.state_dir),
        place,
        name,
        experiment,
        wanted,
        folder,
        overwrite=overwrite,
        checks=not no_check,
    )
    if json:
        write_json(made.to_json(), sys.stdout.buffer)
    else:
        _print(made, name)
    return ExitCode.DONE


def _use(word: str) -> Use:
    from taorunner.handover.model import Use

    if word not in USES:
        raise UsageError(f'--for takes {", ".join(USES)}, not "{word}"', hint=did_you_mean(word, USES))
    return Use(word)


def _print(made: Bundle, project: str) -> None:
    from taorunner.console.base.formatting import clean, shown_path
    from taorunner.text import amount, size

    total = sum(one.bytes for one in made.files)
    where = clean(shown_path(made.place, Path.cwd()))
    typer.echo(f"wrote {where}: {amount(len(made.files), 'file')}, {size(total)}")
    checked = made.checked
    if checked.state == "passed":
        typer.echo(
            f"checked: {checked.agree} of {checked.boxes} boxes on {amount(checked.images, 'image')} are those that "
            f"TAO's inference wrote, at most {checked.farthest_px:.2f} pixels apart"
        )
        return
    typer.echo(f"not checked: {clean(checked.reason)}")
    if made.command:
        command = (
            made.command if made.command.startswith("pip ") else f"taorunner -p {project} {made.command}"
        )
        typer.echo(f"to check it: {clean(command)}, then the same command with --overwrite")
