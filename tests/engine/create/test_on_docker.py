"""What Docker is asked for a container: GPUs as the engine gives them, the user as a rootless engine maps it."""

from __future__ import annotations

from typing import Any

import pytest
from served import Served

from taorunner.container_options import ContainerOptions, ContainerSettings
from taorunner.engine import containers
from taorunner.engine.client import Address, Engine
from taorunner.engine.create.on_docker import device_requests
from taorunner.values.value import replace

OF_CALLER = ContainerSettings(
    "run-1", "tao:5", ("dino",), options=ContainerOptions(user="1000:1000", groups=(44,))
)
CDI_INFO = {  # of Docker 28.3 with the NVIDIA container toolkit 1.17, names by index and UUID
    "ServerVersion": "28.3.0",
    "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
    "DiscoveredDevices": [
        {"Source": "cdi", "ID": f"nvidia.com/gpu={name}"}
        for name in ("0", "1", "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c", "all")
    ],
}


def asked(engine: Engine, served: Served, settings: ContainerSettings) -> dict[str, Any]:
    served.answers["POST /containers/create"] = (201, {"Id": "c1", "Warnings": []})
    assert containers.create(engine, settings) == "c1"
    return served.of("POST", "/containers/create").json


def elsewhere(engine: Engine) -> Engine:
    """Not at a local socket, whose listener the kernel would name."""
    return replace(engine, address=Address("tcp://gpu-box:2376", "DOCKER_HOST"))


def test_in_a_rootless_engine_the_caller_is_root(connected: Engine, served: Served) -> None:
    served.answers["GET /info"] = (
        200,
        {"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]},
    )
    body = asked(elsewhere(connected), served, OF_CALLER)
    assert (body["User"], body["HostConfig"].get("GroupAdd")) == ("0:0", None)


@pytest.mark.parametrize(
    "answer", [(200, {"SecurityOptions": ["name=seccomp"]}), (403, {"message": "not through here"})]
)
def test_in_another_engine_the_user_stays(answer: tuple[int, Any], connected: Engine, served: Served) -> None:
    served.answers["GET /info"] = answer
    body = asked(elsewhere(connected), served, OF_CALLER)
    assert (body["User"], body["HostConfig"]["GroupAdd"]) == ("1000:1000", ["44"])


def test_root_is_the_same_everywhere_and_nothing_is_asked(connected: Engine, served: Served) -> None:
    for user in ("0:0", "root", None):
        body = asked(elsewhere(connected), served, replace(OF_CALLER, options=ContainerOptions(user=user)))
        assert body.get("User") == user
    assert [request.path for request in served.asked if request.path == "/info"] == []


def requests(engine: Engine, *gpus: str) -> list[dict[str, Any]]:
    return [dict(one) for one in device_requests(engine, gpus)]


def test_gpus_are_cdi_devices_where_the_engine_lists_them(connected: Engine, served: Served) -> None:
    served.answers["GET /info"] = (200, CDI_INFO)
    connected.api._version = "1.51"
    for gpus in (("1", "0"), ("GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c",), ("all",)):
        assert requests(connected, *gpus) == [
            {
                "Driver": "cdi", "Count": 0, "DeviceIDs": [f"nvidia.com/gpu={gpu}" for gpu in gpus],
                "Capabilities": [], "Options": {},
            }
        ]  # fmt: skip


def test_gpus_that_are_not_listed_are_asked_of_the_runtime(connected: Engine, served: Served) -> None:
    served.answers["GET /info"] = (200, CDI_INFO)
    connected.api._version = "1.51"
    of_runtime = {"Driver": "", "Count": 0, "DeviceIDs": ["0", "7"], "Capabilities": [["gpu"]], "Options": {}}
    assert requests(connected, "0", "7") == [of_runtime]
    served.answers["GET /info"] = (403, {"message": "not through here"})
    assert requests(connected, "all") == [{**of_runtime, "Count": -1, "DeviceIDs": []}]
    connected.api._version, served.answers["GET /info"] = "1.49", (200, CDI_INFO)  # too old to list any
    assert requests(connected, "0", "7") == [of_runtime]
