"""What is sent for a container, and what its answers mean."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from served import Served

from taorunner.container_options import ContainerOptions, ContainerSettings, Mount, PublishedPort
from taorunner.engine import containers
from taorunner.engine.client import Engine
from taorunner.engine.containers import ContainerState
from taorunner.engine.facts import parse_time
from taorunner.errors import TaorunnerError

LEAST = ContainerSettings("run-1", "tao:5", ("dino", "train"))
T0 = datetime(2024, 1, 31, 10, 0, tzinfo=timezone.utc)


def test_the_least_that_is_sent(connected: Engine, served: Served) -> None:
    served.answers["POST /containers/create"] = (201, {"Id": "c1", "Warnings": []})
    assert containers.create(connected, LEAST) == "c1"
    request = served.of("POST", "/containers/create")
    assert request.query == {"name": "run-1"}
    body = request.json
    host = body["HostConfig"]
    assert (body["Image"], body["Cmd"], body["Tty"], body["OpenStdin"]) == (
        "tao:5",
        ["dino", "train"],
        False,
        False,
    )
    assert (host["Init"], host["LogConfig"], host["SecurityOpt"]) == (
        True, {"Type": "json-file", "Config": {}}, ["no-new-privileges"],
    )  # fmt: skip
    for absent in (
        "DeviceRequests",
        "GroupAdd",
        "NanoCpus",
        "Memory",
        "ShmSize",
        "Ulimits",
        "PortBindings",
        "ConsoleSize",
    ):
        assert not host.get(absent), absent
    assert not host.get("Privileged") and not body.get("ExposedPorts")


def test_everything_that_can_be_sent(connected: Engine, served: Served) -> None:
    served.answers["POST /containers/create"] = (201, {"Id": "c1", "Warnings": []})
    options = ContainerOptions(
        user="1000:1000", groups=(44, 109), shm_bytes=16 << 30, ulimits={"memlock": -1, "stack": 67},
        hard_ulimits={"stack": 68}, ports={80: 8080}, published=(PublishedPort(90, 9090, "0.0.0.0", "udp"),),
        network="mine", privileged=True, tty=True, interactive=True, terminal=(24, 80), workdir="/w",
    )  # fmt: skip
    containers.create(
        connected,
        replace(
            LEAST, env={"A": "1"}, mounts=(Mount(Path("/d"), "/data", read_only=True), Mount(Path("/r"), "/r")),
            gpus=("0", "GPU-1"), cpus=3, memory_bytes=5 << 30, labels={"l": "v"}, options=options,
        ),
    )  # fmt: skip
    body = served.of("POST", "/containers/create").json
    host = body["HostConfig"]
    assert (body["User"], body["WorkingDir"], body["Env"], body["Labels"]) == (
        "1000:1000",
        "/w",
        ["A=1"],
        {"l": "v"},
    )
    assert (body["Tty"], body["OpenStdin"]) == (True, True)
    assert sorted(body["ExposedPorts"]) == ["80/tcp", "90/udp"]
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "90/udp": [{"HostIp": "0.0.0.0", "HostPort": "9090"}],
    }
    assert host["DeviceRequests"] == [
        {"Driver": "", "Count": 0, "DeviceIDs": ["0", "GPU-1"], "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert (host["NanoCpus"], host["Memory"], host["ShmSize"]) == (3 * 10**9, 5 << 30, 16 << 30)
    assert host["GroupAdd"] == ["44", "109"]
    assert [(one["Name"], one["Soft"], one["Hard"]) for one in host["Ulimits"]] == [
        ("memlock", -1, -1),
        ("stack", 67, 68),
    ]
    assert [(one["Source"], one["Target"], one.get("ReadOnly")) for one in host["Mounts"]] == [
        ("/d", "/data", True), ("/r", "/r", False),
    ]  # fmt: skip
    assert (host["NetworkMode"], host["Privileged"], host["ConsoleSize"]) == ("mine", True, [24, 80])
    assert host["LogConfig"]["Type"] == "none" and "SecurityOpt" not in host


def test_a_name_that_is_taken_and_an_engine_that_refuses(connected: Engine, served: Served) -> None:
    text = 'Conflict. The container name "/run-1" is already in use by container "c0".'
    served.answers["POST /containers/create"] = (409, {"message": text})
    assert containers.create(connected, LEAST) is None
    served.answers["POST /containers/create"] = (404, {"message": "No such image: tao:5"})
    with pytest.raises(TaorunnerError, match="tao:5"):
        containers.create(connected, LEAST)


def body(status: str = "exited", **state: object) -> dict[str, object]:
    return {
        "Id": "c1",
        "State": {
            "Status": status, "ExitCode": 3, "StartedAt": "2024-01-31T10:00:00.5Z",
            "FinishedAt": "2024-01-31T10:01:00Z", **state,
        },
        "Config": {"Labels": {"l": "v"}, "Tty": True},
    }  # fmt: skip


def test_the_state_of_a_container(connected: Engine, served: Served) -> None:
    served.answers["GET /containers/c1/json"] = (200, body())
    started, finished = T0 + timedelta(seconds=0.5), T0 + timedelta(seconds=60)
    found = containers.look(connected, "c1")
    assert found == ContainerState("c1", "exited", {"l": "v"}, True, 3, False, None, started, finished)
    assert found.is_over
    running = body("running", FinishedAt="0001-01-01T00:00:00Z", Error="", OOMKilled=None)
    served.answers["GET /containers/c1/json"] = (200, running)
    found = containers.look(connected, "c1")
    assert found == ContainerState("c1", "running", {"l": "v"}, True, None, False, None, started, None)
    assert not found.is_over
    served.answers["GET /containers/c1/json"] = (200, body("dead", OOMKilled=True, Error="broken"))
    found = containers.look(connected, "c1")
    assert found is not None
    assert (found.is_over, found.exit_code, found.oom_killed, found.error) == (True, 3, True, "broken")
    served.answers["GET /containers/c1/json"] = (404, {"message": "No such container: c1"})
    assert containers.look(connected, "c1") is None
    served.answers["GET /containers/c1/json"] = (500, {"message": "a mess"})
    with pytest.raises(TaorunnerError, match="a mess"):
        containers.look(connected, "c1")


def test_a_short_run_does_not_end_before_it_starts(connected: Engine, served: Served) -> None:
    served.answers["GET /containers/c1/json"] = (200, body(StartedAt="2024-01-31T10:01:00.001Z"))
    found = containers.look(connected, "c1")
    assert found is not None
    assert found.started_at == found.finished_at == T0 + timedelta(seconds=60)


def test_a_start_and_a_wait(connected: Engine, served: Served) -> None:
    served.answers["POST /containers/c1/start"] = (204, b"")
    containers.start(connected, "c1")
    served.answers["POST /containers/c1/start"] = (304, b"")
    containers.start(connected, "c1")
    served.answers["POST /containers/c1/start"] = (500, {"message": "cannot start"})
    with pytest.raises(TaorunnerError, match="cannot start"):
        containers.start(connected, "c1")
    served.answers["POST /containers/c1/wait"] = (200, {"StatusCode": 3})
    served.answers["GET /containers/c1/json"] = (200, body())
    found = containers.wait(connected, "c1")
    assert found is not None and found.exit_code == 3
    served.answers["POST /containers/c1/wait"] = (404, {"message": "No such container: c1"})
    assert containers.wait(connected, "c1") is None
    served.answers["POST /containers/c1/wait"] = (500, {"message": "a mess"})
    with pytest.raises(TaorunnerError, match="a mess"):
        containers.wait(connected, "c1")


@pytest.mark.parametrize(("grace_s", "whole"), [(0.4, "0"), (-3, "0"), (9.6, "10")])
def test_a_stop(grace_s: float, whole: str, connected: Engine, served: Served) -> None:
    served.answers["POST /containers/c1/stop"] = (204, b"")
    containers.stop(connected, "c1", grace_s)
    assert served.of("POST", "/containers/c1/stop").query == {"t": whole}
    served.answers["POST /containers/c1/stop"] = (404, {"message": "No such container: c1"})
    containers.stop(connected, "c1", grace_s)
    served.answers["POST /containers/c1/stop"] = (500, {"message": "a mess"})
    with pytest.raises(TaorunnerError, match="a mess"):
        containers.stop(connected, "c1", grace_s)


def test_a_removal(connected: Engine, served: Served) -> None:
    for status, message in (
        (204, ""),
        (404, "No such container: c1"),
        (409, "removal of container c1 is already in progress"),
    ):
        served.answers["DELETE /containers/c1"] = (status, {"message": message})
        containers.remove(connected, "c1")
    query = served.of("DELETE", "/containers/c1").query
    assert (query["force"], query["v"]) == ("True", "True")
    served.answers["DELETE /containers/c1"] = (500, {"message": "a mess"})
    with pytest.raises(TaorunnerError, match="a mess"):
        containers.remove(connected, "c1")


def test_a_list_by_label(connected: Engine, served: Served) -> None:
    listed = [
        {"Id": "c1", "State": "running", "Labels": {"l": "v"}},
        {"Id": "c2", "State": "exited", "Labels": None},
    ]
    served.answers["GET /containers/json"] = (200, listed)
    assert list(containers.list_labelled(connected, "l=v")) == [
        ContainerState("c1", "running", {"l": "v"}), ContainerState("c2", "exited", {}),
    ]  # fmt: skip
    query = served.of("GET", "/containers/json").query
    assert (query["all"], query["filters"]) == ("1", '{"label": ["l=v"]}')


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31T10:00:00Z", T0),
        ("2024-01-31T10:00:00.123456789Z", T0 + timedelta(microseconds=123456)),
        ("2024-01-31T10:00:00.5Z", T0 + timedelta(microseconds=500000)),
        ("2024-01-31T12:00:00.5+02:00", T0 + timedelta(microseconds=500000)),
        ("2024-01-31T05:00:00.25-05:00", T0 + timedelta(microseconds=250000)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("yesterday", None),
    ],
)
def test_times_of_the_engine(text: str | None, moment: datetime | None) -> None:
    assert parse_time(text) == moment


def test_times_of_the_engine_are_utc_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-9")
    time.tzset()
    try:
        assert parse_time("2024-01-31T10:00:00.5Z") == T0 + timedelta(microseconds=500000)
        assert parse_time("2024-01-31T12:00:00.5+02:00") == T0 + timedelta(microseconds=500000)
    finally:
        monkeypatch.undo()
        time.tzset()


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def test_a_stored_log(connected: Engine, served: Served) -> None:
    served.answers["GET /containers/c1/logs"] = (200, frame(1, b"out\n") + frame(2, b"err\n"))
    assert list(containers.read_log(connected, "c1", follow=False)) == [
        ("stdout", b"out\n"),
        ("stderr", b"err\n"),
    ]
    query = served.of("GET", "/containers/c1/logs").query
    assert query == {"stdout": "1", "stderr": "1", "follow": "0", "tail": "all"}
    list(containers.read_log(connected, "c1", follow=True, last=7))
    query = served.of("GET", "/containers/c1/logs").query
    assert (query["follow"], query["tail"]) == ("1", "7")
    served.answers["GET /containers/c1/logs"] = (200, b"plain text\n")
    assert list(containers.read_log(connected, "c1", follow=False, tty=True)) == [("stdout", b"plain text\n")]
    served.answers["GET /containers/c1/logs"] = (404, {"message": "No such container: c1"})
    with pytest.raises(TaorunnerError):
        containers.read_log(connected, "c1", follow=False)
