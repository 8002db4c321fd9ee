"""Containers of another host keep the promises of a backend: on a real sshd, with a workspace of their own there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import PATIENCE_S, BackendContract, Harness, shell_harness
from remote_hosts import ALIAS, remote_host
from ssh_host import is_installed

from taorunner.backends.contract import EngineState, Launch, Started
from taorunner.backends.docker.remote.backend import DockerSshBackend
from taorunner.backends.docker.remote.request import RemoteRequest
from taorunner.planning.model.plan import RunPlan
from taorunner.values.value import replace

pytestmark = pytest.mark.skipif(not is_installed(), reason="openssh-server is not installed")


class Patient(DockerSshBackend):
    """Gives a run back once its container runs: a busy host takes longer than a start waits for it."""

    def submit(self, request: RemoteRequest) -> Started:
        started = super().submit(request)
        deadline = time.monotonic() + PATIENCE_S
        while self.inspect([started.handle])[request.run_id].state is EngineState.WAITING:
            assert time.monotonic() < deadline, started.waiting
            time.sleep(0.1)
        return replace(started, waiting=None)


@pytest.mark.engine
class TestDockerOverSsh(BackendContract):
    def options(self, tmp_path: Path) -> dict[str, object]:
        return {"workspace": f"{tmp_path}/far"}

    @pytest.fixture
    def harness(
        self,
        docker: object,
        engine: Any,
        make_plan: Callable[..., RunPlan],
        make_launch: Callable[[], Launch],
        noop_image: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[Harness]:
        url = str(engine.url)
        monkeypatch.delenv("DOCKER_HOST")
        with remote_host(tmp_path, url) as host:
            for name, value in host.environ.items():
                monkeypatch.setenv(name, value)
            options = {"host": ALIAS, **self.options(tmp_path)}
            yield shell_harness(
                Patient,
                make_plan,
                make_launch,
                image=noop_image,
                backend="docker-ssh",
                backend_options=options,
            )


class TestDockerOverSshOnASharedDisk(TestDockerOverSsh):
    """The host sees the disk of this machine, at the same path."""

    def options(self, tmp_path: Path) -> dict[str, object]:
        return {"shared": True}
