"""Fixtures: a Slurm cluster for all tests of a run, one of a test alone, and TAO's stand-in as a folder for Charliecloud."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import images
import pytest
import slurm_rig
from private_daemon import RigError

import rig


@dataclass(frozen=True)
class Rootfs:
    """An image as a folder, with its variables in ``ch/environment`` as Charliecloud's own tools write them."""

    folder: Path
    environment: dict[str, str]
    entrypoint: tuple[str, ...]
    workdir: str


def unavailable_cluster(reason: str) -> None:
    """Skips the test; in CI fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"may not be skipped in CI: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def slurm() -> slurm_rig.Cluster:
    """A Slurm cluster that other tests use at the same time: submit to it, kill nothing of it, fill no partition."""
    owner, _, home = os.environ["TAORUNNER_TEST_RIG"].partition(":")
    try:
        return slurm_rig.up(slurm_rig.home_beside(Path(home)), int(owner))
    except RigError as error:
        unavailable_cluster(str(error))
        raise


@pytest.fixture
def own_slurm() -> Iterator[slurm_rig.Cluster]:
    """A cluster of this test alone, to kill parts of."""
    home = Path(f"/tmp/taor-{secrets.token_hex(4)}")
    try:
        yield slurm_rig.up(home, os.getpid())
    except RigError as error:
        if slurm_rig.obstacle() is not None:
            unavailable_cluster(str(error))
        raise
    finally:
        rig.down(home)


@pytest.fixture(scope="session")
def rootfs(engine: rig.Engine) -> Callable[..., Rootfs]:
    """``rootfs("pyt7")`` gives TAO's stand-in of that generation as a folder that the nodes see."""

    def unpack(kind: str = "pyt7") -> Rootfs:
        return unpacked(engine, images.tao_image(engine, kind))

    return unpack


def unpacked(engine: rig.Engine, tag: str) -> Rootfs:
    """What ``docker export`` gives, in a folder beside the engine's."""
    folder = engine.home / "rootfs" / tag.rpartition(":")[2]
    config = json.loads(images.checked(engine, "image", "inspect", tag))[0]["Config"]
    with engine.locked(f"rootfs-{folder.name}"):
        if not folder.exists():
            beside = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            container = images.checked(engine, "create", tag)
            environment = {**os.environ, **engine.environment()}
            with subprocess.Popen(
                ["docker", "export", container], env=environment, stdout=subprocess.PIPE
            ) as exported:
                subprocess.run(["tar", "-x", "-C", str(beside)], stdin=exported.stdout, check=True)
            assert exported.returncode == 0
            images.checked(engine, "rm", container)
            (beside / "ch").mkdir()
            (beside / "ch" / "environment").write_text("".join(f"{line}\n" for line in config["Env"]))
            beside.rename(folder)
    pairs = dict(line.split("=", 1) for line in config["Env"])
    return Rootfs(folder, pairs, tuple(config["Entrypoint"] or ()), config["WorkingDir"])
