"""``init-project``, ``validate``, ``schema``: what the user writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption
from taorunner.errors import ExitCode


def register(app: typer.Typer) -> None:
    app.command("init-project", help="Make a project that validates.")(_init_project)
    app.command("validate", help="Check everything that can be known without a GPU.")(_validate)
    app.command("schema", help="Print the JSON Schema of experiments.yml.")(_schema)


def _init_project(
    context: typer.Context,
    name: Annotated[
        Optional[str], typer.Argument(help="Name of the project.", metavar="NAME", show_default=False)
    ] = None,
    head: Annotated[
        Optional[str],
        typer.Option("--head", help="Network of the first experiment.", show_default="tinydet"),
    ] = None,
    backbone: Annotated[
        Optional[str],
        typer.Option("--backbone", help="Backbone of the first experiment.", show_default=False),
    ] = None,
    experiment: Annotated[
        Optional[str], typer.Option("--experiment", help="Name of the first experiment.", show_default=False)
    ] = None,
    dataset: Annotated[
        Optional[str],
        typer.Option("--dataset", help="Folder below data/ to train on.", show_default="train"),
    ] = None,
    from_launcher: Annotated[
        Optional[Path],
        typer.Option(
            help="Make it of a folder of spec files for the TAO launcher.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    mounts_file: Annotated[
        Optional[Path],
        typer.Option(
            help="The launcher's mounts, if not ~/.tao_mounts.json.", metavar="FILE", show_default=False
        ),
    ] = None,
    from_tao_runner: Annotated[
        Optional[Path],
        typer.Option(
            help="Make it of a checkout of the original tao-runner; all of its projects without NAME.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.errors import UsageError

    context.obj.refuse_extra()
    root = workspace or context.obj.workspace
    if from_launcher is not None and from_tao_runner is not None:
        raise UsageError("--from-launcher and --from-tao-runner do not go together", hint="make two projects")
    if mounts_file is not None and from_launcher is None:
        raise UsageError("--mounts-file belongs to --from-launcher", hint="add --from-launcher FOLDER")
    if name is None and from_tao_runner is None:
        raise UsageError("the name of the project is missing", hint="taorunner init-project NAME")
    if from_launcher is not None or from_tao_runner is not None:
        option = "--from-launcher" if from_launcher is not None else "--from-tao-runner"
        refused = {"--backbone": backbone, "--experiment": experiment, "--dataset": dataset}
        if from_tao_runner is not None:
            refused["--head"] = head
        for flag, value in refused.items():
            if value is not None:
                raise UsageError(
                    f"{flag} does not go with {option}", hint="change experiments.yml afterwards"
                )
        return _migrate(root, name, from_launcher, mounts_file, head, from_tao_runner)

    from taorunner.planning.new_project import new_project

    made = new_project(
        Path.cwd(),
        root,
        name or "",
        head=head or "tinydet",
        backbone=backbone,
        experiment=experiment,
        dataset=dataset or "train",
    )
    for path in made.files:
        typer.echo(f"made {path}")
    typer.echo(f"next: {made.next_step}", err=True)
    return 0


def _migrate(
    root: Path | None,
    name: str | None,
    launcher: Path | None,
    mounts_file: Path | None,
    head: str | None,
    checkout: Path | None,
) -> int:
    import os
    import sys

    from taorunner.console.error_text import print_findings
    from taorunner.console.theme import make_console
    from taorunner.errors import has_errors
    from taorunner.planning.migration import from_launcher, from_tao_runner

    if checkout is not None:
        moved = from_tao_runner(Path.cwd(), root, name, checkout, environ=os.environ)
    else:
        assert launcher is not None and name is not None
        moved = from_launcher(
            Path.cwd(), root, name, launcher, mounts_file=mounts_file, head=head, environ=os.environ
        )
    for path in moved.made:
        typer.echo(f"made {path}")
    if moved.findings:
        print_findings(make_console(sys.stderr, os.environ), moved.findings)
    typer.echo(f"next: {moved.next_step}", err=True)
    return ExitCode.USER_FILES if has_errors(moved.findings) else ExitCode.DONE


def _validate(
    context: typer.Context,
    projects: Annotated[
        Optional[list[str]],
        typer.Argument(help="Projects; all of them by default.", metavar="PROJECT", show_default=False),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
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
            hint = did_you_mean(name, root.project_names()) or f"projects are folders of {root.projects_dir}"
            raise UsageError(f'there is no project "{printable(name)}"', hint=hint)
    findings = validate_projects(root, names or root.project_names(), os.environ, strict=strict)
    if json:
        from taorunner.console.error_text import findings_json
        from taorunner.console.json_view import write_json

        write_json(findings_json(findings), sys.stdout.buffer)
    elif findings:
        from taorunner.console.error_text import print_findings
        from taorunner.console.theme import make_console

        print_findings(make_console(sys.stdout, os.environ), findings)
    else:
        checked = ", ".join(names or root.project_names()) or "no project yet"
        typer.echo(f"no problems in {checked}")
    return ExitCode.USER_FILES if has_errors(findings) else ExitCode.DONE


def _schema(context: typer.Context) -> int:
    import json

    from taorunner.project.schema import experiments_schema

    context.obj.refuse_extra()
    typer.echo(json.dumps(experiments_schema(context.obj.networks().names), indent=2, ensure_ascii=False))
    return 0
