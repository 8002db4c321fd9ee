"""The real Slurm of these tests."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def cluster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's commands reach the cluster of this test run; a test that preempts runs has a cluster of its own."""
    is_alone = "preemption" in request.fixturenames
    try:
        environ = request.getfixturevalue("own_slurm" if is_alone else "slurm").here
    except pytest.FixtureLookupError:
        if "SLURM_CONF" not in os.environ:
            pytest.skip("there is no Slurm here")
        return
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
