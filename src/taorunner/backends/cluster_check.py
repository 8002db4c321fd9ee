"""What can be proved of a cluster before a run: each backend knows how, or at least says what it can of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from taorunner.backends.contract import ChecksClusters, ForeseesRefusals
from taorunner.backends.registry import load_backend
from taorunner.errors import Finding, Severity, TaorunnerError
from taorunner.planning.model.plan import RunPlan
from taorunner.project.clusters.cluster_file import Cluster
from taorunner.project.workspace import Workspace
from taorunner.targets import GpuSource, target_of


def check_cluster(
    cluster: Cluster, workspace: Workspace | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """One finding for each thing, in the order in which a run needs them."""
    try:
        backend = load_backend(cluster.backend, environ)
        if isinstance(backend, ChecksClusters):
            yield from backend.check_cluster(cluster, workspace)
            return
        found = backend.check()
    except TaorunnerError as error:
        found = [Finding(Severity.ERROR, "cluster-login", error.message, error.hint)]
    yield from found
    if not any(finding.is_error for finding in found):
        yield Finding(Severity.OK, "cluster-login", f"the backend {cluster.backend} answers")


def never_starting(plans: Sequence[RunPlan], environ: Mapping[str, str]) -> list[Finding]:
    """What a scheduler would refuse, or take and never start, each once."""
    found: list[Finding] = []
    for name in dict.fromkeys(plan.backend for plan in plans):
        if target_of(name).gpus is not GpuSource.SCHEDULED:
            continue
        backend = load_backend(name, environ)
        if isinstance(backend, ForeseesRefusals):
            found += backend.never_starting([plan for plan in plans if plan.backend == name])
    return list(dict.fromkeys(found))
