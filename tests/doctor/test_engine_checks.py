"""No engine, no permission, an old one, one that hangs; runtimes and the toolkit; and the commands that repair it."""

from __future__ import annotations

import grp
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from planted import FEDORA, IMAGE_7, Place, StandInEngine, as_another_user, codes, look

from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Finding, Severity

WANTS_7 = Needs(is_known=True, images={IMAGE_7: ("p/e",)})
WANTS_NONE = Needs(is_known=True, wants_gpus=False)
UNSEEN = (Severity.INFO, "engine-unseen")


def test_a_machine_without_docker(place: Place) -> None:
    found, unseen = look("engine", place.machine(uid=1000))
    install = "sudo apt-get update && sudo apt-get install -y docker.io && sudo systemctl enable --now docker"
    assert found == Finding(Severity.ERROR, "engine-missing", "docker is not installed", install)
    assert codes([unseen]) == [UNSEEN]


def test_docker_is_installed_as_the_distribution_does_it(place: Place) -> None:
    place.file("etc/os-release", FEDORA)
    (found, _) = look("engine", place.machine(uid=0))
    assert found.hint == "curl -fsSL https://get.docker.com | sh && systemctl enable --now docker"


def test_where_no_experiment_needs_an_engine_its_absence_is_no_error(place: Place) -> None:
    assert codes(look("engine", place.machine(needs=WANTS_NONE))) == [
        (Severity.INFO, "engine-missing"),
        UNSEEN,
    ]


def test_an_engine_that_does_not_run_is_started_by_the_repair(place: Place) -> None:
    place.program("dockerd", "exit 0")
    place.recorded("systemctl")
    found, _ = look("engine", place.machine(uid=1000))
    assert (found.code, found.hint) == ("engine-down", "sudo systemctl start docker")
    place.paste(found.hint)
    assert place.record == ["systemctl start docker"]


def test_without_systemd_it_is_service(place: Place) -> None:
    place.program("dockerd", "exit 0")
    (place.root / "run/systemd/system").rmdir()
    found, _ = look("engine", place.machine(uid=0))
    assert found.hint == "service docker start"


def test_a_socket_without_a_listener(place: Place) -> None:
    place.program("docker", "exit 0")
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(place.folder / "docker.sock"))
    dead.close()
    found, _ = look("engine", place.machine())
    assert (found.severity, found.code) == (Severity.ERROR, "engine-down")


