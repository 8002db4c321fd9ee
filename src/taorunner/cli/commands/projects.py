"""``validate``, ``schema``: the files of projects."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import JsonOption, ProjectOption, VerboseOption, WorkspaceOption, option
from taorunner.errors import ExitCode


def register(app: typer.Typer) -> None:
    add_command(
        app, "validate", _validate, "Find every error that can be known before a start",
        "taorunner validate", "taorunner validate parts --strict",
    )  # fmt: skip
    add_command(
        app, "schema", _schema, "Print the JSON Schemas", "taorunner schema > schema.json",
        "taorunner schema --of runs",
    )  # fmt: skip


def _validate(
    context: typer.Context,
    projects: Annotated[
        Optional[list[str]],
        typer.Argument(help="Projects; all of them by default", metavar="PROJECT", show_default=False),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    strict: Annotated[bool, option("--strict", "Treat warnings as errors")] = False,
    verbose: VerboseOption = False,
    json: JsonOption = False,
) -> int:
    import os
    import sys

    from taorunner.errors import UsageError, has_errors
    from taorunner.planning.validate import validate_projects
    from taorunner.text import did_you_mean, printable

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    one = project or context.obj.project
    if one:
        context.obj.project_name(root, one)
    names = list(dict.fromkeys([*(projects or ()), *([one] if one else ())]))
    for name in projects or ():
        if name not in root.project_names():
            hint = did_you_mean(name, root.project_names()) or "taorunner init-project NAME makes one"
            raise UsageError(f'there is no project "{printable(name)}"', hint=hint)
    findings = validate_projects(root, names, os.environ, strict=strict)
    if json:
        from taorunner.console.base.findings_text import findings_json
        from taorunner.console.base.json_output import write_json

        write_json(findings_json(findings), sys.stdout.buffer)
    elif not findings:  # a line without styles: importing rich would take longer than checking a project
        from taorunner.console.base.formatting import no_problems_text

        print(no_problems_text(names or root.project_names()))
    else:
        from taorunner.console.base.theme import make_console
        from taorunner.console.base.validation_text import print_validation

        print_validation(
            make_console(sys.stdout, os.environ), findings, names or root.project_names(),
            with_infos=verbose or context.obj.is_verbose, is_quiet=context.obj.is_quiet,
        )  # fmt: skip
    return ExitCode.USER_FILES if has_errors(findings) else ExitCode.DONE


def _schema(
    context: typer.Context,
    events: Annotated[bool, option("--events", "The events of train --json, one a line")] = False,
    of: Annotated[
        Optional[str],
        option("--of", "What --json prints: a shape or a command", word="SHAPE"),
    ] = None,
    listed: Annotated[bool, option("--list", "List the shapes, with the commands that print them")] = False,
) -> int:
    import json

    context.obj.refuse_extra()
    if listed:
        return _list_shapes()
    if events and of is not None:
        from taorunner.errors import UsageError

        raise UsageError("--events cannot be combined with --of", hint="leave out one of them")
    if events or of is not None:
        schema = _shape("events" if events else str(of))
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
