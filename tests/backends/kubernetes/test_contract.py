"""The promises of a backend, kept with the real kubectl on a stand-in for a cluster, whose pods are real containers."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from contract import BackendContract, Harness, shell_harness
from kube_cluster import CLAIM, KubeCluster

from taorunner.backends.contract import EngineState, Launch, Started
from taorunner.backends.kubernetes.backend import KubernetesBackend
from taorunner.backends.kubernetes.request import KubernetesRequest
from taorunner.planning.model.plan import RunPlan
from taorunner.values.value import replace


class Patient(KubernetesBackend):
    """Gives a run back once its pod runs."""

    def submit(self, request: KubernetesRequest) -> Started:
        started = super().submit(request)
        deadline = time.monotonic() + 120
        while self.inspect([started.handle])[request.run_id].state is EngineState.WAITING:
            assert time.monotonic() < deadline, started.waiting
            time.sleep(0.1)
        return replace(started, waiting=None)


class TestKubernetes(BackendContract):
    @pytest.fixture
    def harness(
        self, kubernetes: KubeCluster, noop_image: str, make_plan: Callable[..., RunPlan],
        make_launch: Callable[[], Launch],
    ) -> Harness:  # fmt: skip
        options = {"workspace": {"claim": CLAIM}}
        return shell_harness(
            Patient, make_plan, make_launch, backend="kubernetes", backend_options=options, image=noop_image
        )
