"""A played MLflow server, and runs on record that are sent to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from played_mlflow import PlayedMlflow

from taorunner.events import now
from taorunner.runs.state.store import RunStore
from taorunner.tracking.mlflow import MlflowServer
from taorunner.tracking.sender import RunSender


@pytest.fixture
def played() -> Iterator[PlayedMlflow]:
    server = PlayedMlflow()
    yield server
    server.close()


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., MlflowServer]]:
    """Servers by address and environment, whose connections end with the test."""
    made: list[MlflowServer] = []

    def connected(address: str, **environ: str) -> MlflowServer:
        made.append(MlflowServer(address, environ, tmp_path))
        return made[-1]

    yield connected
    for one in made:
        one.close()


@pytest.fixture
def sender(
    tmp_path: Path, played: PlayedMlflow, connect: Callable[..., MlflowServer]
) -> Callable[..., RunSender]:
    def make(run_id: str, **environ: str) -> RunSender:
        return RunSender(RunStore(tmp_path), run_id, connect(played.address, **environ), None, now)

    return make
