"""The stand-in for a cluster, with runs on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kube_cluster import KubeCluster
from kube_runs import KubeRuns

from taorunner.backends.contract import Launch
from taorunner.planning.model.plan import RunPlan


@pytest.fixture
def kube_runs(
    kubernetes: KubeCluster,
    make_plan: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
    noop_image: str,
) -> KubeRuns:
    return KubeRuns(kubernetes, make_plan, make_launch, noop_image)
