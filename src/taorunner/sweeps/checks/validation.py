"""What ``validate`` says of the sweeps of projects: what a start of each would refuse, found without starting any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from taorunner.errors import Finding, MachineError, RunStateError, Severity, has_errors
from taorunner.planning.model.looked_at import LookedAt
from taorunner.planning.validate import validate_projects
from taorunner.project.load import SWEEP, Project, load_project
from taorunner.project.workspace import Workspace
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.checks.preflight import prepare
from taorunner.sweeps.choosing import chooser_of
from taorunner.sweeps.folder import SweepFolder
from taorunner.values.value import replace


def all_findings(
    workspace: Workspace, projects: Sequence[str], environ: Mapping[str, str], *, strict: bool = False
) -> list[Finding]:
    """What ``validate_projects`` says, and what is said of their sweeps."""
    looked_at: list[LookedAt] = []
    found = validate_projects(workspace, projects, environ, strict=strict, looked_at=looked_at.append)
    return with_sweeps(
        workspace, [one.project for one in looked_at if one.sweeps], environ, found, strict=strict
    )


def with_sweeps(
    workspace: Workspace, projects: Sequence[str], environ: Mapping[str, str], found: Sequence[Finding], *,
    strict: bool = False,
) -> list[Finding]:  # fmt: skip
    """``found`` is what is said of the projects without their sweeps. Findings of a base, which are among ``found``,
    are not repeated. ``strict`` turns warnings into errors."""
    more = [finding for name in projects for finding in _of_project(workspace, name, environ, found)]
    if strict:
        more = [
            replace(one, severity=Severity.ERROR) if one.severity is Severity.WARNING else one for one in more
        ]
    return list(dict.fromkeys((*found, *more)))


def _of_project(
    workspace: Workspace, name: str, environ: Mapping[str, str], found: Sequence[Finding]
) -> Iterator[Finding]:
    project, store = load_project(workspace, name, environ), RunStore(workspace.state_dir)
    places = {(one.file, one.line, one.column, one.code) for one in found}
    for sweep in (*project.sweeps.values(), *project.draft_sweeps.values()):
        if sweep.base not in project.experiments:
            continue  # said of the file, or of the experiment
        try:
            trials = SweepFolder(store, name, sweep.name).trials()
        except RunStateError:  # sweep show names it
            trials = []
        prepared, findings = prepare(
            workspace, name, sweep, environ, trials=trials, dry_run=True, is_lenient=True
        )
        for one in findings:
            is_own = one.line is not None and project.owner_of_line(one.line) == f"{SWEEP}{sweep.name}"
            is_new = (one.file, one.line, one.column, one.code) not in places
            if (is_own and is_new) or not has_errors(found):
                yield one
        if prepared is None:
            continue
        try:
            chooser_of(sweep, maximize=prepared.maximize)
        except MachineError as error:
            path = ("sweeps", sweep.name, "sampler")
            yield project.finding(
                Severity.WARNING, "sweep-sampler", error.message, path, hint=error.hint, of_key=True
            )


def findings_of_draft(
    workspace: Workspace, project: Project, sweep: str, environ: Mapping[str, str], found: Sequence[Finding]
) -> list[Finding]:
    """``found`` in the file alone, and what else a start of this sweep would refuse."""
    draft = project.draft_sweeps.get(sweep)
    if draft is None or draft.base not in project.experiments:
        return list(found)
    places = {(one.line, one.column, one.code) for one in found}
    findings = prepare(workspace, project.name, draft, environ, dry_run=True, is_lenient=True)[1]
    return [*found, *(one for one in findings if (one.line, one.column, one.code) not in places)]
