"""Whether a list is empty because a name on its command line is of nothing that exists."""

from __future__ import annotations

from collections.abc import Iterable, Set

from taorunner.errors import UsageError
from taorunner.project.workspace import Workspace, find_project
from taorunner.runs.state.lookup.run_filter import CONVERT, RunFilter
from taorunner.runs.state.store import RunStore
from taorunner.text import did_you_mean, is_pattern


def check_names(workspace: Workspace, store: RunStore, wanted: RunFilter) -> None:
    """Raises UsageError for a project, experiment or action that neither the workspace nor a record knows.

    A project or experiment may be gone while its runs are on record. A pattern may fit nothing.
    """
    recorded = _recorded(store)
    if wanted.project is not None and wanted.project not in {project for project, *_ in recorded}:
        find_project(workspace, workspace.root, wanted.project, {})
    if wanted.experiment is not None and not is_pattern(wanted.experiment):
        _check_experiment(workspace, [pair[:2] for pair in recorded], wanted)
    ran = {*CONVERT, *(action for *_, action in recorded)}
    for action in wanted.action.split(",") if wanted.action is not None else ():
        if action not in ran:
            _check_action(action, ran)


def _check_action(action: str, ran: Set[str]) -> None:
    from taorunner.cli.fast.names import action_names

    known = {*action_names(), *ran}
    if action not in known:
        hint = did_you_mean(action, sorted(known)) or "taorunner networks NAME lists the actions"
        raise UsageError(f'--action: no action "{action}"', hint=hint)


def _recorded(store: RunStore) -> set[tuple[str, str, str]]:
    """Project, experiment and action of every run; a filtered list has just listed those that have ended."""
    ended = {tuple(facts.split("\t")[:3]) for facts in store.ended.facts(store.trust()).values()}
    others = ((record.project, record.experiment, record.action) for record in store.unfinished())
    return {(project, experiment, action) for project, experiment, action in (*ended, *others)}


def _check_experiment(workspace: Workspace, recorded: Iterable[tuple[str, str]], wanted: RunFilter) -> None:
    from taorunner.project.load import load_project

    name = wanted.experiment or ""
    projects = [wanted.project] if wanted.project is not None else workspace.project_names()
    pairs = [
        *recorded,
        *((one, e) for one in projects for e in load_project(workspace, one).names),
    ]
    known = dict.fromkeys(f"{p}/{e}" if "/" in name else e for p, e in pairs if wanted.project in (None, p))
    if name not in known:
        raise UsageError(
            f'--experiment: no experiment "{name}"',
            hint=did_you_mean(name, known) or "taorunner runs list shows the runs of all experiments",
        )
