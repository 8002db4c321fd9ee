"""Runs on the docker engine of another host, as a shell sees them: a real sshd, a workspace of its own there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Done, wait_for
from launch_workspaces import good_workspace
from pseudo_terminal import PseudoTerminal
from remote_hosts import ALIAS, remote_host, uuid_of
from ssh_host import is_installed

pytestmark = pytest.mark.skipif(not is_installed(), reason="openssh-server is not installed")


@dataclass(frozen=True)
class Box:
    """``root`` is the workspace here, ``there`` that of the host."""

    cli: Cli
    root: Path
    there: Path
    environ: dict[str, str]

    def __call__(self, *words: str, timeout_s: float = 120) -> Done:
        return self.cli(*words, cwd=self.root, env=self.environ, timeout_s=timeout_s)

    def write_clusters(self, **more: object) -> None:
        box = {"backend": "docker", "host": ALIAS, "workspace": str(self.there), **more}
        (self.root / "clusters.yml").write_text(json.dumps({"clusters": {"box": box}}))

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self("runs", "list", "--json").json
        return found


@pytest.fixture
def box(cli: Cli, tmp_path: Path, engine: Any, tao_image: Callable[..., str]) -> Iterator[Box]:
    root = good_workspace(tmp_path / "workspace", "dino")
    file = root / "projects/p/experiments.yml"
    written = json.loads(file.read_text())
    written["experiments"]["e1"]["image"] = tao_image("pyt_7")
    file.write_text(json.dumps(written))
    with remote_host(tmp_path, engine.url) as host:
        found = Box(cli, root, tmp_path / "far side" / "ws", host.environ)
        found.write_clusters()
        yield found
        found("stop", "--all")


def test_results_stay_there_until_they_are_brought_back(box: Box) -> None:
    checked = box("clusters", "check", "box")
    assert (checked.code, "2 GPUs: NVIDIA L4" in checked.out) == (0, True), checked.out + checked.err
    done = box("train", "e1", "--cluster", "box")
    missing = f'there is no "{box.there}/projects/p/data/parts/train/images" on "{ALIAS}"'
    assert (done.code, missing in done.out) == (5, True), done.out + done.err
    assert "hint: taorunner clusters sync box p copies it there" in done.out
    assert not (box.there / "projects").exists()
    done = box("clusters", "sync", "box", "p", "--yes")
    assert done.code == 0, done.err

    done = box("train", "e1", "--cluster", "box")
    assert done.code == 0, done.out + done.err
    (run,) = [one for one in box.runs() if one["state"] == "SUCCEEDED"]
    assert (run["epoch"], run["cluster"], run["backend"]) == (2, "box", "docker-ssh")
    assert f"results of e1: {ALIAS}:{box.there}/projects/p/models/e1" in done.out
    assert list(box.there.rglob("*.pth")) and not list((box.root / "projects").rglob("*.pth"))
    assert not list((box.there / ".taorunner/runs").iterdir())
    done = box("clusters", "sync", "box", "p", "--results", "--yes")
    assert done.code == 0, done.err
    assert list((box.root / "projects").rglob("*.pth"))


def test_a_training_is_seen_stopped_and_resumed(box: Box) -> None:
    box("clusters", "sync", "box", "p", "--yes")
    slow = ("--env", "FAKE_EPOCH_S=1")
    done = box("train", "e1", "--cluster", "box", "--epochs", "25", *slow, "-d")
    assert done.code == 0, done.err
    wait_for(lambda: (box.runs()[0]["epoch"] or 0) >= 2, 90)
    shown = box("ps")
    assert "box, GPU 0" in shown.out, shown.out
    done = box("stop", "e1")
    assert (done.code, box.runs()[0]["state"]) == (0, "STOPPED"), done.err
    assert "Train results will be saved at" in box("logs", "e1").out
    done = box("resume", "e1", "--env", "FAKE_EPOCH_S=0")
    assert (done.code, "resumes after epoch" in done.out + done.err) == (0, True), done.out + done.err


def test_a_shell_there_has_gpus_while_it_lives(box: Box, tao_image: Callable[..., str]) -> None:
    box("clusters", "sync", "box", "p", "--yes")
    script = "echo $NVIDIA_VISIBLE_DEVICES $WHAT; ls /workspace/projects/p/specs; exit 3"
    words = ("shell", "--cluster", "box", "--image", tao_image("pyt_7"))
    done = box(*words, "--gpus", "2", "--env", "WHAT=it's", "--", "sh", "-c", script)
    said = f"{uuid_of(0)},{uuid_of(1)} it's\ne1\n"
    assert (done.code, done.out.endswith(said)) == (3, True), done.out + done.err
    done = box(*words, "--gpus", "3", "--", "true")
    assert (done.code, "3 GPUs asked for, there are 2" in done.err) == (1, True), done.err
    person = PseudoTerminal(
        [sys.executable, "-m", "taorunner", *words, "--gpus", "1"], cwd=box.root,
        env={**os.environ, **box.environ, "NO_COLOR": "1"}, rows=33, columns=77,
    )  # fmt: skip
    try:
        person.type("echo on-$NVIDIA_VISIBLE_DEVICES\n")
        person.wait_for(rf"on-{uuid_of(0)}", 60)
        person.type("sh -c 'echo up-$((3 * 7)); exec sleep 600'\n")
        person.wait_for(r"up-21")
        person.type("\x03")
        person.type("echo after-$((6 * 7)); exit 5\n")
        person.wait_for(r"after-42")
        assert person.end() == 5
    finally:
        person.close()
