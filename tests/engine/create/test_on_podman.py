"""What podman is asked for a container, and what it cannot give."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from served import Served

from taorunner.container_options import ContainerOptions, ContainerSettings, Mount, PublishedPort
from taorunner.engine import containers
from taorunner.engine.client import Engine
from taorunner.engine.create.on_podman import NO_LIMIT, specification, user_namespace
from taorunner.errors import EngineRefusedError, MachineError
from taorunner.values.value import replace

LEAST = ContainerSettings("run-1", "tao:5", ("dino", "train"))
CREATE = "/v4.3.1/libpod/containers/create"


def podman(engine: Engine, version: str = "4.3.1") -> Engine:
    return replace(engine, product=f"Libpod/{version} (linux)")


def test_the_least_that_is_asked() -> None:
    assert specification(LEAST, rootless=False, version=(4, 3, 1)) == {
        "name": "run-1", "image": "tao:5", "command": ["dino", "train"], "env": {}, "labels": {}, "init": True,
        "create_working_dir": True, "log_configuration": {"driver": "k8s-file"}, "terminal": False, "stdin": False,
        "privileged": False, "no_new_privileges": True, "selinux_opts": ["disable"], "devices": [], "mounts": [],
        "r_limits": [], "portmappings": [], "resource_limits": {"pids": {"limit": -1}}, "groups": [],
    }  # fmt: skip


def test_everything_that_can_be_asked() -> None:
    options = ContainerOptions(
        user="1000:1001", groups=(44, 109), shm_bytes=16 << 30, ulimits={"memlock": -1, "stack": 67},
        hard_ulimits={"stack": 68}, ports={80: 8080}, published=(PublishedPort(90, 9090, "0.0.0.0", "udp"),),
        network="mine", privileged=True, tty=True, interactive=True, terminal=(24, 80), workdir="/w",
    )  # fmt: skip
    whole = replace(
        LEAST, env={"A": "1"}, mounts=(Mount(Path("/d"), "/data", read_only=True), Mount(Path("/r"), "/r")),
        gpus=("0", "GPU-1"), cpus=3, memory_bytes=5 << 30, labels={"l": "v"}, options=options,
    )  # fmt: skip
    expected = {
        "name": "run-1", "image": "tao:5", "command": ["dino", "train"], "env": {"A": "1"}, "labels": {"l": "v"},
        "init": True, "create_working_dir": True, "log_configuration": {"driver": "none"}, "terminal": True,
        "stdin": True, "privileged": True, "no_new_privileges": False, "selinux_opts": ["disable"],
        "devices": [{"path": "nvidia.com/gpu=0"}, {"path": "nvidia.com/gpu=GPU-1"}],
        "mounts": [
            {"type": "bind", "source": "/d", "destination": "/data", "options": ["rbind", "ro"]},
            {"type": "bind", "source": "/r", "destination": "/r", "options": ["rbind", "rw"]},
        ],
        "r_limits": [
            {"type": "memlock", "soft": NO_LIMIT, "hard": NO_LIMIT}, {"type": "stack", "soft": 67, "hard": 68},
        ],
        "portmappings": [
            {"container_port": 80, "host_port": 8080},
            {"container_port": 90, "host_port": 9090, "host_ip": "0.0.0.0", "protocol": "udp"},
        ],
        "netns": {"nsmode": "bridge"}, "Networks": {"mine": {}}, "user": "1000:1001", "work_dir": "/w",
        "shm_size": 16 << 30,
    }  # fmt: skip
    limits = {"memory": {"limit": 5 << 30}, "cpu": {"quota": 300_000, "period": 100_000}}
    assert specification(whole, rootless=False, version=(4, 3)) == {
        **expected,
        "groups": ["44", "109"],
        "resource_limits": {"pids": {"limit": -1}, **limits},
    }
    assert specification(whole, rootless=True, version=(4, 3)) == {
        **expected,
        "userns": {"nsmode": "keep-id", "value": "uid=1000,gid=1001"},
        "resource_limits": limits,
    }


@pytest.mark.parametrize(
    ("network", "asked"),
    [
        (None, {}),
        ("host", {"netns": {"nsmode": "host"}}),
        ("none", {"netns": {"nsmode": "none"}}),
        ("container:c1", {"netns": {"nsmode": "container", "value": "c1"}}),
    ],
)
def test_networks(network: str | None, asked: dict[str, object]) -> None:
    body = specification(
        replace(LEAST, options=ContainerOptions(network=network)), rootless=False, version=(5, 0)
    )
    assert {name: body[name] for name in ("netns", "Networks") if name in body} == asked


@pytest.mark.parametrize(
    ("user", "version", "namespace"),
    [
        (None, (4, 3), None),
        ("0:0", (3, 4), None),
        ("root", (4, 3), None),
        ("1000", (4, 3, 1), "keep-id:uid=1000,gid=1000"),
        ("1000:100", (5, 2), "keep-id:uid=1000,gid=100"),
    ],
)
def test_whoever_the_user_is_inside_is_the_owner(
    user: str | None, version: tuple[int, ...], namespace: str | None
) -> None:
    assert user_namespace(user, version) == namespace


def test_a_user_who_cannot_be_the_owner_is_refused() -> None:
    with pytest.raises(EngineRefusedError, match='whose files "ubuntu" would write') as named:
        user_namespace("ubuntu", (4, 3))
    assert named.value.hint is not None and "numbers, uid:gid" in named.value.hint
    another = os.getuid() + 5
    with pytest.raises(EngineRefusedError, match=f'podman 4.2 cannot let the user "{another}" write'):
        user_namespace(str(another), (4, 2))
    assert os.getuid() == 0 or user_namespace(str(os.getuid()), (4, 2)) == "keep-id"


def test_a_container_and_its_answer(connected: Engine, served: Served) -> None:
    served.answers[f"POST {CREATE}"] = (201, {"Id": "c1", "Warnings": []})
    assert containers.create(podman(connected), replace(LEAST, gpus=("0",))) == "c1"
    sent = served.of("POST", CREATE).json
    assert (sent["devices"], sent["name"]) == ([{"path": "nvidia.com/gpu=0"}], "run-1")
    text = 'creating container storage: the container name "run-1" is already in use by 5574. You have to remove it'
    served.answers[f"POST {CREATE}"] = (500, {"message": text})
    assert containers.create(podman(connected), LEAST) is None


def test_a_podman_too_old_for_cdi_is_not_asked(connected: Engine, served: Served) -> None:
    with pytest.raises(
        MachineError, match=r"podman 4\.0\.2 cannot give GPUs to a container: that needs 4\.1"
    ):
        containers.create(podman(connected, "4.0.2"), replace(LEAST, gpus=("0",)))
    assert [request for request in served.asked if request.method == "POST"] == []


def test_limits_that_are_ignored_are_refused(connected: Engine, served: Served) -> None:
    warning = "Resource limits are not supported and ignored on cgroups V1 rootless systems"
    served.answers[f"POST {CREATE}"] = (201, {"Id": "c1", "Warnings": [warning]})
    served.answers["DELETE /containers/c1"] = (204, b"")
    assert containers.create(podman(connected), LEAST) == "c1"  # none is asked for
    for limited in (replace(LEAST, cpus=2), replace(LEAST, memory_bytes=1 << 30)):
        with pytest.raises(EngineRefusedError, match="does not apply limits of CPUs and memory here"):
            containers.create(podman(connected), limited)
        assert served.of("DELETE", "/containers/c1")
