"""``sweep suggest``: a sweep for an experiment, as YAML for experiments.yml."""

from __future__ import annotations

from typing import Annotated

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import ProjectOption, WorkspaceOption
from taorunner.errors import ExitCode, UnknownNameError

_Experiment = Annotated[
    str, typer.Argument(help="Whose spec keys are varied", metavar="EXPERIMENT", show_default=False)
]


def register_suggest(group: typer.Typer) -> None:
    add_command(
        group, "suggest", _suggest, "Propose a sweep, to paste into experiments.yml",
        "taorunner sweep suggest rtdetr_01",
    )  # fmt: skip


def _suggest(
    context: typer.Context, experiment: _Experiment, project: ProjectOption = None,
    workspace: WorkspaceOption = None,
) -> int:  # fmt: skip
    import os
    import sys

    from taorunner.project.load import load_project
    from taorunner.sweeps.suggestion import MOST_AXES, suggest, yaml_of
    from taorunner.text import did_you_mean, printable

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    name = context.obj.project_name(root, project)
    loaded = load_project(root, name, os.environ)
    if experiment not in loaded.names:
        message = f'there is no experiment "{printable(experiment)}" in project "{name}"'
        raise UnknownNameError(message, hint=did_you_mean(experiment, loaded.names))
    found = suggest(root, name, experiment, os.environ)
    has_sweeps = bool(loaded.sweeps or loaded.draft_sweeps)
    sys.stdout.write(yaml_of(found, is_first=not has_sweeps))
    sys.stdout.flush()
    where = 'below "sweeps:" of' if has_sweeps else "at the end of"
    context.obj.note(
        f"paste it {where} projects/{name}/experiments.yml, and change it as you like; "
        f"taorunner sweep run {found.sweep.name} --dry-run shows what would be tried"
    )
    if found.more:
        context.obj.note(f"{len(found.more)} more keys are comments: more than {MOST_AXES} need more trials")
    if not found.is_listed:
        context.obj.note("NVIDIA has no list of keys for this network: these are usual ones of its spec")
    return ExitCode.DONE
