"""``init-project``, ``validate``, ``schema``: what the user writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import Invocation, JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode


def register(app: typer.Typer) -> None:
    add_command(
        app, "init-project", _init_project, "Create a project, empty or from what another tool left",
        "taorunner init-project parts --head rtdetr",
        "taorunner init-project old --from-launcher ~/tao/specs",
    )  # fmt: skip
    add_command(
        app, "validate", _validate, "Find every error that can be known before a start",
        "taorunner validate", "taorunner validate parts --strict",
    )  # fmt: skip
    add_command(
        app, "schema", _schema, "Print the JSON Schema of experiments.yml", "taorunner schema > schema.json"
    )


def _init_project(
    context: typer.Context,
    name: Annotated[
        Optional[str], typer.Argument(help="Name of the project", metavar="NAME", show_default=False)
    ] = None,
    head: Annotated[
        Optional[str],
        option("--head", "Network of the first experiment", word="HEAD", default="tinydet"),
    ] = None,
    backbone: Annotated[
        Optional[str],
        option("--backbone", "Backbone of the first experiment", word="BACKBONE"),
    ] = None,
    experiment: Annotated[
        Optional[str], option("--experiment", "Name of the first experiment", word="NAME")
    ] = None,
    dataset: Annotated[
        Optional[str],
        option("--dataset", "Folder below data/ to train on", word="NAME", default="train"),
    ] = None,
    from_launcher: Annotated[
        Optional[Path],
        option("--from-launcher", "Import spec files of the TAO launcher", word="DIR"),
    ] = None,
    mounts_file: Annotated[
        Optional[Path],
        option("--mounts-file", "The launcher's mounts [default: ~/.tao_mounts.json]", word="FILE"),
    ] = None,
    from_tao_runner: Annotated[
        Optional[Path],
        option("--from-tao-runner", "Import a tao-runner checkout; all of it without NAME", word="DIR"),
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
        return _migrate(context.obj, root, name, from_launcher, mounts_file, head, from_tao_runner)

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
    context.obj.note(f"next: {made.next_step}")
    return 0


def _migrate(
    invocation: Invocation,
    root: Path | None,
    name: str | None,
    launcher: Path | None,
    mounts_file: Path | None,
    head: str | None,
    checkout: Path | None,
) -> int:
    import os
    import sys

    from taorunner.console.base.findings_text import print_findings
    from taorunner.console.base.theme import make_console
    from taorunner.errors import has_errors
    from taorunner.importers.import_project import from_launcher, from_tao_runner

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
    invocation.note(f"next: {moved.next_step}")
    return ExitCode.USER_FILES if has_errors(moved.findings) else ExitCode.DONE


def _validate(
    context: typer.Context,
    projects: Annotated[
        Optional[list[str]],
        typer.Argument(help="Projects; all of them by default", metavar="PROJECT", show_default=False),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    strict: Annotated[bool, option("--strict", "Treat warnings as errors")] = False,
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
    findings = validate_projects(root, names, os.environ, strict=strict)
    if json:
        from taorunner.console.base.findings_text import findings_json
        from taorunner.console.base.json_output import write_json

        write_json(findings_json(findings), sys.stdout.buffer)
    elif findings:
        from taorunner.console.base.findings_text import print_findings
        from taorunner.console.base.theme import make_console

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
