"""Plans a chain: an action, and further ones, each on what those before it made. All is judged before the start.

The options of the command line that say where and how a run goes hold for every action. The weights, the words after
``--`` and a resumption are those of the first action; ``--set`` holds wherever a spec has the key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from taorunner.planning.model.epoch_scores import Scores, no_scores
from taorunner.planning.model.makers import MAKERS
from taorunner.planning.model.request import ACTION_OF_COMMAND, ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, PlannedRun, planned_with, planning_of
from taorunner.project.workspace import Workspace


def plan_chain(
    workspace: Workspace,
    project_name: str,
    request: ActionRequest,
    caller: Caller,
    make_site: Callable[[str, str], Site] | None = None,
    scores: Scores = no_scores,
) -> Planned:
    """As ``plan_action``, with the runs of ``request.then`` behind that of each experiment."""
    planning = planning_of(workspace, project_name, request, caller, make_site, scores)
    steps = [planned_with(planning)]
    earlier: list[str] = []
    for action in request.then:
        earlier.append(_plain(request.action if not earlier else request.then[len(earlier) - 1]))
        later = _later(request, action, tuple(earlier))
        steps.append(planned_with(replace(planning, request=later, findings=[])))
    findings = dict.fromkeys(finding for step in steps for finding in step.findings)
    items = tuple(item for name in request.experiments for item in _linked(name, steps))
    return Planned(items, tuple(findings), all(step.names_are_known for step in steps))


def _later(request: ActionRequest, action: str, earlier: tuple[str, ...]) -> ActionRequest:
    """The request of a later action. What is not named here holds for the first one only."""
    keeps_weights = not any(one in MAKERS["checkpoint"] for one in earlier)
    return ActionRequest(
        action=action, experiments=request.experiments, backend=request.backend,
        gpus=request.gpus, all_gpus=request.all_gpus,
        gpu_ids=request.gpu_ids, limits=request.limits, release=request.release, image=request.image,
        overrides=request.overrides, env=request.env, volumes=request.volumes,
        checkpoint=request.checkpoint if keeps_weights and action != "gen_trt_engine" else None,
        overwrite=request.overwrite, force=request.force, dry_run=request.dry_run, earlier=earlier,
    )  # fmt: skip


def _plain(action: str) -> str:
    """The action as a contract names it."""
    return ACTION_OF_COMMAND.get(action, action.rpartition(".")[2])


def _linked(name: str, steps: list[Planned]) -> list[PlannedRun]:
    """The runs of one experiment, each after the one before."""
    items = [item for step in steps for item in step.items if item.plan.experiment == name]
    linked = items[:1]
    for item in items[1:]:
        linked.append(replace(item, plan=replace(item.plan, after=linked[-1].site.run_id)))
    return linked
