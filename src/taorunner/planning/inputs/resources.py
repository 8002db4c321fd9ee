"""Checks that an experiment's backend applies the limits that the file or the command line gives, and that an option of
the command line has a meaning for it."""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.contracts import Contract, Framework, GpuUse
from taorunner.errors import Finding, Severity
from taorunner.planning.inputs.precedence import takes_nodes
from taorunner.planning.model.request import ActionRequest
from taorunner.project.experiments import Experiment
from taorunner.project.limits import NO_LIMITS, Limits
from taorunner.project.load import Project
from taorunner.targets import GpuSource, Resource, Target

_FIELDS = {
    Resource.CPUS: "cpus",
    Resource.MEMORY: "memory_bytes",
    Resource.TIME: "time_s",
}


def resource_findings(
    project: Project, experiment: Experiment, target: Target, typed: Limits = NO_LIMITS,
    contract: Contract | None = None, gpu_ids: tuple[str, ...] | None = None,
) -> Iterator[Finding]:  # fmt: skip
    """Several nodes where the backend or the action has one, and GPUs by number where an engine gives them, are errors;
    other limits that the backend does not apply are warnings.

    Each is placed at its key, or has no place when ``typed`` or ``gpu_ids`` say it on the command line.
    """
    nodes = typed.nodes or experiment.limits.nodes or 1
    ids = experiment.gpu_ids if gpu_ids is None else gpu_ids
    if target.gpus is GpuSource.SCHEDULED and ids:
        where = (
            f'the cluster "{experiment.cluster}"' if experiment.cluster else f'the backend "{target.name}"'
        )
        message = f"{where} gives each run its GPUs: they cannot be chosen by number"
        hint = (
            "leave out --gpu-indices, and write --gpus N" if gpu_ids else 'write "gpus:" in the place of it'
        )
        yield _placed(
            project, experiment, "gpu_indices", gpu_ids or None, Severity.ERROR, "gpu-indices", message, hint
        )
    if nodes > 1 and contract is not None and not takes_nodes(contract):
        message = f'"{contract.network}" {contract.action} runs on one node only, not on {nodes}'
        hint = "use more GPUs of one node: gpus" if contract.gpu_use is GpuUse.MANY else "set nodes to 1"
        yield _placed(
            project, experiment, "nodes", typed.nodes, Severity.ERROR, "too-many-nodes", message, hint
        )
        return
    if nodes > 1 and Resource.NODES not in target.resources:
        message = f'the backend "{target.name}" runs on one node, not on {nodes}'
        hint = "set nodes to 1, or choose a backend that has several nodes"
        yield _placed(
            project, experiment, "nodes", typed.nodes, Severity.ERROR, "too-many-nodes", message, hint
        )
    for resource, field in _FIELDS.items():
        own, given = getattr(experiment.limits, field), getattr(typed, field)
        if (given or own) is None or resource in target.resources:
            continue
        key = resource.value
        message = f'the backend "{target.name}" does not limit {resource.meaning}: "{key}" is ignored'
        hint = f"leave out --{key}" if given is not None else f'remove "{key}", or choose another backend'
        yield _placed(project, experiment, key, given, Severity.WARNING, "resource-ignored", message, hint)


def ignored_options(contract: Contract, target: Target, request: ActionRequest) -> Iterator[Finding]:
    """Warnings for ``--image``, ``--release`` and options for GPUs that change nothing here.

    In a chain they may be for another of its actions, and nothing is said.
    """
    if request.earlier or request.then:
        return
    what = f"{contract.network} {contract.action}"
    if request.image is not None and not target.needs_image:
        yield _ignored("--image", f'the backend "{target.name}" uses no container image')
    if request.release is not None and contract.framework is Framework.EMBEDDED:
        yield _ignored("--release", f"{contract.network} is part of taorunner, not of a TAO release")
    ids = request.gpu_ids or ()
    asked = request.gpus if request.gpus is not None else len(ids)
    if contract.gpu_use is GpuUse.NONE and (asked or request.all_gpus or request.gpu_ids is not None):
        yield _ignored("--gpu-indices" if request.gpu_ids is not None else "--gpus", f"{what} uses no GPU")
    elif contract.gpu_use is GpuUse.ONE and asked > 1:
        used = f"only GPU {ids[0]}" if ids else "one GPU"
        yield _ignored("--gpu-indices" if ids else "--gpus", f"{what} uses {used}")


def _ignored(option: str, why: str) -> Finding:
    return Finding(
        Severity.WARNING,
        "option-ignored",
        f"{why}: {option} has no effect",
        f"leave {option} out",
        typed=True,
    )


def _placed(
    project: Project, experiment: Experiment, key: str, typed: object, severity: Severity, code: str,
    message: str, hint: str,
) -> Finding:  # fmt: skip
    if typed is not None:
        return Finding(severity, code, message, hint, typed=True)
    return project.finding(severity, code, message, ("experiments", experiment.name, key), hint=hint)
