"""``shell --cluster`` on a real terminal and a real Slurm."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from clusters import Rootfs
from command_line import Cli
from pseudo_terminal import PseudoTerminal
from slurm_rig import Cluster

PROGRAM = [sys.executable, "-m", "taorunner", "shell", "--cluster", "site"]


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    return workspace_factory("experiments: {}\n", data={"d/picture.txt": "an image\n"})


def write_clusters(root: Path, **settings: object) -> None:
    text = json.dumps({"clusters": {"site": {"backend": "slurm", "partition": "low", **settings}}})
    (root / "clusters.yml").write_text(text)


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_person_types_on_a_node(workspace: Path, slurm: Cluster, is_remote: bool) -> None:
    environ = {**os.environ, **(slurm.elsewhere if is_remote else slurm.here), "NO_COLOR": "1"}
    write_clusters(workspace, setup=["export SITE='a b'"], **({"host": slurm.login} if is_remote else {}))
    person = PseudoTerminal([*PROGRAM, "--gpus", "1"], cwd=workspace, env=environ, rows=33, columns=77)
    try:
        person.type("echo on-$SLURMD_NODENAME-$SITE-$CUDA_VISIBLE_DEVICES; stty size\n")
        person.wait_for(rf"on-{slurm.layout.nodes[0][:7]}-[123]-a b-[0-3]\r\n", 60)
        person.wait_for(r"33 77\r\n")
        person.type("sh -c 'echo up-$((3 * 7)); exec sleep 600'\n")
        person.wait_for(r"up-21\r\n")
        person.type("\x03")
        person.wait_for(r"\^C")  # it drops what was typed and not read yet
        person.type("echo after-$((6 * 7)); exit 5\n")
        person.wait_for(r"after-42\r\n")
        assert person.end() == 5
        assert person.settings == person.before
    finally:
        person.close()


def test_a_command_runs_in_the_container_of_the_cluster(
    cli: Cli, workspace: Path, slurm: Cluster, rootfs: Callable[..., Rootfs], tmp_path: Path
) -> None:
    image = rootfs("pyt7").folder
    images = tmp_path / "images"
    images.mkdir()
    (images / "stand-in+1").symlink_to(image)
    write_clusters(workspace, container={"runtime": "charliecloud", "images": str(images)})
    words = ("shell", "--cluster", "site", "--image", "stand-in:1")
    script = "cat /workspace/projects/example_01/data/d/picture.txt; echo $WHAT; command -v dino; exit 3"
    done = cli(*words, "--env", "WHAT=it's", "--", "sh", "-c", script, cwd=workspace, env=slurm.here)
    assert (done.code, done.out.splitlines()[:2]) == (3, ["an image", "it's"]), done.out + done.err
    assert done.out.splitlines()[2].endswith("/dino")
    done = cli(*words, "--dry-run", cwd=workspace, env=slurm.here)
    assert (done.code, done.out.startswith("srun --job-name=tr-shell-"), "ch-run" in done.out) == (
        0,
        True,
        True,
    )


def test_what_a_shell_of_a_cluster_cannot_have_is_refused(cli: Cli, workspace: Path) -> None:
    write_clusters(workspace, container={"runtime": "docker"})
    for words, said in (
        (["--port", "8888"], "error: --port cannot be combined with --cluster"),
        (["--gpus", "all"], "error: --gpus all cannot be combined with --cluster"),
        ([], "no image given"),
    ):
        done = cli("shell", "--cluster", "site", *words, cwd=workspace)
        assert (done.code, said in done.err) == (2, True), done.err
    (workspace / "clusters.yml").write_text("clusters: {desk: {backend: docker}}\n")
    done = cli("shell", "--cluster", "desk", cwd=workspace)
    assert (done.code, 'the cluster "desk" (docker) opens no shells' in done.err) == (2, True), done.err
