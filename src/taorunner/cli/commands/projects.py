"""``init-project``, ``validate``, ``schema``: the files of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import (
    Invocation,
    JsonOption,
    ProjectOption,
    VerboseOption,
    WorkspaceOption,
    option,
)
from taorunner.errors import ExitCode


def register(app: typer.Typer) -> None:
    add_command(
        app, "init-project", _init_project, "Create a project, new or from another tool's files",
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
    from taorunner.planning.new_project import new_project

    context.obj.refuse_extra()
    root = workspace or context.obj.workspace
    _refuse_options(name, from_launcher, mounts_file, from_tao_runner)
    if from_launcher is not None or from_tao_runner is not None:
        new_only = {"--backbone": backbone, "--experiment": experiment, "--dataset": dataset}
        if from_tao_runner is not None:
            new_only["--head"] = head
        _refuse_new_only(new_only, "--from-tao-runner" if from_launcher is None else "--from-launcher")
        return _import(context.obj, root, name, from_launcher, mounts_file, head, from_tao_runner)
    made = new_project(
        Path.cwd(), root, name or "", head=head or "tinydet", backbone=backbone, experiment=experiment,
        dataset=dataset or "train",
    )  # fmt: skip
    for path in made.files:
        typer.echo(f"made {path}")
    context.obj.note(f"next: {made.next_step}")
    return 0


def _refuse_options(
    name: str | None, launcher: Path | None, mounts_file: Path | None, checkout: Path | None
) -> None:
    """Raises UsageError for options that exclude each other and for a missing name."""
    from taorunner.errors import UsageError

    if launcher is not None and checkout is not None:
        raise UsageError(
            "--from-launcher cannot be combined with --from-tao-runner", hint="make two projects"
        )
    if mounts_file is not None and launcher is None:
        raise UsageError("--mounts-file needs --from-launcher", hint="add --from-launcher DIR")
    if name is None and checkout is None:
        raise UsageError("the name of the project is missing", hint="taorunner init-project NAME")


def _refuse_new_only(given: dict[str, str | None], option: str) -> None:
    """Raises UsageError for an option of new projects that stands beside ``option``, an import."""
    from taorunner.errors import UsageError

    for flag, value in given.items():
        if value is not None:
            raise UsageError(
                f"{flag} cannot be combined with {option}", hint="change experiments.yml afterwards"
            )


def _import(
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
        imported = from_tao_runner(Path.cwd(), root, name, checkout, environ=os.environ)
    else:
        assert launcher is not None and name is not None
        imported = from_launcher(
            Path.cwd(), root, name, launcher, mounts_file=mounts_file, head=head, environ=os.environ
        )
    for path in imported.made:
        typer.echo(f"made {path}")
    if imported.findings:
        print_findings(make_console(sys.stderr, os.environ), imported.findings)
    invocation.note(f"next: {imported.next_step}")
    return ExitCode.USER_FILES if has_errors(imported.findings) else ExitCode.DONE


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


def _schema(context: typer.Context) -> int:
    import json

    from taorunner.project.schema import experiments_schema

    context.obj.refuse_extra()
    typer.echo(json.dumps(experiments_schema(context.obj.networks().names), indent=2, ensure_ascii=False))
    return 0
