"""``validate``, ``schema``: the files of projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import JsonOption, ProjectOption, VerboseOption, WorkspaceOption, option
from taorunner.errors import ExitCode

if TYPE_CHECKING:
    from taorunner.planning.model.looked_at import LookedAt


def register(app: typer.Typer) -> None:
    add_command(
        app, "validate", _validate, "Find every error that can be known before a start",
        "taorunner validate", "taorunner validate parts --strict",
    )  # fmt: skip
    add_command(
        app, "schema", _schema, "Print the JSON Schema of experiments.yml", "taorunner schema > schema.json"
    )


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
    looked_at: list[LookedAt] = []
    findings = validate_projects(root, names, os.environ, strict=strict, looked_at=looked_at.append)
    is_verbose = verbose or context.obj.is_verbose
    if json:
        from taorunner.console.base.findings_text import findings_json
        from taorunner.console.base.json_output import write_json

        write_json(findings_json(findings), sys.stdout.buffer)
    elif not findings:  # lines without styles: importing rich would take longer than checking a project
        from taorunner.console.base.formatting import NO_PROBLEMS, NO_PROJECT, looked_at_lines

        if not context.obj.is_quiet:
            print("".join(f"{line}\n" for line in looked_at_lines(looked_at)), end="")
        print(NO_PROBLEMS if looked_at else NO_PROJECT)
    else:
        from taorunner.console.base.theme import make_console
        from taorunner.console.base.validation_text import print_validation

        print_validation(
            make_console(sys.stdout, os.environ), findings, looked_at, workspace=root.root,
            with_infos=is_verbose, is_quiet=context.obj.is_quiet,
        )  # fmt: skip
    return ExitCode.USER_FILES if has_errors(findings) else ExitCode.DONE


def _schema(context: typer.Context) -> int:
    import json

    from taorunner.project.schema import experiments_schema

    context.obj.refuse_extra()
    typer.echo(json.dumps(experiments_schema(context.obj.networks().names), indent=2, ensure_ascii=False))
    return 0
