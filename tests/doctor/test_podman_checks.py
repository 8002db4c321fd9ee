"""A machine whose engine is podman: what is said of it, and what each repair does."""

from __future__ import annotations

import shutil
from pathlib import Path

import podman_rig
import pytest
from planted import IMAGE_5, Place, StandInEngine, codes, look

from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Severity

GPUS = Needs(is_known=True, images={IMAGE_5: ("p/e",)})
NO_GPUS = Needs(is_known=True, wants_gpus=False)
OK, INFO, WARNING, ERROR = Severity.OK, Severity.INFO, Severity.WARNING, Severity.ERROR


@pytest.fixture
def podman_stand_in(stand_in_engine: StandInEngine) -> StandInEngine:
    stand_in_engine.server = "Libpod/5.2.1 (linux)"
    stand_in_engine.info |= {
        "ServerVersion": "5.2.1",
        "Runtimes": {"crun": {}},
        "CgroupVersion": "2",
        "Rootless": False,
    }
    return stand_in_engine


def test_podman_of_root(place: Place, podman_stand_in: StandInEngine) -> None:
    (found,) = look("engine", place.machine())
    assert (found.severity, found.code) == (OK, "engine")
    assert found.message.startswith("podman engine 5.2.1, API 1.43, at unix://")


def test_a_podman_that_cannot_give_gpus(place: Place, podman_stand_in: StandInEngine) -> None:
    podman_stand_in.server = "Libpod/4.0.2 (linux)"
    assert codes(look("engine", place.machine(needs=GPUS))) == [(ERROR, "engine-old")]
    (found,) = look("engine", place.machine(needs=NO_GPUS))
    assert found.severity is INFO
    assert found.message.endswith("podman gives GPUs to containers from version 4.1 on")


def test_a_rootless_podman(place: Place, podman_stand_in: StandInEngine) -> None:
    podman_stand_in.info |= {"Rootless": True, "CgroupVersion": "1"}
    podman_stand_in.server = "Libpod/4.2.0 (linux)"
    found = look("engine", place.machine(uid=1000))
    assert codes(found) == [
        (OK, "engine"),
        (INFO, "engine-rootless"),
        (WARNING, "engine-lingers"),
        (INFO, "engine-rootless"),
        (WARNING, "engine-limits"),
    ]
    place.recorded("loginctl", "grubby", "reboot")
    for one in found:
        if one.hint is not None:
            place.paste(one.hint)
    assert place.record == [
        "loginctl enable-linger somebody",
        "grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1",
        "reboot ",
    ]
    place.file("var/lib/systemd/linger/somebody", "")
    podman_stand_in.info["CgroupVersion"] = "2"
    podman_stand_in.server = "Libpod/4.3.1 (linux)"
    assert codes(look("engine", place.machine(uid=1000))) == [(OK, "engine"), (INFO, "engine-rootless")]


def test_gpus_that_are_not_described(place: Place, podman_stand_in: StandInEngine) -> None:
    place.recorded("nvidia-ctk")
    (found,) = look("runtime", place.machine(uid=1000, needs=GPUS))
    assert (found.severity, found.code) == (ERROR, "runtime-missing")
    place.paste(found.hint)
    assert place.record == ["nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"]
    place.file("etc/cdi/other.yaml", "kind: other.com/gpu\n")
    assert codes(look("runtime", place.machine())) == [(ERROR, "runtime-missing")]
    path = place.file("run/cdi/nvidia.json", "")
    path.write_text(str(podman_rig.cdi_file(Path("/dev"))))
    (found,) = look("runtime", place.machine())
    assert (found.severity, found.message) == (OK, f'the GPUs are described for podman in "{path}" (CDI)')


def test_the_toolkit_for_podman_is_not_registered_with_docker(
    place: Place, podman_stand_in: StandInEngine
) -> None:
    (found,) = look("toolkit", place.machine(needs=GPUS))
    assert found.code == "toolkit-missing" and found.hint is not None
    assert found.hint.endswith("nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml")
    (found,) = look("runtime", place.machine(needs=GPUS))
    assert found.hint is not None and "--runtime=docker" not in found.hint


def test_no_gpu_and_no_description(place: Place, podman_stand_in: StandInEngine) -> None:
    shutil.rmtree(place.root / "sys/bus/pci/devices")
    assert codes(look("runtime", place.machine())) == [(INFO, "runtime")]


def test_podman_is_there_but_not_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.program("podman", "exit 0")
    (found, _) = look("engine", place.machine(needs=GPUS))
    assert (found.severity, found.code) == (ERROR, "engine-missing")
    place.recorded("systemctl")
    place.paste(found.hint)
    assert place.record == ["systemctl --user enable --now podman.socket"]
    for address, repair in (
        ("/run/user/1000/podman/podman.sock", "systemctl --user enable --now podman.socket"),
        ("/run/podman/podman.sock", "sudo systemctl start podman.socket"),
    ):
        monkeypatch.setenv("DOCKER_HOST", f"unix:///not-there{address}")
        (found, _) = look("engine", place.machine(uid=1000))
        assert (found.code, found.hint) == ("engine-down", repair)


def test_selinux_needs_no_labels(place: Place, podman_stand_in: StandInEngine) -> None:
    place.file("sys/fs/selinux/enforce", "1\n")
    podman_stand_in.info["SecurityOptions"] = ["name=selinux"]
    assert codes(look("selinux", place.machine())) == [(OK, "selinux")]
