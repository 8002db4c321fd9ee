"""What a keeper on another host is given for a plan."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.backends.cluster_sync import transfer
from taorunner.backends.contract import Launch
from taorunner.backends.docker.remote.backend import DockerSshBackend
from taorunner.backends.docker.remote.folder import Place, refusal
from taorunner.container_options import ContainerOptions, Mount
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.project.clusters.cluster_file import Cluster
from taorunner.project.workspace import Workspace
from taorunner.values.value import replace

PLACE = Place("box", "r1", "/data/ws/.taorunner/runs/r1", "tao:1", 1, "taorunner clusters sync box p")


@pytest.fixture
def plan(make_plan: Callable[..., RunPlan], tmp_path: Path) -> RunPlan:
    options = {"host": "ssh://me@box:2222", "workspace": "/data/ws", "leases": "/locks"}
    made = make_plan(
        "dino", "train", backend="docker-ssh", backend_options=options, image="tao:1", cluster="box"
    )
    return replace(
        made,
        mounts=(
            Mount(tmp_path / "projects", "/ws/projects"),
            Mount(Path("/mnt/sets"), "/sets", read_only=True),
        ),
        options=ContainerOptions(user=f"{os.getuid()}:{os.getgid()}", groups=(4, 27)),
        resources=Resources(gpus=GpuRequest(2), cpus=3, memory_bytes=1 << 30),
    )


def words_of(plan: RunPlan, launch: Launch) -> list[str]:
    job = json.loads(DockerSshBackend().request(plan, launch).scripts["docker/container.json"])
    assert (job["gpus"], job["leases"], job["name"]) == (2, "/locks", f"taorunner-{launch.run_id}")
    words: list[str] = job["words"]
    return words


def test_paths_user_and_limits_are_those_of_the_host(
    plan: RunPlan, make_launch: Callable[..., Launch]
) -> None:
    launch = make_launch()
    words = words_of(plan, launch)
    mounts = [words[at + 1] for at, word in enumerate(words) if word == "--mount"]
    assert mounts == [
        "type=bind,source=/data/ws/projects,target=/ws/projects",
        "type=bind,source=/mnt/sets,target=/sets,readonly",
        f"type=bind,source=/data/ws/.taorunner/runs/{launch.run_id}/input,target=/taorunner/run,readonly",
    ]
    assert words[words.index("--user") + 1] == "@LOGIN@"
    assert "--group-add" not in words and "--gpus" not in words
    assert (words[words.index("--cpus") + 1], words[words.index("--memory") + 1]) == ("3", str(1 << 30))
    assert words[-3:] == ["tao:1", "dino", "train"]


def test_a_user_that_was_chosen_stays(plan: RunPlan, make_launch: Callable[..., Launch]) -> None:
    words = words_of(replace(plan, options=ContainerOptions(user="77:88")), make_launch())
    assert words[words.index("--user") + 1] == "77:88"


def test_the_line_can_be_pasted(plan: RunPlan, make_launch: Callable[..., Launch]) -> None:
    backend = DockerSshBackend()
    line = backend.command_line(backend.request(plan, make_launch()))
    assert line.startswith("ssh ssh://me@box:2222 'docker run --gpus 2 --name ")
    assert '--user "$(id -u):$(id -g)"' in line


def test_files_go_to_an_address_with_a_port(tmp_path: Path) -> None:
    cluster = Cluster("box", "docker-ssh", {"host": "ssh://me@box:2222", "workspace": "/data/ws"})
    made = transfer(cluster, Workspace(tmp_path), [], {}, results=True)
    (shell,) = (made.argv[at + 1] for at, word in enumerate(made.argv) if word == "-e")
    assert shell.endswith(" -p 2222")
    made = transfer(cluster, Workspace(tmp_path), ["p"], {}, results=True)
    assert "me@box:/data/ws/./projects/p/models" in made.argv


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [
        ("docker: command not found", 'there is no docker command on "box"', "install the docker command line there"),
        (
            'invalid mount config for type "bind": bind source path does not exist: /data/ws/x',
            'there is no "/data/ws/x" on "box"', "taorunner clusters sync box p copies it there",
        ),
        ("GPUs cannot be leased there: /locks: Permission denied",
         'GPUs cannot be leased on "box": /locks: Permission denied',
         "give it mode 1777 there, so that every user can write; or leases: another folder for all users of it"),
        ("something odd", 'the docker engine on "box" refused: something odd', None),
    ],
)  # fmt: skip
def test_what_the_host_says_becomes_a_sentence(said: str, reason: str, hint: str | None) -> None:
    end = refusal(said, PLACE)
    assert (end.reason, end.hint) == (reason, hint)


def test_a_refusal_of_the_engine_names_the_host() -> None:
    end = refusal('could not select device driver "" with capabilities: [[gpu]]', PLACE)
    assert end.reason.startswith('on "box": ')
    assert end.hint is not None