@pytest.fixture
def closed_socket() -> Iterator[Path]:
    """A socket with a listener that only root and a group may use. In /tmp: another uid must come as far."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    path = Path(f"/tmp/taor-doctor-{os.getpid()}.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0o660)
        yield path
    path.unlink()


def test_a_socket_of_root_alone_is_given_to_the_group_docker(place: Place, closed_socket: Path) -> None:
    found = as_another_user(place, "engine", host=f"unix://{closed_socket}")[0]
    assert (found.severity, found.code) == (Severity.ERROR, "engine-permission")
    text = (
        f'"somebody" has no permission for the docker engine at "{closed_socket}": not in the group "docker"'
    )
    assert found.message == text
    place.recorded("groupadd", "chgrp", "chmod", "usermod", "newgrp")
    place.paste(found.hint)
    assert place.record == [
        "groupadd -f docker",
        f"chgrp docker {closed_socket}",
        f"chmod g+rw {closed_socket}",
        "usermod -aG docker somebody",
        "newgrp docker",
    ]


def test_a_user_outside_the_sockets_group_is_added_to_it(place: Place, closed_socket: Path) -> None:
    os.chown(closed_socket, 0, grp.getgrnam("daemon").gr_gid)
    found = as_another_user(place, "engine", host=f"unix://{closed_socket}")[0]
    assert found.hint == "sudo usermod -aG daemon somebody && newgrp daemon"


def test_a_user_who_joined_the_group_after_the_login(place: Place, closed_socket: Path) -> None:
    os.chown(closed_socket, 0, grp.getgrnam("daemon").gr_gid)
    place.file("etc/group", "root:x:0:\ndaemon:x:1:anna,somebody\n")
    found = as_another_user(place, "engine", host=f"unix://{closed_socket}")[0]
    assert found.message.endswith(': added to the group "daemon" after logging in')
    assert found.hint == "newgrp daemon"


def test_an_engine_that_hangs(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.hangs = threading.Event()
    machine = place.machine(uid=1000)
    found, unseen = look("engine", machine)
    stand_in_engine.hangs.set()
    assert machine.engine().facts.version == "24.0.7"  # the answer that came too late
    machine.close()
    text = f'the docker engine at "unix://{stand_in_engine.path}" does not answer within 3 s'
    assert found == Finding(Severity.ERROR, "engine-hangs", text, "sudo systemctl restart docker")
    assert codes([unseen]) == [UNSEEN]


def test_an_address_that_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ftp://nobody")
    found, _ = look("engine", place.machine())
    assert found == Finding(
        Severity.ERROR,
        "engine-unreachable",
        '"ftp://nobody" is not an address of a docker engine',
        "use unix://PATH, tcp://HOST:PORT or ssh://HOST",
    )


def test_a_context_that_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "nope")
    found, _ = look("engine", place.machine())
    assert (found.severity, found.code) == (Severity.ERROR, "engine-unreachable")
    assert found.message == 'there is no docker context "nope" (named by DOCKER_CONTEXT)'


def test_docker_host_is_unset_where_a_local_engine_is(place: Place, tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    path = place.root / "var/run/docker.sock"
    path.parent.mkdir(parents=True)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has room for 107 characters
    try:
        listening.bind(path.name)
    finally:
        os.chdir(here)
    found, _ = look("engine", place.machine())
    listening.close()
    assert (found.code, found.hint) == ("engine-address", "unset DOCKER_HOST")


def test_an_engine_as_it_should_be(place: Place, stand_in_engine: StandInEngine) -> None:
    (found,) = look("engine", place.machine())
    text = f"docker engine 24.0.7, API 1.43, at unix://{stand_in_engine.path}"
    assert found == Finding(Severity.OK, "engine", text)


@pytest.mark.parametrize(
    ("version", "api", "needs", "code", "end"),
    [
        ("18.09.1", "1.39", Needs(), "engine-api-old", "TAO needs API 1.40"),
        ("19.03.4", "1.40", Needs(), "engine-old", "TAO needs 19.03.5"),
        ("19.03.15", "1.40", WANTS_7, "engine-old", "TAO needs 20.10"),
    ],
)
def test_an_engine_that_is_too_old(
    version: str, api: str, needs: Needs, code: str, end: str, place: Place, stand_in_engine: StandInEngine
) -> None:
    stand_in_engine.info["ServerVersion"], stand_in_engine.api = version, api
    (found,) = look("engine", place.machine(needs=needs, uid=1000))
    assert (found.severity, found.code) == (Severity.ERROR, code)
    assert found.message.endswith(f": {end}")
    assert found.hint == "curl -fsSL https://get.docker.com | sudo sh && sudo systemctl restart docker"


@pytest.mark.parametrize("version", ["19.03.5", "19.03.15", "20.10.24+dfsg1", "28.0.1"])
def test_an_engine_that_is_new_enough(version: str, place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["ServerVersion"] = version
    assert codes(look("engine", place.machine())) == [(Severity.OK, "engine")]


def test_a_rootless_docker(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["SecurityOptions"] = ["name=seccomp,profile=builtin", "name=rootless"]
    _, said, lingers, found = look("engine", place.machine(uid=1000))
    assert codes([said, lingers, found]) == [
        (Severity.INFO, "engine-rootless"),
        (Severity.WARNING, "engine-lingers"),
        (Severity.WARNING, "engine-rootless"),
    ]
    assert "results belong to you" in said.message
    place.recorded("nvidia-ctk", "systemctl", "loginctl")
    place.paste(found.hint)
    place.paste(lingers.hint)
    assert place.record == [
        "nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place",
        "systemctl --user restart docker",
        "loginctl enable-linger somebody",
    ]
    place.file("var/lib/systemd/linger/somebody", "")
    stand_in_engine.info["DiscoveredDevices"] = [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]
    assert codes(look("engine", place.machine(uid=1000)))[1:] == [(Severity.INFO, "engine-rootless")]


def test_an_engine_that_gives_other_user_ids(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["SecurityOptions"] = ["name=userns"]
    settings = place.file("etc/docker/daemon.json", '{"debug": true,\n "userns-remap": "default"\n}')
    _, found = look("engine", place.machine(uid=1000))
    assert (found.severity, found.code) == (Severity.WARNING, "engine-remaps-users")
    place.recorded("systemctl")
    place.paste(found.hint)
    assert json.loads(settings.read_text()) == {"debug": True}
    assert place.record == ["systemctl restart docker"]


def test_a_missing_runtime_is_registered_by_the_repair(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["Runtimes"] = {"runc": {}, "io.containerd.runc.v2": {}}
    place.recorded("nvidia-ctk", "systemctl")
    (found,) = look("runtime", place.machine(uid=1000))
    assert (found.severity, found.code) == (Severity.ERROR, "runtime-missing")
    assert "it has io.containerd.runc.v2, runc" in found.message
    place.paste(found.hint)
    assert place.record == ["nvidia-ctk runtime configure --runtime=docker", "systemctl restart docker"]


def test_a_missing_runtime_without_the_toolkit_names_how_to_get_it(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    stand_in_engine.info["Runtimes"] = {"runc": {}}
    place.recorded("curl", "gpg", "tee", "apt-get", "nvidia-ctk", "systemctl")
    (place.bin / "nvidia-ctk").unlink()
    (found,) = look("runtime", place.machine(uid=1000))
    place.recorded("nvidia-ctk")  # as the package brings it
    place.paste(found.hint)
    assert [line for line in place.record if line.startswith(("apt-get", "nvidia-ctk", "systemctl"))] == [
        "apt-get update",
        "apt-get install -y nvidia-container-toolkit",
        "nvidia-ctk runtime configure --runtime=docker",
        "systemctl restart docker",
    ]


def test_a_repair_that_restarts_the_engine_says_what_it_ends(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    stand_in_engine.info |= {"Runtimes": {}, "ContainersRunning": 2}
    (found,) = look("runtime", place.machine())
    assert found.message.endswith(" (a restart of the engine ends the 2 that run)")
    stand_in_engine.info["LiveRestoreEnabled"] = True
    (found,) = look("runtime", place.machine())
    assert found.message.endswith("no GPUs in containers")


def test_gpus_through_cdi_need_no_runtime(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["Runtimes"] = {"runc": {}}
    stand_in_engine.info["DiscoveredDevices"] = [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]
    assert codes(look("runtime", place.machine())) == [(Severity.OK, "runtime")]


def test_without_a_gpu_a_missing_runtime_is_no_fault(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["Runtimes"] = {"runc": {}}
    place.file("sys/bus/pci/devices/0000:01:00.0/vendor", "0x8086\n")
    assert codes(look("runtime", place.machine())) == [(Severity.INFO, "runtime")]


def test_the_toolkit_says_its_version(place: Place) -> None:
    place.program(
        "nvidia-ctk", "echo NVIDIA Container Toolkit CLI version 1.17.4; echo commit: 9b69590c7428470a"
    )
    assert look("toolkit", place.machine()) == [
        Finding(Severity.OK, "toolkit", "NVIDIA container toolkit 1.17.4")
    ]


@pytest.mark.parametrize(
    ("program", "says", "needs", "severity"),
    [
        ("nvidia-ctk", "NVIDIA Container Toolkit CLI version 1.17.4", WANTS_7, Severity.WARNING),
        ("nvidia-container-cli", "cli-version: 1.2.0", Needs(), Severity.ERROR),
    ],
)
def test_an_old_toolkit(program: str, says: str, needs: Needs, severity: Severity, place: Place) -> None:
    place.program(program, f"echo {says}")
    (found,) = look("toolkit", place.machine(needs=needs))
    assert (found.severity, found.code) == (severity, "toolkit-old")
    assert found.hint is not None and "install -y nvidia-container-toolkit" in found.hint


def test_a_toolkit_that_hangs_does_not_hang_the_doctor(place: Place) -> None:
    place.program("nvidia-ctk", "exec /bin/sleep 60")
    (found,) = look("toolkit", place.machine())
    assert (found.severity, found.code) == (Severity.WARNING, "toolkit-hangs")
    assert found.message == '"nvidia-ctk --version" took longer than 3 s'


def test_a_toolkit_that_fails(place: Place) -> None:
    place.program("nvidia-ctk", "echo cannot load libcuda >&2; exit 1")
    (found,) = look("toolkit", place.machine())
    assert (found.code, found.message) == (
        "toolkit-broken",
        '"nvidia-ctk --version" fails: cannot load libcuda',
    )


def test_a_toolkit_that_says_no_version(place: Place) -> None:
    for script in ("echo NVIDIA Container Toolkit", "echo version 2.0.0; exit 1"):
        place.program("nvidia-ctk", script)
        assert codes(look("toolkit", place.machine())) == [(Severity.WARNING, "toolkit-broken")]


@pytest.mark.parametrize(
    ("says", "needs", "code"),
    [
        ("version 1.3.0,", Needs(), "ok"),
        ("version 1.19.0", WANTS_7, "ok"),
        ("version 1.18.9", WANTS_7, "old"),
        ("version 1.18.9", Needs(), "ok"),
        ("cli-version: 1.17.4\\nlib-version: 1.2.0", Needs(), "ok"),
    ],
)
def test_which_toolkit_is_new_enough(says: str, needs: Needs, code: str, place: Place) -> None:
    place.program("nvidia-ctk", f'printf "{says}\\n"')
    (found,) = look("toolkit", place.machine(needs=needs))
    assert found.code == {"ok": "toolkit", "old": "toolkit-old"}[code]


def test_an_old_toolkit_is_no_error_where_no_gpu_is_wanted(place: Place) -> None:
    place.program("nvidia-ctk", "echo version 1.2.0")
    assert codes(look("toolkit", place.machine(needs=WANTS_NONE))) == [(Severity.INFO, "toolkit-old")]


def test_no_toolkit_where_the_engine_has_its_runtime_or_there_is_no_gpu(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    assert codes(look("toolkit", place.machine())) == [(Severity.INFO, "toolkit")]
    stand_in_engine.info["Runtimes"] = {"runc": {}}
    assert codes(look("toolkit", place.machine())) == [(Severity.ERROR, "toolkit-missing")]
    assert codes(look("toolkit", place.machine(needs=WANTS_NONE))) == [(Severity.INFO, "toolkit-missing")]
    place.file("sys/bus/pci/devices/0000:01:00.0/class", "0x040300\n")
    (found,) = look("toolkit", place.machine())
    assert (found.severity, found.code, found.hint) == (Severity.INFO, "toolkit-missing", None)


def test_a_users_own_engine_and_docker_desktop_are_started_in_their_way(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.program("docker", "exit 0")
    place.file("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")
    found, _ = look("engine", place.machine())
    assert found.hint == '"/mnt/c/Program Files/Docker/Docker/Docker Desktop.exe" &'
    place.program("dockerd", "exit 0")
    found, _ = look("engine", place.machine(uid=0))
    assert found.hint == "systemctl start docker"
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/not-there/docker.sock")
    found, _ = look("engine", place.machine())
    assert found.hint == "systemctl --user start docker"


def test_a_gpu_without_the_toolkit(place: Place) -> None:
    (found,) = look("toolkit", place.machine())
    assert (found.severity, found.code) == (Severity.ERROR, "toolkit-missing")


def test_no_engine_is_reported_once_and_not_by_every_check(place: Place) -> None:
    assert look("runtime", place.machine()) == []
    assert look("disk-engine", place.machine()) == []
    assert look("gpu-in-container", place.machine()) == []
