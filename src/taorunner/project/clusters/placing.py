"""Whether an experiment can be on the cluster that it names, which gives the backend, its settings and its limits."""

from __future__ import annotations

from taorunner.project.clusters.cluster_file import BROKEN, UNKNOWN, Clusters
from taorunner.project.diagnostics import shown
from taorunner.project.experiments import Experiment
from taorunner.targets import names_of
from taorunner.text import amount
from taorunner.values.value import Value

OTHER_BACKEND = "cluster-backend"
OF_PLACE = frozenset({UNKNOWN, BROKEN, OTHER_BACKEND})
"""Findings about where an experiment of the file runs; they do not count when the command line says where."""


class Misplaced(Value):
    """Why an experiment is not on its cluster; ``key`` is the one of the experiment that is wrong."""

    code: str
    message: str
    key: str
    hint: str


def placed_on(experiment: Experiment, clusters: Clusters) -> Experiment | Misplaced:
    """The experiment on the cluster that it names; as it is where it names none."""
    named = experiment.cluster
    if named is None:
        return experiment
    cluster = clusters.usable.get(named)
    if cluster is None:
        errors = clusters.findings_of(named)
        if named not in clusters.names and not errors:
            return Misplaced(
                UNKNOWN, f'there is no cluster "{shown(named)}"', "cluster", clusters.hint_for(named)
            )
        message = (
            f'the cluster "{shown(named)}" cannot be used: {amount(len(errors), "error")} in clusters.yml'
        )
        return Misplaced(BROKEN, message, "cluster", f"taorunner clusters check {shown(named)} shows them")
    if experiment.backend is not None and experiment.backend not in names_of(cluster.backend):
        message = f'"backend" is {experiment.backend}, but the cluster "{named}" has {cluster.backend}'
        return Misplaced(OTHER_BACKEND, message, "backend", 'remove "backend": the cluster gives it')
    return experiment.on_cluster(cluster)
