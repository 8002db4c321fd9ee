"""Imports a project from another tool's files into the current workspace, then validates it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taorunner.errors import Finding, Severity, UsageError, has_errors
from taorunner.importers.skills.skill_project import migrate_from_skill_bank
from taorunner.importers.source_report import SourceLine
from taorunner.importers.tao_launcher import Migrated, migrate_from_launcher
from taorunner.importers.tao_runner import migrate_from_tao_runner
from taorunner.planning.new_project import workspace_around
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import NAME_RULE, Workspace, is_name
from taorunner.text import printable

_LATER = ("missing-input", "not-mounted")


@dataclass(frozen=True, slots=True)
class Migration:
    """``findings`` are those of the migration, then those of the new project; ``lines`` say what became of each line of
    the source."""

    projects: tuple[str, ...]
    made: tuple[Path, ...]
    findings: tuple[Finding, ...]
    next_step: str
    lines: tuple[SourceLine, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "projects": list(self.projects), "made": [str(path) for path in self.made],
            "lines": [line.to_json() for line in self.lines],
            "findings": [finding.to_json() for finding in self.findings], "next_step": self.next_step,
        }  # fmt: skip


def from_launcher(
    start: Path,
    root: Path | None,
    name: str,
    folder: Path,
    *,
    mounts_file: Path | None,
    head: str | None,
    environ: Mapping[str, str],
) -> Migration:
    """Creates a project from the launcher's spec files in ``folder``.

    Raises UserFilesError, UsageError or MachineError; then nothing was made.
    """
    _check_name(name)
    workspace = _workspace(start, root)
    moved = migrate_from_launcher(
        workspace, name, folder, mounts_file=mounts_file, head=head, environ=environ
    )
    return _validated(workspace, [name], moved, environ)


def from_tao_runner(
    start: Path, root: Path | None, name: str | None, checkout: Path, *, environ: Mapping[str, str]
) -> Migration:
    """Creates the project ``name`` of an original checkout, or all of its projects.

    Raises UserFilesError, UsageError or MachineError; then nothing was made.
    """
    if name is not None:
        _check_name(name)
    names, moved = migrate_from_tao_runner(_workspace(start, root), name, checkout, environ)
    return _validated(_workspace(start, root), names, moved, environ)


def from_skill_bank(
    start: Path, root: Path | None, name: str, given: Path, *, head: str | None, environ: Mapping[str, str]
) -> Migration:
    """Creates a project from a skill of NVIDIA's skill bank.

    Raises UserFilesError, UsageError or MachineError; then nothing was made.
    """
    _check_name(name)
    workspace = _workspace(start, root)
    return _validated(workspace, [name], migrate_from_skill_bank(workspace, name, given, head), environ)


def _check_name(name: str) -> None:
    if not is_name(name):
        raise UsageError(f'"{printable(name)}" cannot be the name of a project', hint=f"use {NAME_RULE}")


def _workspace(start: Path, root: Path | None) -> Workspace:
    return Workspace(Path(os.path.abspath(root)) if root is not None else workspace_around(start))  # noqa: PTH100


def _validated(
    workspace: Workspace, names: list[str], moved: Migrated, environ: Mapping[str, str]
) -> Migration:
    found = [_softened(one) for one in validate_projects(workspace, names, environ)]
    what = " ".join(names)
    if has_errors(found):
        step = f"correct the errors, then: taorunner validate {what}"
    else:
        step = f"read experiments.yml and the specs, then: taorunner validate {what}"
    findings = tuple(dict.fromkeys((*moved.findings, *found)))
    return Migration(tuple(names), moved.made, findings, step, moved.lines)


def _softened(finding: Finding) -> Finding:
    """A path in a spec that leads to nothing is imported as it is, and its data may come later: a warning here, an
    error of ``validate``."""
    if finding.is_error and finding.code in _LATER and finding.line is not None:
        return replace(finding, severity=Severity.WARNING)
    return finding
