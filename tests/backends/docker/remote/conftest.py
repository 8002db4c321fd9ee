"""Docker on another host: a real sshd on loopback, the engine of this test run, and runs there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_hosts import RemoteHost, remote_host
from remote_runs import Runs
from ssh_host import is_installed

from taorunner.backends.contract import Launch
from taorunner.planning.model.plan import RunPlan


@pytest.fixture
def far_host(tmp_path: Path, engine: Any) -> Iterator[RemoteHost]:
    if not is_installed():
        pytest.skip("openssh-server is not installed")
    with remote_host(tmp_path, engine.url) as host:
        yield host


@pytest.fixture
def person(
    far_host: RemoteHost, make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch], noop_image: str,
    tmp_path: Path, engine: Any,
) -> Iterator[Callable[[str], Runs]]:  # fmt: skip
    """``person("ann")`` has a workspace of that name on the host."""

    def make(name: str) -> Runs:
        def plan(*words: str, **more: Any) -> RunPlan:
            return make_plan(*words, image=noop_image, **more)

        return Runs(far_host, tmp_path / f"far of {name}", plan, make_launch, engine.url)

    yield make
    found = engine.docker("ps", "-aq", "--filter", f"label=com.taorunner.workspace={tmp_path}").stdout.split()
    if found:
        engine.docker("rm", "-f", *found)


@pytest.fixture
def runs(person: Callable[[str], Runs]) -> Runs:
    return person("ann")
