"""Which experiments are being worked on; which ones ``--all`` leaves out of a start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from taorunner.errors import RunStateError
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

if TYPE_CHECKING:
    from taorunner.planning.model.request import ActionRequest
    from taorunner.project.workspace import Workspace

_NOT_RESUMED = {
    "no-resume": "its network cannot be resumed",
    "nothing-to-resume": "no checkpoint to resume from",
    "already-trained": "nothing is left to train",
}
"""By the code of the finding."""


def training_runs(store: RunStore, project: str) -> Iterator[RunRecord]:
    """Runs that have not ended and that write results of a training, or are of a chain that still reads them."""
    for record in store.unfinished():
        if record.project == project and (record.action == "train" or record.after is not None):
            yield record


def refuse_while_running(store: RunStore, project: str, experiment: str) -> None:
    """Raises RunStateError when a run of the experiment, of any action, has not ended."""
    for record in store.unfinished():
        if (record.project, record.experiment) == (project, experiment):
            run = store.short_id(record.id)
            raise RunStateError(
                f'run "{run}" of "{experiment}" has not ended ({record.state.value.lower()})',
                hint=f"taorunner attach {run} shows it, taorunner stop {run} ends it",
            )


def not_startable(
    workspace: Workspace, project: str, request: ActionRequest, environ: Mapping[str, str]
) -> dict[str, str]:
    """The reason for each of the request's experiments that a start of all leaves out. Starts nothing."""
    found: dict[str, str] = {}
    if "train" in (request.action, *request.then):
        store = RunStore(workspace.state_dir)
        for record in training_runs(store, project):
            found[record.experiment] = f"run {store.short_id(record.id)} has not ended"
    if request.resume:
        for name in request.experiments:
            reason = _why_not_resumed(workspace, project, replace(request, experiments=(name,)), environ)
            if reason is not None:
                found.setdefault(name, reason)
    return {name: reason for name, reason in found.items() if name in request.experiments}


def _why_not_resumed(
    workspace: Workspace, project: str, request: ActionRequest, environ: Mapping[str, str]
) -> str | None:
    from taorunner.planning.model.request import Caller
    from taorunner.planning.planner import plan_action
    from taorunner.runs.control.continued import continued

    asked = continued(RunStore(workspace.state_dir), project, replace(request, then=()))
    planned = plan_action(workspace, project, asked, Caller.current(environ))
    reasons = (_NOT_RESUMED.get(finding.code) for finding in planned.findings)
    return next((reason for reason in reasons if reason is not None), None)
