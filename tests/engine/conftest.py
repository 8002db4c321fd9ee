"""An engine that answers as a test says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, serving

from taorunner.engine.client import Engine, connect


@pytest.fixture
def served() -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="taor-") as folder, serving(Path(folder, "docker.sock")) as found:
        yield found


@pytest.fixture
def connected(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A connection to ``served``, with an empty configuration of docker."""
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    engine = connect({"DOCKER_HOST": served.url})
    yield engine
    engine.api.close()
