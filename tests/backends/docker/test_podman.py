"""Podman keeps the promises of a backend, of root and rootless, and gives GPUs and results to whom they belong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import images
import pytest
from contract import BackendContract, Harness, ended, output, shell_harness
from podman_rig import PodmanEngine

from taorunner.backends.contract import Launch
from taorunner.backends.docker.backend import DockerBackend
from taorunner.container_options import Mount
from taorunner.planning.model.plan import RunPlan


@pytest.fixture
def podman_backend(
    podman: PodmanEngine, given_to: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[DockerBackend]:
    """The backend; containers that a test leaves behind are removed."""
    given_to(podman.uid)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    for name, value in podman.environment().items():
        monkeypatch.setenv(name, value)
    yield DockerBackend()
    found = podman.docker("ps", "-aq", "--filter", f"label=com.taorunner.workspace={tmp_path}").stdout.split()
    if found:
        podman.docker("rm", "-f", "--time=0", *found)


class TestPodman(BackendContract):
    @pytest.fixture
    def harness(
        self,
        podman: PodmanEngine,
        podman_backend: DockerBackend,
        make_plan: Callable[..., RunPlan],
        make_launch: Callable[[], Launch],
    ) -> Harness:
        return shell_harness(DockerBackend, make_plan, make_launch, image=images.noop_image(podman))


@pytest.fixture
def plan_of(
    podman: PodmanEngine, make_plan: Callable[..., RunPlan], tmp_path: Path
) -> Callable[..., RunPlan]:
    """A plan for a shell script, with this test's folder at /results."""

    def make(script: str, **fields: object) -> RunPlan:
        mounts = (Mount(tmp_path, "/results"),)
        return make_plan("sh", "-c", script, image=images.noop_image(podman), mounts=mounts, **fields)

    return make


def says(backend: DockerBackend, plan: RunPlan, launch: Launch) -> tuple[str, int | None]:
    """All that the run prints, and its exit code."""
    handle = backend.submit(backend.request(plan, launch)).handle
    printed = output(backend, handle)
    code = ended(backend, handle).exit_code
    backend.remove(handle)
    return (printed["stdout"] + printed["stderr"]).decode(), code


def test_a_run_has_the_gpus_it_was_given_and_no_others(
    podman: PodmanEngine,
    podman_backend: DockerBackend,
    plan_of: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
) -> None:
    plan = plan_of(f"ls {podman.home}/dev; echo $NVIDIA_VISIBLE_DEVICES")
    assert says(podman_backend, plan, make_launch("1")) == ("nvidia1\n1\n", 0)
    without, code = says(podman_backend, plan, make_launch())
    assert (code, "nvidia" in without.replace("No such file", "")) == (
        0,
        True,
    )  # only in the path that ls names
