"""Checks that an experiment's backend applies the limits that the file or the command line gives."""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.errors import Finding, Severity
from taorunner.project.experiments import Experiment
from taorunner.project.limits import NO_LIMITS, Limits
from taorunner.project.load import Project
from taorunner.targets import Resource, Target

_FIELDS = {
    Resource.CPUS: "cpus",
    Resource.MEMORY: "memory_bytes",
    Resource.TIME: "time_s",
}


def resource_findings(
    project: Project, experiment: Experiment, target: Target, typed: Limits = NO_LIMITS
) -> Iterator[Finding]:
    """Several nodes where the backend has one are an error; other limits that it does not apply are warnings.

    Each is placed at its key, or has no place when ``typed`` on the command line.
    """
    nodes = typed.nodes or experiment.limits.nodes or 1
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


def _placed(
    project: Project, experiment: Experiment, key: str, typed: object, severity: Severity, code: str,
    message: str, hint: str,
) -> Finding:  # fmt: skip
    if typed is not None:
        return Finding(severity, code, message, hint)
    return project.finding(severity, code, message, ("experiments", experiment.name, key), hint=hint)
