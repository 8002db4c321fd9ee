"""``projects``, ``validate``, ``schema``: the files of projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import (
    Invocation,
    JsonOption,
    ProjectOption,
    VerboseOption,
    WorkspaceOption,
    option,
)  # fmt: skip
from taorunner.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taorunner.project.workspace import Workspace


def register(app: typer.Typer) -> None:
    add_command(
        app, "projects", _projects, "List projects and their experiments", "taorunner projects",
        "taorunner projects parts",
    )  # fmt: skip
    add_command(
        app, "validate", _validate, "Find every error that can be known before a start",
        "taorunner validate", "taorunner validate parts --strict",
    )  # fmt: skip
    add_command(
        app, "schema", _schema, "Print the JSON Schemas", "taorunner schema > schema.json",
        "taorunner schema --of runs",
    )  # fmt: skip


def _projects(
    context: typer.Context,
    projects: Annotated[
        Optional[list[str]],
        typer.Argument(
            help="List the experiments of these: names or patterns", metavar="PROJECT", show_default=False
        ),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.projects_view import print_projects
    from taorunner.project.load import load_project

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    named = _projects_named(context.obj, root, projects or (), project)
    listed = [load_project(root, name) for name in named or root.project_names()]
    print_projects(listed, with_experiments=bool(named), json=json)
    if not listed and not json:
        typer.echo("no projects; taorunner init-project NAME makes one", err=True)
    return ExitCode.DONE


def _validate(
    context: typer.Context,
    projects: Annotated[
        Optional[list[str]],
        typer.Argument(
            help="Names or patterns; all projects by default",
            metavar="PROJECT",
            show_default=False,
        ),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    strict: Annotated[bool, option("--strict", "Treat warnings as errors")] = False,
    verbose: VerboseOption = False,
    json: JsonOption = False,
) -> int:
    from taorunner.cli.fast.validation import validate

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    names = _projects_named(context.obj, root, projects or (), project)
    is_verbose = verbose or context.obj.is_verbose
    quiet = context.obj.is_quiet
    return validate(root, names, strict=strict, verbose=is_verbose, json=json, is_quiet=quiet)()


def _projects_named(
    invocation: Invocation, workspace: Workspace, words: Sequence[str], project: str | None
) -> list[str]:
    """The projects that words and ``-p`` name, each once; none for all. Raises UsageError for an unknown one."""
    from taorunner.errors import UsageError
    from taorunner.planning.selection import matching
    from taorunner.text import did_you_mean, is_pattern, printable

    known = workspace.project_names()
    one = project or invocation.project
    if one:
        invocation.project_name(workspace, one)
    named = [
        name for word in words for name in (matching(word, known, "project") if is_pattern(word) else (word,))
    ]
    for name in named:
        if name not in known:
            meant = _meant(workspace, name)
            hint = meant or did_you_mean(name, known) or "taorunner init-project NAME makes one"
            raise UsageError(f'there is no project "{printable(name)}"', hint=hint)
    return list(dict.fromkeys([*named, *([one] if one else ())]))


def _meant(workspace: Workspace, word: str) -> str | None:
    """The command for a path in a project, or for an experiment."""
    from pathlib import Path

    from taorunner.cli.which_project import owners_of
    from taorunner.project.workspace import project_around

    path = Path(word)
    around = project_around(workspace, path) if "/" in word or word == "." or path.exists() else None
    if word == "." and around is None:
        return "taorunner validate checks all projects"
    owners = [around] if around is not None else owners_of(workspace, [word])
    if not owners:
        return None
    what = "is in" if around is not None else "is an experiment of"
    return f'"{word}" {what} "{owners[0]}": taorunner validate {owners[0]}'


def _schema(
    context: typer.Context,
    events: Annotated[bool, option("--events", "The events of train --json, one a line")] = False,
    of: Annotated[
        Optional[str],
        option("--of", "What --json prints: a shape or a command", word="SHAPE"),
    ] = None,
    clusters: Annotated[bool, option("--clusters", "The schema of clusters.yml")] = False,
    listed: Annotated[bool, option("--list", "List the shapes, with the commands that print them")] = False,
) -> int:
    import json

    context.obj.refuse_extra()
    if listed:
        return _list_shapes()
    chosen = [
        word
        for word, is_given in (("--events", events), ("--of", of is not None), ("--clusters", clusters))
        if is_given
    ]
    if len(chosen) > 1:
        from taorunner.errors import UsageError

        raise UsageError(f"{chosen[0]} cannot be combined with {chosen[1]}", hint="leave out one of them")
    if events or of is not None:
        schema = _shape("events" if events else str(of))
    elif clusters:
        from taorunner.project.clusters.cluster_schema import clusters_schema

        schema = clusters_schema()
    else:
        from taorunner.project.schema import experiments_schema

        schema = experiments_schema(context.obj.networks().names)
    typer.echo(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0


def _shape(name: str) -> object:
    """The schema of a shape; of a command all that it prints. Raises UsageError with the nearest name."""
    from taorunner.console.shapes.shapes import COMMANDS, shape_names, shape_schema
    from taorunner.errors import UsageError
    from taorunner.text import did_you_mean, printable

    command = " ".join(name.split()).removeprefix("taorunner ")
    if name in shape_names():
        return shape_schema(name)
    if command in COMMANDS:
        schemas = [shape_schema(one) for one in COMMANDS[command]]
        return schemas[0] if len(schemas) == 1 else schemas
    hint = did_you_mean(name, [*shape_names(), *COMMANDS]) or "taorunner schema --list"
    raise UsageError(f'there is no shape "{printable(name)}"', hint=hint)


def _list_shapes() -> int:
    from taorunner.console.shapes.shapes import COMMANDS, shape_names

    wide = max(map(len, shape_names()))
    for name in shape_names():
        commands = [command for command, shapes in COMMANDS.items() if name in shapes]
        text = ", ".join(commands) + (", every refusal" if name == "findings" else "")
        typer.echo(f"{name:{wide}}  {text}")
    return 0
