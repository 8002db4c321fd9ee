"""Containers of another host keep the promises of a backend: on a real sshd, with a workspace of their own there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import BackendContract, Harness, shell_harness
from remote_hosts import ALIAS, remote_host
from ssh_host import is_installed

from taorunner.backends.contract import Launch
from taorunner.backends.docker.remote.backend import DockerSshBackend
from taorunner.planning.model.plan import RunPlan

pytestmark = pytest.mark.skipif(not is_installed(), reason="openssh-server is not installed")


@pytest.mark.engine
class TestDockerOverSsh(BackendContract):
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
            options = {"host": ALIAS, "workspace": f"{tmp_path}/far"}
            yield shell_harness(
                DockerSshBackend,
                make_plan,
                make_launch,
                image=noop_image,
                backend="docker-ssh",
                backend_options=options,
            )
