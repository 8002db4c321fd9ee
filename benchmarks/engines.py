"""The Docker engine to measure on: the one of DOCKER_HOST, or a private one that lives as long as this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from workspaces import PROJECT, TAORUNNER

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "rig"))

import images  # the test rig's

import rig  # the test rig's


def engine() -> rig.Engine:
    """Also sets DOCKER_HOST, for everything that is started from here on."""
    url = os.environ.get("DOCKER_HOST")
    if url:
        return rig.Engine(url, Path(tempfile.mkdtemp(prefix="taorunner-bench-")), is_private=False)
    found = rig.up(Path("/tmp/taorunner-bench"), owner=os.getpid())
    os.environ["DOCKER_HOST"] = found.url
    return found


def image_that_only(found: rig.Engine, name: str, entrypoint: list[str]) -> str:
    """An image that runs ``entrypoint`` with any arguments, as two megabytes around busybox."""
    base = images.noop_image(found)
    tag = f"taorunner-bench/{name}:{images.digest(base, *entrypoint)}"
    if not images.has_image(found, tag):
        created = images.checked(found, "create", base)
        images.checked(
            found, "commit", "-c", f"ENTRYPOINT {json.dumps(entrypoint)}", "-c", "CMD []", created, tag
        )
        images.checked(found, "rm", created)
    return tag


def docker_run(workspace: Path) -> list[str]:
    """The ``docker run`` that makes the same container as ``taorunner train noop``: same mounts, labels, limits.

    From the dry run, without the name, which can be used only once.
    """
    shown = subprocess.run(
        [*TAORUNNER, "-p", PROJECT, "train", "noop", "--dry-run", "--json"],
        cwd=workspace, check=True, capture_output=True,
    )  # fmt: skip
    made, _, line = json.loads(shown.stdout)[0]["docker_run"].rpartition(" && ")
    subprocess.run(["sh", "-c", made], check=True)
    argv: list[str] = line.split()
    at = argv.index("--name")
    return [*argv[:at], *argv[at + 2 :]]
