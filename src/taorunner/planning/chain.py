"""Plans a chain: an action, and further ones, each on what those before it made. All is judged before the start.

The options of the command line that say where and how a run goes hold for every action. The weights, the words after
``--`` and a resumption are those of the first action; ``--set`` holds wherever a spec has the key; ``--epochs`` and its
like hold for the first training, and without one for the first action. Where a network converts one subset a run, the
conversion of the other follows the first by itself.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace

from taorunner.contracts import TRAININGS
from taorunner.errors import UserFilesError
from taorunner.planning.context import Planning
from taorunner.planning.model.epoch_scores import Scores, no_scores
from taorunner.planning.model.knobs import NO_KNOBS
from taorunner.planning.model.makers import MAKERS
from taorunner.planning.model.request import ACTION_OF_COMMAND, ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, PlannedRun, planned_with, planning_of
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import Workspace
from taorunner.targets import sees_host_paths

_CONVERSION = MAKERS["tfrecords"][0]


def plan_chain(
    workspace: Workspace,
    project_name: str,
    request: ActionRequest,
    caller: Caller,
    make_site: Callable[[str, str], Site] | None = None,
    scores: Scores = no_scores,
) -> Planned:
    """As ``plan_action``, with the runs of ``request.then`` behind that of each experiment."""
    knobs, trains_at = request.knobs, _training_in(request)
    if trains_at > 0:
        request = replace(request, knobs=NO_KNOBS)
    planning = planning_of(workspace, project_name, request, caller, make_site, scores)
    steps = [planned_with(planning)]
    for name in request.experiments:
        again = _second_conversion(planning, name)
        if again is not None:
            steps.append(planned_with(replace(planning, request=again, findings=[])))
    earlier: list[str] = []
    for action in request.then:
        earlier.append(_plain(request.action if not earlier else request.then[len(earlier) - 1]))
        later = _later(request, action, tuple(earlier))
        if len(earlier) == trains_at:
            later = replace(later, knobs=knobs)
        steps.append(planned_with(replace(planning, request=later, findings=[])))
    findings = dict.fromkeys(finding for step in steps for finding in step.findings)
    items = tuple(item for name in request.experiments for item in _linked(name, steps))
    return Planned(items, tuple(findings), all(step.names_are_known for step in steps))


def _training_in(request: ActionRequest) -> int:
    """The place of the first training in the chain, from 0; 0 without one."""
    actions = (request.action, *request.then)
    return next((at for at, action in enumerate(actions) if _plain(action) in TRAININGS), 0)


def _second_conversion(planning: Planning, name: str) -> ActionRequest | None:
    """The conversion of the subset that validates, in the chain of one experiment, with the words of the layout. None
    where a network converts all at once, where the chain does not begin with a conversion, or where the command line
    says what is converted.
    """
    request, experiment = planning.request, planning.project.experiments.get(name)
    is_typed = bool(request.extra) or any(key.startswith(f"{_CONVERSION}.") for key in request.overrides)
    if experiment is None or not request.then or is_typed:
        return None
    layout = planning.networks.layout(experiment.head)
    again = layout.facts.get("conversion", {}).get("again") if layout is not None else None
    if ACTION_OF_COMMAND.get(request.action, request.action) != _CONVERSION or again is None:
        return None
    on_host = sees_host_paths(request.backend or experiment.backend, experiment.backend_options)
    mounts = Mounts.identity() if on_host else planning.mounts
    try:
        dataset = mounts.to_inside(planning.project.paths.dataset_dir(experiment.dataset))
    except UserFilesError:
        return None  # reported of the first one
    words = shlex.split(again.format(dataset=shlex.quote(dataset)))
    paths = [word.rpartition("=")[2] for word in words if dataset in word]
    if not all((host := mounts.to_host(path)) is not None and host.exists() for path in paths):
        return None  # there is no such subset
    sets = dict(word.split("=", 1) for word in words if "=" in word)
    extra = tuple(words[1:]) if words[0] == "--" else ()
    return replace(
        request, experiments=(name,), extra=extra, overrides={**request.overrides, **sets}, then=(),
        earlier=(_CONVERSION,),
    )  # fmt: skip


def _later(request: ActionRequest, action: str, earlier: tuple[str, ...]) -> ActionRequest:
    """The request of a later action. What is not named here holds for the first one only."""
    keeps_weights = not any(one in MAKERS["checkpoint"] for one in earlier)
    return ActionRequest(
        action=action, experiments=request.experiments, backend=request.backend, cluster=request.cluster,
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
