"""Plans to submit, and the docker backend on the engine of this test run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.contract import Backend, EngineStatus, Handle, Launch, LogPosition
from taorunner.backends.docker.backend import DockerBackend
from taorunner.backends.secrets import write_secrets
from taorunner.contracts import (
    CheckpointContract,
    Contract,
    Framework,
    GpuUse,
    ProgressContract,
    VerdictContract,
)
from taorunner.planning.model.plan import RunPlan

CONTRACT = Contract(
    network="dino",
    action="train",
    group="model",
    framework=Framework.PYT,
    release="5.5.0",
    image=None,
    command=("dino", "train"),
    arguments=(),
    spec=None,
    progress=ProgressContract("lightning"),
    verdict=VerdictContract(),
    checkpoints=CheckpointContract(),
    gpu_use=GpuUse.MANY,
)


@pytest.fixture
def make_plan(tmp_path: Path) -> Callable[..., RunPlan]:
    """``make_plan("sh", "-c", "…", backend="local", env={…})``."""

    def make(*argv: str, backend: str = "docker", **fields: Any) -> RunPlan:
        plan = RunPlan(
            project="example_01",
            experiment="dino_01",
            action="train",
            backend=backend,
            contract=CONTRACT,
            argv=argv,
            workspace=tmp_path,
            results_dir=tmp_path / "results",
            results_inside="/results",
            run_inside="/taorunner/run",
        )
        return replace(plan, **fields)

    return make


@pytest.fixture
def make_launch(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Launch]:
    """A launch with a folder of its own; run ids differ between workers and tests of one engine."""
    made: list[str] = []

    def make(*gpu_ids: str, run_id: str | None = None) -> Launch:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        run_id = run_id or f"{tmp_path.parent.name}-{tmp_path.name}-{worker}-{len(made)}".replace("_", "-")
        made.append(run_id)
        run_dir = tmp_path / ".taorunner" / "runs" / run_id  # as in a workspace
        run_dir.mkdir(parents=True, exist_ok=True)
        return Launch(run_id, run_dir, gpu_ids)

    return make


@pytest.fixture
def docker_environment(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def docker(docker_environment: None, engine: Any, noop_image: str, tmp_path: Path) -> Iterator[DockerBackend]:
    """The backend; containers that a test leaves behind are removed."""
    yield DockerBackend()
    found = engine.docker("ps", "-aq", "--filter", f"label=com.taorunner.workspace={tmp_path}").stdout.split()
    if found:
        engine.docker("rm", "-f", *found)


@pytest.fixture
def run_to_end(
    make_launch: Callable[..., Launch],
) -> Callable[..., tuple[Handle, EngineStatus, bytes, bytes]]:
    """Submits a plan, reads all of its output and gives handle, status, stdout and stderr."""

    def run(backend: Backend, plan: RunPlan, *gpu_ids: str) -> tuple[Handle, EngineStatus, bytes, bytes]:
        launch = make_launch(*gpu_ids)
        write_secrets(plan, launch.run_dir, os.environ)
        handle = backend.submit(backend.request(plan, launch)).handle
        out, err = read_all(backend, handle)
        return handle, backend.inspect([handle])[handle.run_id], out, err

    return run


def read_all(backend: Backend, handle: Handle, position: LogPosition | None = None) -> tuple[bytes, bytes]:
    parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    for chunk in backend.logs(handle, position or LogPosition()):
        parts[chunk.stream].append(chunk.data)
    return b"".join(parts["stdout"]), b"".join(parts["stderr"])


@pytest.fixture
def read() -> Callable[..., tuple[bytes, bytes]]:
    return read_all
