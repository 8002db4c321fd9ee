"""Runs and shells on a rootless podman, as a person on a university machine has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import images
import podman_engines
import podman_rig
import pytest
from command_line import CALLER, Cli, wait_for
from pseudo_terminal import PseudoTerminal

SPEC = """\
results_dir: $results_dir
train:
  num_gpus: $num_gpus
  gpu_ids: $gpu_ids
  num_epochs: 2
  validation_interval: 1
  checkpoint_interval: 1
dataset:
  train_data_sources:
    - image_dir: $dataset_raw/train
"""


@pytest.fixture(scope="session")
def engine() -> podman_rig.PodmanEngine:
    """In place of Docker's: ``docker_cli`` is a person with it."""
    return podman_engines.shared(podman_rig.CALLER)


@pytest.fixture(scope="session")
def image(engine: podman_rig.PodmanEngine) -> str:
    return images.tao_image(engine, "pyt_7")


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path], docker_cli: Cli, image: str) -> Callable[..., Path]:
    """``workspace(e1={…})``: experiments of dino. The caller owns it all."""

    def make(epochs: int = 2, **experiments: dict[str, Any]) -> Path:
        common = {"head": "dino", "dataset": "coco", "image": image, "release": "7.0.1", "gpus": 1}
        root = workspace_factory(
            {"experiments": {name: {**common, **body} for name, body in experiments.items()}},
            specs={
                f"{name}/train.yaml": SPEC.replace("epochs: 2", f"epochs: {epochs}") for name in experiments
            },
            data={"coco/annotations.json": "{}", "coco/train/file": "x"},
        )
        for path in [root, *root.rglob("*")]:
            os.chown(path, CALLER, CALLER)
        return root

    return make


def left(engine: podman_rig.PodmanEngine, root: Path) -> str:
    return engine.docker("ps", "-aq", "--filter", f"label=com.taorunner.workspace={root}").stdout.strip()


def test_two_experiments_train_on_the_gpus_they_were_given(
    docker_cli: Cli, workspace: Callable[..., Path], engine: podman_rig.PodmanEngine
) -> None:
    root = workspace(
        e1={"gpu_indices": [1], "model_key": "a-secret-key-41"},
        e2={"gpu_indices": [0], "env": {"WANDB_TOKEN": "a-secret-token-42"}},
    )
    done = docker_cli("-p", "example_01", "train", "e1", "e2", "--parallel", "2", cwd=root)
    assert done.code == 0, done.err + done.out
    for name, gpu in (("e1", "1"), ("e2", "0")):
        seen = json.loads((root / "projects/example_01/models" / name / "seen.json").read_text())
        assert seen["environment"]["NVIDIA_VISIBLE_DEVICES"] == gpu
        assert seen["home_is_writable"]
    wait_for(lambda: left(engine, root) == "")
    assert {path.lstat().st_uid for path in root.rglob("*")} == {CALLER}
    for record in (root / ".taorunner/runs").glob("*/request.txt"):
        assert record.read_text().startswith("podman run ")
    logs = docker_cli("logs", "e1", "-p", "example_01", cwd=root)
    assert "Execution status: PASS" in logs.out


def test_a_run_is_followed_and_stopped(
    docker_cli: Cli, workspace: Callable[..., Path], engine: podman_rig.PodmanEngine
) -> None:
    root = workspace(e1={"gpu_indices": [0], "env": {"FAKE_FAIL": "hang"}})
    started = docker_cli("train", "e1", "--detach", cwd=root)
    assert started.code == 0, started.err
    (run,) = started.out.split()
    logs = docker_cli.start("logs", "-f", "e1", cwd=root)
    assert logs.stdout is not None
    assert logs.stdout.readline()  # while it runs
    wait_for(lambda: "EpochProgress" in (root / ".taorunner/runs" / run / "events.jsonl").read_text())
    (shown,) = docker_cli("ps", "--json", cwd=root).json
    assert (shown["id"], shown["state"], shown["gpus"]) == (run, "RUNNING", ["0"])
    stopped = docker_cli("stop", "e1", cwd=root)
    assert (stopped.code, stopped.out.split()[:2]) == (0, [run[-6:], "stopped"])
    out, _ = logs.communicate(timeout=20)
    assert logs.returncode == 0
    assert b"[TAO Toolkit]" in out
    wait_for(lambda: left(engine, root) == "")


@pytest.fixture
def open_shell(docker_cli: Cli, workspace: Callable[..., Path], image: str) -> Iterator[Callable[..., Any]]:
    opened: list[PseudoTerminal] = []

    def make(root: Path, *words: str) -> PseudoTerminal:
        prefix = list(docker_cli.prefix)
        prefix[0] = str(shutil.which(prefix[0]))
        command = [*prefix, sys.executable, "-m", "taorunner", "shell", "--image", image, *words]
        opened.append(PseudoTerminal(command, cwd=root, env=docker_cli.environment()))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.clear()


def test_a_shell_on_a_terminal(
    open_shell: Callable[..., PseudoTerminal], workspace: Callable[..., Path], engine: podman_rig.PodmanEngine
) -> None:
    root = workspace(e1={})
    terminal = open_shell(root, "--gpu-indices", "1", "--", "sh")
    terminal.type("echo gpus''=$NVIDIA_VISIBLE_DEVICES on $(tty) as $(id -u)\n")
    terminal.wait_for(rf"gpus=1 on /dev/(pts/0|console) as {CALLER}\r\n")

    def size() -> str:
        terminal.type("stty size; echo answe''red\n")
        return terminal.wait_for(r"(?:(\d+ \d+)|stty: standard input)\r\nanswered")[1]

    wait_for(lambda: size() == "30 97", 10)
    terminal.resize(41, 133)
    wait_for(lambda: size() == "41 133", 10)
    terminal.type("exit 37\n")
    assert terminal.end() == 37
    assert terminal.settings == terminal.before
    assert left(engine, root) == ""


def test_a_shell_in_pipes(
    docker_cli: Cli, workspace: Callable[..., Path], image: str, engine: podman_rig.PodmanEngine
) -> None:
    root = workspace(e1={})
    script = "cat; echo wrong >&2; [ -t 0 ] || echo no tty; exit 9"
    done = docker_cli("shell", "--image", image, "--", "sh", "-c", script, stdin="one\ntwo\n", cwd=root)
    assert (done.code, done.err) == (9, "wrong\n")
    assert done.out.endswith("one\ntwo\nno tty\n")
    text = "".join(f"{number:07d} goes through and comes back\n" for number in range(20_000))
    done = docker_cli("shell", "--image", image, "--", "cat", stdin=text, cwd=root)
    assert done.out.endswith(text)
    script = "trap 'echo caught; exit 21' INT; echo ready; while :; do sleep 0.1; done"
    running = docker_cli.start("shell", "--image", image, "--no-tty", "--", "sh", "-c", script, cwd=root)
    assert running.stdout is not None
    while running.stdout.readline() != b"ready\n":
        pass
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (21, b"caught\n", b"")
    assert left(engine, root) == ""


def test_the_doctor_and_a_container_that_sees_the_gpus(
    docker_cli: Cli, workspace: Callable[..., Path], image: str
) -> None:
    root = workspace(e1={})
    done = docker_cli("doctor", "--only", "engine,gpu-in-container", "--json", cwd=root)
    found = {one["code"]: one for one in json.loads(done.out)}
    assert found["engine"]["message"].startswith("podman engine 4.")
    assert "results belong to you" in found["engine-rootless"]["message"]
    assert found["gpu-in-container"]["message"] == f'a container of "{image}" sees 2 GPUs'
