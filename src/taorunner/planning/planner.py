"""Turns project, catalog and request into RunPlans. Reads files, changes nothing, collects findings.

``plan_action`` is for one action; ``planning_of`` and ``planned_with`` are its two halves, for several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from taorunner.errors import Finding, Severity
from taorunner.events import now
from taorunner.planning.checks.consistency import CrossChecks
from taorunner.planning.checks.dataset_preflight import DatasetPreflight
from taorunner.planning.context import Planning
from taorunner.planning.experiment_plan import plan_experiment
from taorunner.planning.inputs.backend_choice import placed_by
from taorunner.planning.inputs.gpu_access import MachineGpus
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.model.epoch_scores import Scores, no_scores
from taorunner.planning.model.fault import UNKNOWN_EXPERIMENT, refusal
from taorunner.planning.model.forcing import stops
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site, command_of
from taorunner.planning.model.run_ids import new_run_id
from taorunner.project.image_lock import read_image_lock
from taorunner.project.load import Project, load_project
from taorunner.project.mounts import load_mounts
from taorunner.project.workspace import Workspace, is_name
from taorunner.specs.memory import SpecMemory
from taorunner.text import amount, did_you_mean
from taorunner.values.value import Value


class PlannedRun(Value):
    site: Site
    plan: RunPlan


class Planned(Value):
    """One item per experiment that could be planned, in the order asked for; all findings.

    ``names_are_known``: experiments.yml could be read, so that a name it does not have is a wrong name.
    """

    items: tuple[PlannedRun, ...] = ()
    findings: tuple[Finding, ...] = ()
    names_are_known: bool = True

    def raise_for_errors(self, *, is_forced: bool = False) -> None:
        """Raises UserFilesError with all findings when one of them is an error; with ``is_forced``, when one of them is
        not passed. A wrong word of the command line makes it UnknownNameError, whatever else is wrong; a machine that
        lacks something MachineError, where nothing else is wrong."""
        if stops(self.findings, is_forced=is_forced):
            errors = [finding for finding in self.findings if finding.is_error]
            stopping = [finding for finding in errors if stops([finding], is_forced=is_forced)]
            kind = refusal(stopping, names_are_known=self.names_are_known)
            raise kind(f"nothing was started: {amount(len(errors), 'error')}", findings=self.findings)


def plan_action(
    workspace: Workspace,
    project_name: str,
    request: ActionRequest,
    caller: Caller,
    make_site: Callable[[str, str], Site] | None = None,
    scores: Scores = no_scores,
) -> Planned:
    """Runs every check that is possible before a container starts. Never raises for an error in user files.

    The arguments are those of ``planning_of``.
    """
    return planned_with(planning_of(workspace, project_name, request, caller, make_site, scores))


def planning_of(
    workspace: Workspace,
    project_name: str,
    request: ActionRequest,
    caller: Caller,
    make_site: Callable[[str, str], Site] | None = None,
    scores: Scores = no_scores,
) -> Planning:
    """What the actions of one command are planned with: the files that are read once. ``request`` is the first one.

    ``make_site`` decides a run's id and folder from experiment and action; by default a new run of the workspace.
    ``scores`` gives what ``--checkpoint best`` chooses by.
    """
    loaded = load_project(workspace, project_name, caller.environ)
    project = placed_by(loaded, request, workspace, caller.environ)
    mounts = load_mounts(workspace, caller.environ).with_volumes(request.volumes)
    networks = Networks(workspace.networks_dir)
    memory = SpecMemory()
    site_maker = make_site or _new_runs(workspace)
    return Planning(
        workspace, project, mounts, request, caller, site_maker, networks,
        DatasetPreflight(workspace), read_image_lock(workspace), CrossChecks(mounts, memory, networks.layout),
        memory, MachineGpus(caller.environ), scores,
    )  # fmt: skip


def planned_with(planning: Planning) -> Planned:
    """The plans of ``planning.request``, which has the volumes of the request that ``planning`` was made for."""
    project, request = planning.project, planning.request
    unknown = [name for name in request.experiments if name not in project.names]
    if project.names and any(_is_project(name, project) for name in unknown):
        # the order of another tool: the rest is judged when it is typed again
        return Planned((), tuple(unknown_experiment(name, project, request) for name in unknown))
    planning.findings += [f for f in project.findings if concerns(f, project, request.experiments)]
    items: list[PlannedRun] = []
    for name in request.experiments:
        experiment = project.experiments.get(name)
        if experiment is None:
            if name not in project.names:
                planning.findings.append(unknown_experiment(name, project, request))
            continue
        planned = plan_experiment(planning, experiment)
        if planned is not None:
            items.append(PlannedRun(*planned))
    return Planned(tuple(items), tuple(dict.fromkeys(planning.findings)), bool(project.names))


def _new_runs(workspace: Workspace) -> Callable[[str, str], Site]:
    def make(experiment: str, action: str) -> Site:
        run_id = new_run_id(experiment, action, now())
        return Site(run_id, workspace.runs_dir / run_id)

    return make


def concerns(finding: Finding, project: Project, names: Sequence[str]) -> bool:
    """Errors in other experiments do not stop these; errors in the file as a whole do."""
    if finding.line is None or finding.file != project.paths.experiments_file:
        return True
    owner = project.owner_of_line(finding.line)
    return owner is None or owner in names or any(owner in project.ancestors(name) for name in names)


def _is_project(name: str, project: Project) -> bool:
    return name not in project.names and is_name(name) and (project.paths.root.parent / name).is_dir()


def unknown_experiment(name: str, project: Project, request: ActionRequest | None = None) -> Finding:
    """With ``request``, the name of a project among its experiments (the order of tao-runner) is seen as such."""
    hint = did_you_mean(name, project.names) or f"write it into {project.paths.experiments_file}"
    if request is not None and _is_project(name, project):
        others = " ".join(one for one in request.experiments if one != name) or "EXPERIMENT"
        hint = f'"{name}" is a project: taorunner {command_of(request.action)} -p {name} {others}'
    return Finding(
        Severity.ERROR, UNKNOWN_EXPERIMENT, f'there is no experiment "{name}" in project "{project.paths.name}"',
        hint, project.paths.experiments_file,
    )  # fmt: skip
