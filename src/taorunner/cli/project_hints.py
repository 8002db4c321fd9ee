"""Completes the commands in hints, so that they mean the same workspace and project from where the person stands.

Hints are written far below the command line, where nobody knows the current folder. A command that works on a project
gets ``-p NAME`` if it would mean another project without it, or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from taorunner.cli.where import project_option
from taorunner.errors import Finding, TaorunnerError

_PROGRAM = r"(?<![\w/-])taorunner "
_OF_PROJECT = re.compile(
    _PROGRAM
    + r"(?=(?:convert|train|evaluate|prune|export|inference|resume|run|add|shell|specs (?:show|diff|refresh)"
    r"|pretrained pull)\b)([^\n;,`\"]*)"
)
_OF_WORKSPACE = re.compile(_PROGRAM + r"(?=(?:ps|logs|attach|stop|runs)\b)")
_HAS_PROJECT = re.compile(r"(?:^| )(?:-p|--project)[ =]")


def completed(text: str, option: str) -> str:
    """``text`` with the options that its commands need. ``option`` is that of ``where.project_option``."""
    if not option:
        return text
    place = option[: option.rindex("-p ")]

    def with_project(match: re.Match[str]) -> str:
        return match[0] if _HAS_PROJECT.search(match[1]) else f"taorunner {option}{match[1]}"

    return _OF_WORKSPACE.sub(lambda _: f"taorunner {place}", _OF_PROJECT.sub(with_project, text))


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
            finding = replace(finding, hint=completed(finding.hint, options[name]))
        found.append(finding)
    return found


def complete_error(error: TaorunnerError, root: Path, project: str | None) -> None:
    """Changes the hints of ``error`` and of its findings in place."""
    error.findings = tuple(completed_findings(error.findings, root, project))
    if error.hint is not None and project is not None:
        error.hint = completed(error.hint, project_option(root, project))


def _project_of(finding: Finding, root: Path) -> str | None:
    projects = root / "projects"
    if finding.file is None or not finding.file.is_relative_to(projects) or finding.file == projects:
        return None
    return finding.file.relative_to(projects).parts[0]
