"""``shell --cluster`` on a stand-in for Kubernetes: the real kubectl on a real terminal, and a pod that is a container."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import images
import pytest
from command_line import Cli
from kube_cluster import CLAIM, KubeCluster
from pseudo_terminal import PseudoTerminal

import rig

CANARY = "canary-9f2c"
IMAGE_WORDS = ("shell", "--cluster", "site", "--image")


@pytest.fixture
def image(engine: rig.Engine) -> str:
    return images.tao_image(engine, "pyt7")


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path], kubernetes: KubeCluster) -> Path:
    root = workspace_factory("experiments: {}\n", data={"d/picture.txt": "an image\n"})
    entry = {"backend": "kubernetes", "workspace": {"claim": CLAIM, "path": root.name}}
    kubernetes.runner.claims[CLAIM] = root.parent
    (root / "clusters.yml").write_text(json.dumps({"clusters": {"site": entry}}))
    return root


def left(cluster: KubeCluster) -> list[str]:
    """Objects that are there and are not going."""
    with cluster.store.changed:
        found = [*cluster.store.all("pods"), *cluster.store.all("secrets")]
        return [one["metadata"]["name"] for one in found if not one["metadata"].get("deletionTimestamp")]


def test_a_person_types_in_a_pod(workspace: Path, kubernetes: KubeCluster, image: str) -> None:
    environ = {**os.environ, **kubernetes.environment, "NO_COLOR": "1"}
    program = [sys.executable, "-m", "taorunner", *IMAGE_WORDS, image]
    person = PseudoTerminal(program, cwd=workspace, env=environ, rows=33, columns=77)
    try:
        person.type("echo in-$((40 + 2))-$POD_NAME\n")
        person.wait_for(r"in-42-tr-[a-z0-9-]+\r\n", 90)
        person.type("until stty size 2>/dev/null; do sleep 0.1; done\n")  # it comes after the first bytes
        person.wait_for(r"33 77\r\n")
        person.type("sh -c 'echo up-$((3 * 7)); exec sleep 600'\n")
        person.wait_for(r"up-21\r\n")
        person.type("\x03")
        person.wait_for(r"\^C")
        person.type("echo after-$((6 * 7)); exit 5\n")
        person.wait_for(r"after-42\r\n")
        assert person.end() == 5
        assert person.settings == person.before
    finally:
        person.close()
    assert left(kubernetes) == []


@pytest.mark.parametrize("ending", [signal.SIGHUP, signal.SIGTERM])
def test_a_shell_that_is_ended_leaves_no_pod(
    workspace: Path, kubernetes: KubeCluster, image: str, ending: signal.Signals
) -> None:
    """As when its terminal is closed."""
    program = [sys.executable, "-m", "taorunner", *IMAGE_WORDS, image, "--", "sh", "-c", "echo up; sleep 600"]
    environ = {**os.environ, **kubernetes.environment}
    with subprocess.Popen(
        program, cwd=workspace, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdout is not None and shell.stdout.readline() == "up\n"
        assert len(left(kubernetes)) == 1
        shell.send_signal(ending)
        assert shell.wait(60) == 128 + ending
    assert left(kubernetes) == []


def test_a_command_has_mounts_variables_and_secrets_and_nothing_is_left(
    cli: Cli, workspace: Path, kubernetes: KubeCluster, image: str
) -> None:
    script = "cat /workspace/projects/example_01/data/d/picture.txt; echo $WHAT; echo ${#KEY}-$KEY | tr a-z A-Z; id -u; exit 3"
    env = {**kubernetes.environment, "KEY": CANARY}
    words = (*IMAGE_WORDS, image, "--env", "WHAT=it's", "--env", "KEY=env:KEY", "--", "sh", "-c", script)
    done = cli(*words, cwd=workspace, env=env)
    expected = ["an image", "it's", f"{len(CANARY)}-{CANARY.upper()}", str(os.getuid())]
    assert (done.code, done.out.splitlines()) == (3, expected), done.out + done.err
    assert left(kubernetes) == []
    assert not [
        path for path in workspace.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    assert CANARY not in json.dumps(list(kubernetes.store.all("pods")))
    dry = cli(*words[:-4], "--dry-run", cwd=workspace, env=env)
    assert (dry.code, "kind: Pod" in dry.out, "# kubectl exec -i -t tr-" in dry.out) == (0, True, True), (
        dry.out
    )
    assert CANARY not in dry.out + dry.err


def test_a_pod_that_cannot_start_is_a_sentence_and_goes(
    cli: Cli, workspace: Path, kubernetes: KubeCluster, image: str
) -> None:
    body = json.loads((workspace / "clusters.yml").read_text())
    body["clusters"]["site"]["workspace"]["claim"] = "other"
    (workspace / "clusters.yml").write_text(json.dumps(body))
    done = cli(*IMAGE_WORDS, image, "--", "true", cwd=workspace, env=kubernetes.environment)
    assert (done.code, 'claim "other"' in done.err, left(kubernetes)) == (5, True, []), done.err
