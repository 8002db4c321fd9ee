"""Completes the commands in hints, so that they mean the same workspace and project in the current folder.

Hints are written far below the command line, which alone knows the current folder. A command that works on a project
gets ``-p NAME`` if it would mean another project without it, or none; where it is not needed it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from taorunner.cli.where import project_option
from taorunner.errors import Finding, TaorunnerError

_PROGRAM = r"(?<![\w/-])taorunner "
_NAMED = r"(?:(?:-p|--project)[ =](?P<named>\S+) )?"
_OF_PROJECT = re.compile(
    _PROGRAM + _NAMED + r"(?P<rest>(?:convert|train|evaluate|prune|export|inference|resume|run|add|shell"
    r"|specs (?:show|diff|refresh)|pretrained pull|dataset (?:check|convert|split|resize|stats))\b[^\n;,`\"]*)"
)
_OF_WORKSPACE = re.compile(_PROGRAM + r"(?=(?:ps|logs|attach|stop|runs)\b)")
_NONE = "-"
"""The name of no project."""
_NAMED_LATER = re.compile(r" (?:-p|--project)[ =](?P<named>[\w.-]+)")


def completed(text: str, option: str, project: str | None) -> str:
    """``text`` with the options that its commands need and no others.

    ``option`` is that of ``where.project_option`` for ``project``. A command of another project is left as it is;
    without a project, every command that works on one.
    """
    place = option[: option.rindex("-p ")] if option else ""

    def with_project(match: re.Match[str]) -> str:
        rest = match["rest"]
        later = _NAMED_LATER.search(rest)
        named = match["named"] or (later and later["named"])
        if named not in (None, project):
            return match[0]
        if named is None and rest.startswith("dataset"):  # of a dataset by its path, or of none in particular
            return match[0]
        if later is not None:
            rest = rest[: later.start()] + rest[later.end() :]
        return f"taorunner {option}{rest}"

    if project is not None:
        text = _OF_PROJECT.sub(with_project, text)
    return _OF_WORKSPACE.sub(lambda _: f"taorunner {place}", text)


def completed_findings(findings: Iterable[Finding], root: Path, project: str | None) -> list[Finding]:
    """The same findings; a finding in a file of a project is of that project, any other one of ``project``.

    ``root`` is the folder of the workspace.
    """
    options: dict[str, str] = {}
    found = []
    for finding in findings:
        name = _project_of(finding, root) or project
        if finding.hint is not None and name is not None:
            if name not in options:
                options[name] = project_option(root, name)
            finding = replace(finding, hint=completed(finding.hint, options[name], name))
        found.append(finding)
    return found


def complete_error(error: TaorunnerError, root: Path, project: str | None) -> None:
    """Changes the hints of ``error`` and of its findings in place."""
    error.findings = tuple(completed_findings(error.findings, root, project))
    if error.hint is not None:
        error.hint = completed(error.hint, project_option(root, project or _NONE), project)


def _project_of(finding: Finding, root: Path) -> str | None:
    projects = root / "projects"
    if finding.file is None or not finding.file.is_relative_to(projects) or finding.file == projects:
        return None
    return finding.file.relative_to(projects).parts[0]
