"""What an engine says of itself, its disk and its images; and a container that lists GPUs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from served import Served

from taorunner.engine.client import Address, Engine
from taorunner.engine.disk import EngineDisk, known_layers, look_at_disk
from taorunner.engine.facts import EngineFacts, image_names, read_facts
from taorunner.engine.gpu_probe import Seen, look_inside
from taorunner.engine.images import Image, find_image, login, pull, pushed_digest, tag_image
from taorunner.engine.images import image_names as tags_of_images
from taorunner.errors import TaorunnerError

DIGEST = "sha256:" + "ab" * 32
WHOLE = {
    "ServerVersion": "24.0.7", "DockerRootDir": "/data/docker", "OperatingSystem": "Docker Desktop", "Architecture": "x86_64",
    "Runtimes": {"runc": {}, "nvidia": {}}, "DiscoveredDevices": [{"ID": "nvidia.com/gpu=0"}, {}],
    "SecurityOptions": ["name=seccomp,profile=default", "name=rootless", "name=userns", "name=selinux"],
    "HttpProxy": "http://p", "HttpsProxy": "https://p", "NCPU": 8, "MemTotal": 5, "SystemTime": "2024-01-31T10:00:00Z",
    "ContainersRunning": 3, "LiveRestoreEnabled": True,
}  # fmt: skip


def test_the_facts_of_an_engine(connected: Engine, served: Served) -> None:
    served.answers["GET /info"] = (200, WHOLE)
    found = read_facts(connected)
    assert found == EngineFacts(
        "24.0.7", "1.43", PurePosixPath("/data/docker"), "Docker Desktop", "x86_64", ("nvidia", "runc"),
        ("nvidia.com/gpu=0", ""), ("seccomp", "rootless", "userns", "selinux"), "http://p", "https://p", 8, 5,
        datetime(2024, 1, 31, 10, tzinfo=timezone.utc), 3, True,
    )  # fmt: skip
    assert found.is_rootless and found.remaps_users and found.labels_files
    assert found.has_nvidia and found.is_desktop and found.has_proxy
    assert replace(found, runtimes=()).has_nvidia and replace(found, cdi_devices=()).has_nvidia
    assert replace(found, http_proxy="").has_proxy and replace(found, https_proxy="").has_proxy


def test_an_engine_that_says_nothing(connected: Engine, served: Served) -> None:
    served.answers["GET /info"] = (200, {})
    found = read_facts(connected)
    assert found == EngineFacts("", "1.43", None, "", "", (), (), (), "", "", None, None, None)
    assert not (found.is_rootless or found.remaps_users or found.labels_files)
    assert not (found.has_nvidia or found.is_desktop or found.has_proxy)


@pytest.mark.parametrize(
    ("body", "has_nvidia"),
    [
        ({}, False),
        ({"Runtimes": {"nvidia": {}}}, True),
        ({"DiscoveredDevices": [{"ID": "nvidia.com/gpu=all"}]}, True),
        ({"DiscoveredDevices": [{"ID": "other.com/x"}, {}]}, False),
    ],
)
def test_whether_an_engine_has_gpus(
    body: dict[str, Any], has_nvidia: bool, connected: Engine, served: Served
) -> None:
    served.answers["GET /info"] = (200, body)
    assert read_facts(connected).has_nvidia is has_nvidia


def test_the_kind_of_an_engine(connected: Engine) -> None:
    assert (connected.kind, replace(connected, product="Libpod/4").kind) == ("docker engine", "podman engine")


def test_names_of_images(connected: Engine, served: Served) -> None:
    images = [
        {"RepoTags": ["b:1", "a:1"]},
        {"RepoTags": ["<none>:<none>"]},
        {"RepoTags": None},
        {"RepoTags": ["a:1"]},
    ]
    served.answers["GET /images/json"] = (200, images)
    assert image_names(connected) == ("b:1", "a:1", "a:1")
    assert tags_of_images(connected) == ["a:1", "b:1"]


def test_the_disk_of_an_engine(connected: Engine, served: Served, tmp_path: Path) -> None:
    served.answers["GET /info"] = (200, {"DockerRootDir": str(tmp_path), "Architecture": "aarch64"})
    found = look_at_disk(connected)
    assert (found.place, found.architecture, found.reason) == (str(tmp_path), "aarch64", None)
    assert found.free_bytes is not None
    assert abs(found.free_bytes - shutil.disk_usage(tmp_path).free) < 10 << 30
    elsewhere = replace(connected, address=Address("tcp://10.0.0.1:2375", "DOCKER_HOST"))
    assert look_at_disk(elsewhere) == EngineDisk(
        str(tmp_path), None, "aarch64", "the engine is on another machine"
    )
    served.answers["GET /info"] = (200, {"DockerRootDir": "/not/there"})
    assert look_at_disk(connected) == EngineDisk(
        "/not/there", None, "x86_64", "/not/there cannot be read from here"
    )
    status = [["driver-type", "io.containerd.snapshotter.v1"], ["odd"]]
    served.answers["GET /info"] = (200, {"DockerRootDir": "/not/there", "DriverStatus": status})
    assert look_at_disk(connected).place == "/var/lib/containerd"
    served.answers["GET /info"] = (200, {"DockerRootDir": "", "DriverStatus": [["driver-type", "x"]]})
    assert look_at_disk(connected).place == ""


def test_the_layers_that_an_engine_has(connected: Engine, served: Served) -> None:
    served.answers["GET /images/json"] = (200, [{"Id": "one"}, {"Id": "gone"}, {"Id": "bare"}])
    served.answers["GET /images/one/json"] = (200, {"RootFS": {"Layers": ["a", "b"]}})
    served.answers["GET /images/gone/json"] = (404, {"message": "No such image: gone"})
    served.answers["GET /images/bare/json"] = (200, {"RootFS": None})
    assert known_layers(connected) == [("a", "b"), ()]
    served.answers["GET /images/gone/json"] = (500, {"message": "a mess"})
    with pytest.raises(TaorunnerError, match="a mess"):
        known_layers(connected)


def test_an_image_of_the_engine(connected: Engine, served: Served) -> None:
    body = {
        "Id": "sha256:1", "RepoDigests": [f"tao@{DIGEST}"], "Size": 7, "Created": "2024-01-31T10:00:00Z",
        "Architecture": "amd64", "RootFS": {"Layers": ["a"]},
    }  # fmt: skip
    served.answers["GET /images/tao:5/json"] = (200, body)
    created = datetime(2024, 1, 31, 10, tzinfo=timezone.utc)
    assert find_image(connected, "tao:5") == Image("sha256:1", DIGEST, 7, created, "amd64", ("a",))
    served.answers["GET /images/tao:5/json"] = (200, {"Id": "sha256:1"})
    assert find_image(connected, "tao:5") == Image("sha256:1", None)
    served.answers["GET /images/tao:5/json"] = (404, {"message": "No such image: tao:5"})
    assert find_image(connected, "tao:5") is None
    served.answers["GET /images/tao:5/json"] = (500, {"message": "a mess"})
    with pytest.raises(TaorunnerError, match="a mess"):
        find_image(connected, "tao:5")


def test_a_pull(connected: Engine, served: Served) -> None:
    events = b'{"status": "Pulling fs layer", "id": "a"}\r\n\r\n{"status": "Pull complete", "id": "a"}\r\n'
    served.answers["POST /images/create"] = (200, events)
    served.answers["GET /images/h:5/tao:1/json"] = (200, {"Id": "sha256:1"})
    seen: list[tuple[int, int]] = []
    image = pull(connected, "h:5/tao:1", lambda state: seen.append((state.layers_done, state.layers)))
    assert (image.id, seen[-1]) == ("sha256:1", (1, 1))
    request = served.of("POST", "/images/create")
    assert request.query == {"fromImage": "h:5/tao", "tag": "1"}
    assert request.headers["x-registry-auth"]
    served.answers["GET /images/h:5/tao:1/json"] = (404, {"message": "No such image"})
    with pytest.raises(TaorunnerError, match="h:5/tao:1"):
        pull(connected, "h:5/tao:1", lambda state: None)
    served.answers["POST /images/create"] = (200, b'{"error": "no space left on device"}\r\n')
    with pytest.raises(TaorunnerError, match="space"):
        pull(connected, "h:5/tao:1", lambda state: None)


def test_another_name_and_the_digest_of_a_push(connected: Engine, served: Served) -> None:
    served.answers["POST /images/a:1/tag"] = (201, b"")
    tag_image(connected, "a:1", "h:5/tao:2")
    query = served.of("POST", "/images/a:1/tag").query
    assert (query["repo"], query["tag"]) == ("h:5/tao", "2")
    assert pushed_digest({"aux": {"Digest": DIGEST}}) == DIGEST
    assert pushed_digest({"aux": None}) is None and pushed_digest({"status": "x"}) is None


def test_the_stored_login_is_sent_with_a_pull(connected: Engine) -> None:
    assert login(connected.api, "nvcr.io/tao") == {}
    connected.api._auth_configs.add_auth("nvcr.io", {"username": "a", "password": "b"})
    assert set(login(connected.api, "nvcr.io/tao")) == {"X-Registry-Auth"}
    assert login(connected.api, "quay.io/tao") == {}


def test_a_container_that_lists_gpus(connected: Engine, served: Served) -> None:
    words = b"GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)\n  MIG 1g.10gb Device 0: (UUID: MIG-1)\nGPU 1: B (UUID: GPU-2)\n"
    served.answers |= {
        "POST /containers/create": (201, {"Id": "c1", "Warnings": []}),
        "POST /containers/c1/start": (204, b""),
        "POST /containers/c1/wait": (200, {"StatusCode": 4}),
        "GET /containers/c1/json": (200, {"Config": {"Tty": True}}),
        "GET /containers/c1/logs": (200, words),
        "DELETE /containers/c1": (204, b""),
    }
    seen = look_inside(connected, "tao:5", patience_s=5)
    assert seen == Seen(("NVIDIA H100 80GB HBM3", "B"), 4, words.decode().strip())
    request = served.of("POST", "/containers/create")
    host = request.json["HostConfig"]
    assert (request.json["Entrypoint"], request.json["Cmd"], host["NetworkMode"]) == (
        ["nvidia-smi"],
        ["-L"],
        "none",
    )
    assert host["SecurityOpt"] == ["no-new-privileges"] and host["LogConfig"]["Type"] == "json-file"
    (devices,) = host["DeviceRequests"]
    assert (devices["Count"], devices["Capabilities"]) == (-1, [["gpu"]])
    assert request.json["Labels"] == {"com.taorunner.probe": "tao:5"}
    assert request.query["name"].startswith("taorunner-doctor-")
    assert served.of("DELETE", "/containers/c1")
    served.asked.clear()
    served.answers["POST /containers/c1/start"] = (500, {"message": "cannot start"})
    with pytest.raises(TaorunnerError, match="cannot start"):
        look_inside(connected, "tao:5", patience_s=5)
    assert served.of("DELETE", "/containers/c1")
