"""Where experiments run: the cluster or backend of the command line, else that of the file.

Checks that the backend runs the network and accepts its ``backend_options``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from taorunner.contracts import Framework
from taorunner.errors import Finding, Severity
from taorunner.planning.model.request import ActionRequest
from taorunner.project.clusters.cluster_file import Clusters, load_clusters, unknown_cluster
from taorunner.project.clusters.placing import OF_PLACE, OTHER_BACKEND
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.project.workspace import Workspace
from taorunner.targets import Target, default_target


def backend_options_for(experiment: Experiment, target: Target, framework: Framework) -> Mapping[str, Any]:
    """``backend_options`` are for the backend of the file; one that the command line names gets none of them."""
    own = experiment.backend or default_target(framework).name
    return experiment.backend_options if own == target.name else {}


def backend_findings(
    project: Project, experiment: Experiment, target: Target, network: str, framework: Framework,
    typed: str | None = None,
) -> Iterator[Finding]:  # fmt: skip
    """Errors at ``backend`` or ``cluster``, or at each wrong setting. ``typed`` is the option of the command line that
    chose the backend; what it chose has no place in a file.

    Where there are none, warnings of what the settings allow, at their cluster where they are of one.
    """
    path = ("experiments", experiment.name)
    if not target.runs(framework):
        key = "backend" if experiment.cluster is None else "cluster"
        message, hint = (
            f'"{network}" is not an embedded network',
            'only "tinydet" runs on it; use docker or local',
        )
        if framework is Framework.EMBEDDED:
            where = (
                f'"{target.name}"'
                if key == "backend"
                else f'the cluster "{experiment.cluster}" ({target.name})'
            )
            message = f'"{network}" runs only on the {default_target(framework).name} backend, not on {where}'
            hint = f'remove "{key}"' if typed is None else f"leave {typed} out"
        if typed is not None:
            yield Finding(Severity.ERROR, "wrong-backend", message, hint, typed=True)
            return
        yield project.finding(Severity.ERROR, "wrong-backend", message, (*path, key), hint=hint)
        return
    settings = backend_options_for(experiment, target, framework)
    problems = target.check_settings(settings)
    for problem in problems:
        place = (*path, "backend_options", *problem.path)
        yield project.finding(
            Severity.ERROR, problem.code, problem.message, place, hint=problem.hint, of_key=problem.of_key
        )
    cluster = None if project.clusters is None else project.clusters.usable.get(experiment.cluster or "")
    for one in () if problems else target.cautions(settings):
        if cluster is not None and one.path[0] not in experiment.written_options:
            place_of = (cluster.file, cluster.line, cluster.column)
            yield Finding(Severity.WARNING, one.code, one.message, one.hint, *place_of)
        else:
            place = (*path, "backend_options", *one.path)
            yield project.finding(Severity.WARNING, one.code, one.message, place, hint=one.hint)


def placed_by(
    project: Project, request: ActionRequest, workspace: Workspace, environ: Mapping[str, str]
) -> Project:
    """``project`` with its experiments where the request says. ``--backend`` takes an experiment off a cluster of
    another backend."""
    if request.cluster is None and request.backend is None:
        return project
    kept = tuple(finding for finding in project.findings if finding.code not in OF_PLACE)
    if request.cluster is None:
        experiments = {
            name: one if one.backend == request.backend else one.off_cluster()
            for name, one in project.experiments.items()
        }
        return replace(project, experiments=experiments, findings=kept)
    clusters = project.clusters or load_clusters(workspace, environ)
    refused = _refused(request, clusters)
    if refused:
        return replace(project, findings=(*kept, *refused), clusters=clusters)
    cluster = clusters.usable[request.cluster]
    experiments = {name: one.on_cluster(cluster) for name, one in project.experiments.items()}
    return replace(project, experiments=experiments, findings=kept, clusters=clusters)


def _refused(request: ActionRequest, clusters: Clusters) -> tuple[Finding, ...]:
    name = request.cluster or ""
    cluster = clusters.usable.get(name)
    if cluster is None:
        return clusters.findings_of(name) or (unknown_cluster(name, clusters),)
    if request.backend not in (None, cluster.backend):
        message = f"--backend {request.backend}: the cluster {name} has the backend {cluster.backend}"
        return (Finding(Severity.ERROR, OTHER_BACKEND, message, "leave --backend out", typed=True),)
    return ()
