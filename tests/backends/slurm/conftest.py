"""The real Slurm of these tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def slurm_commands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's commands reach the cluster of this test run; a test that preempts runs has a cluster of its own."""
    is_alone = "preemption" in request.fixturenames
    environ = request.getfixturevalue("own_slurm" if is_alone else "slurm").here
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
