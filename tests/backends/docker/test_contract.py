"""Containers keep the promises of a backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from contract import BackendContract, Harness, shell_harness

from taorunner.backends.contract import Launch
from taorunner.backends.docker.backend import DockerBackend
from taorunner.planning.model.plan import RunPlan


@pytest.mark.engine
class TestDocker(BackendContract):
    @pytest.fixture
    def harness(
        self,
        docker: DockerBackend,
        make_plan: Callable[..., RunPlan],
        make_launch: Callable[[], Launch],
        noop_image: str,
    ) -> Harness:
        return shell_harness(DockerBackend, make_plan, make_launch, image=noop_image)
