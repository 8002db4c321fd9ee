"""Fixtures: a real podman, once of root and once rootless, shared by all tests of a run; and one of a test alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import podman_rig
import pytest
from private_daemon import RigError

import rig


def started(home: Path, uid: int, owner: int) -> podman_rig.PodmanEngine:
    """Skips the test where none can be had; in CI fails it."""
    try:
        return podman_rig.up(home, uid, owner)
    except RigError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"may not be skipped in CI: {error}", pytrace=False)
        pytest.skip(str(error))


def shared(uid: int) -> podman_rig.PodmanEngine:
    """The one of this test run."""
    owner, _, home = os.environ["TAORUNNER_TEST_RIG"].partition(":")
    return started(podman_rig.home_beside(Path(home), uid), uid, int(owner))


@pytest.fixture(scope="session", params=podman_rig.UIDS, ids=["rootful", "rootless"])
def podman(request: pytest.FixtureRequest) -> podman_rig.PodmanEngine:
    """Tests with it run twice."""
    return shared(request.param)


@pytest.fixture
def own_podman() -> Iterator[podman_rig.PodmanEngine]:
    """A rootless one of this test alone, to kill its service."""
    home = Path(f"/tmp/taor-{secrets.token_hex(4)}")
    try:
        yield started(home, podman_rig.CALLER, os.getpid())
    finally:
        rig.down(home)


@pytest.fixture
def given_to(tmp_path: Path) -> Callable[[int], None]:
    """Gives the folder of this test to a user, who can also reach it."""

    def give(uid: int) -> None:
        os.chown(tmp_path, uid, uid)
        for folder in tmp_path.parents:
            if folder.stat().st_uid == os.geteuid() and str(folder).startswith(("/tmp/", "/dev/shm/")):
                folder.chmod(folder.stat().st_mode | 0o055)

    return give
