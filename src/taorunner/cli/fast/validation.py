"""``validate``, answered without importing Typer: that takes as long as checking a project does.

``quick`` reads plain command lines. Every other line and every refusal goes to the full command line, which calls the
same function. What is checked is known before anything is printed, so that no failure prints it twice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from taorunner.errors import ExitCode, has_errors

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from taorunner.errors import Finding
    from taorunner.planning.model.looked_at import LookedAt
    from taorunner.project.workspace import Workspace

_SWITCHES = frozenset({"--strict", "--json", "--verbose", "-v"})


def validate(
    workspace: Workspace,
    names: Sequence[str],
    *,
    strict: bool,
    verbose: bool,
    json: bool,
    is_quiet: bool = False,
) -> Callable[[], int]:
    """Checks the named projects, all without a name. Returns what prints the findings and gives the exit code. Raises
    TaorunnerError."""
    from taorunner.planning.validate import validate_projects

    looked_at: list[LookedAt] = []
    findings = validate_projects(workspace, names, os.environ, strict=strict, looked_at=looked_at.append)
    swept = [one.project for one in looked_at if one.sweeps]
    if swept:
        from taorunner.sweeps.checks.validation import with_sweeps  # few projects have them

        findings = with_sweeps(workspace, swept, os.environ, findings, strict=strict)
    printed = partial(_print, findings, looked_at, workspace.root)
    return partial(printed, json=json, verbose=verbose, is_quiet=is_quiet)


def _print(
    findings: Sequence[Finding], looked_at: Sequence[LookedAt], root: Path, *,
    json: bool, verbose: bool, is_quiet: bool,
) -> int:  # fmt: skip
    if json:
        from taorunner.console.base.findings_text import findings_json
        from taorunner.console.base.json_output import write_json
        from taorunner.console.base.typed_commands import hints_as_typed

        write_json(findings_json(hints_as_typed(findings)), sys.stdout.buffer)
    elif not findings:  # lines without styles: importing rich would take longer than checking a project
        from taorunner.console.base.formatting import NO_PROBLEMS, NO_PROJECT, looked_at_lines

        if not is_quiet:
            print("".join(f"{line}\n" for line in looked_at_lines(looked_at)), end="")
        print(NO_PROBLEMS if looked_at else NO_PROJECT)
    else:
        from taorunner.console.base.theme import make_console
        from taorunner.console.base.validation_text import print_validation

        print_validation(
            make_console(sys.stdout, os.environ), findings, looked_at, workspace=root,
            with_infos=verbose, is_quiet=is_quiet,
        )  # fmt: skip
    return ExitCode.USER_FILES if has_errors(findings) else ExitCode.DONE


def quick(argv: Sequence[str]) -> Callable[[], int] | None:
    """What prints and gives the exit code. None when the full command line must answer: ``argv`` is more than
    ``validate``, names of projects and switches, or it is refused."""
    words = argv[1:]
    switches = {word for word in words if word.startswith("-")}
    names = list(dict.fromkeys(word for word in words if word not in switches))
    if list(argv[:1]) != ["validate"] or not switches <= _SWITCHES:
        return None
    try:
        from taorunner.project.workspace import find_workspace

        workspace = find_workspace(Path.cwd(), None, os.environ)
        if not set(names) <= set(workspace.project_names()):
            return None
        return validate(
            workspace, names, strict="--strict" in switches, json="--json" in switches,
            verbose=not switches.isdisjoint({"--verbose", "-v"}),
        )  # fmt: skip
    except Exception:  # the full command line meets it again and reports it
        return None
