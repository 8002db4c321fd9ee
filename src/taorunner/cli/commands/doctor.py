"""``doctor``: checks this machine and suggests repairs."""

from __future__ import annotations

from pathlib import Path
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
)
from taorunner.errors import ExitCode, Finding, UserFilesError

if TYPE_CHECKING:
    from taorunner.doctor.host import Machine


def register(app: typer.Typer) -> None:
    add_command(
        app, "doctor", _doctor, "Check this machine and suggest repairs",
        "taorunner doctor", "taorunner doctor --only engine",
    )  # fmt: skip


def _doctor(
    context: typer.Context,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    offline: Annotated[bool, option("--offline", "Contact nothing outside this machine")] = False,
    only: Annotated[
        Optional[list[str]],
        option("--only", "Run only this check; may be repeated", word="NAME"),
    ] = None,
    verbose: VerboseOption = False,
    json: JsonOption = False,
) -> int:
    import os
    import sys

    from taorunner.doctor.runner import chosen, examine
    from taorunner.errors import has_errors

    context.obj.refuse_extra()
    checks = chosen(only or ())
    machine = _machine(context.obj, project, workspace, offline=offline)
    findings: list[Finding] = []
    if json:
        from taorunner.console.base.json_output import write_json

        for answer in examine(machine, checks):
            findings += answer.findings
        write_json([finding.to_json() for finding in findings], sys.stdout.buffer)
    else:
        from taorunner.console.base.theme import make_console
        from taorunner.console.pages.doctor_view import DoctorView

        is_verbose = verbose or context.obj.is_verbose
        view = DoctorView(make_console(sys.stdout, os.environ), with_infos=is_verbose)
        with view.waiting(is_quiet=context.obj.is_quiet):
            for answer in examine(machine, checks):
                findings += answer.findings
                view.show(answer.check.area.value, answer.findings)
        view.verdict(is_quiet=context.obj.is_quiet)
    machine.close()
    return ExitCode.MACHINE if has_errors(findings) else ExitCode.DONE


def _machine(invocation: Invocation, project: str | None, folder: Path | None, *, offline: bool) -> Machine:
    """With the needs of the workspace, if there is one. Outside of a workspace only the machine is checked."""
    import os

    from taorunner.doctor.host import Machine
    from taorunner.doctor.workspace_needs import find_needs

    named = project or invocation.project
    try:
        workspace = invocation.open_workspace(folder)
    except UserFilesError:
        if named:
            raise
        return Machine(os.environ, offline=offline)
    names = [invocation.project_name(workspace, named)] if named else workspace.project_names()
    needs = find_needs(workspace, names, os.environ)
    return Machine(os.environ, workspace=workspace, needs=needs, offline=offline)
