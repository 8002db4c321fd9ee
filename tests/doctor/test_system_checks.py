"""Distribution, processor, WSL, SELinux and other commands called tao, each as the system's own files tell it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from planted import UBUNTU, Place, StandInEngine, codes, look

from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Finding, Severity
from taorunner.project.workspace import Workspace


def test_the_distribution_and_its_kernel(place: Place) -> None:
    text = "Debian GNU/Linux 12 (bookworm), kernel 6.1.0-26-amd64"
    assert look("system", place.machine()) == [Finding(Severity.OK, "system", text)]


def test_a_ubuntu_that_nvidia_does_not_state(place: Place) -> None:
    place.file("etc/os-release", UBUNTU.replace("22.04", "18.04"))
    (found,) = look("system", place.machine())
    assert found.severity is Severity.INFO
    assert found.message.endswith("; NVIDIA supports Ubuntu LTS 20.04, 22.04, 24.04")


def test_a_system_that_says_nothing_of_itself(place: Place) -> None:
    shutil.rmtree(place.root)
    text = "Linux of unknown distribution"
    assert look("system", place.machine()) == [Finding(Severity.OK, "system", text)]


def test_an_engine_on_arm(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["Architecture"] = "aarch64"
    (found,) = look("processor", place.machine())
    assert (found.severity, found.code) == (Severity.WARNING, "processor-not-x86")
    place.recorded("docker")
    place.program("grep", "cat >/dev/null")
    place.paste(found.hint)
    assert place.record == ["docker manifest inspect nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"]


def test_wsl_1_and_2(place: Place) -> None:
    assert look("wsl", place.machine()) == []
    place.file("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")
    assert codes(look("wsl", place.machine())) == [(Severity.OK, "wsl")]
    place.file("proc/sys/kernel/osrelease", "4.4.0-19041-Microsoft\n")
    (found,) = look("wsl", place.machine())
    assert (found.severity, found.code, found.hint) == (
        Severity.ERROR,
        "wsl-1",
        "wsl.exe --set-version Ubuntu 2",
    )


def test_a_workspace_on_a_disk_of_windows(place: Place) -> None:
    place.file("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")
    found = look("wsl", place.machine(workspace=Workspace(Path("/mnt/c/Users/me/work"))))
    assert codes(found) == [(Severity.OK, "wsl"), (Severity.WARNING, "wsl-slow-disk")]
    assert found[1].hint == "cp -a /mnt/c/Users/me/work ~/ && cd ~/work"


def test_selinux_where_containers_may_not_read(place: Place, stand_in_engine: StandInEngine) -> None:
    place.file("sys/fs/selinux/enforce", "1")
    stand_in_engine.info["SecurityOptions"] = ["name=seccomp,profile=default", "name=selinux"]
    (found,) = look("selinux", place.machine(workspace=Workspace(place.folder), uid=1000))
    assert (found.severity, found.code) == (Severity.WARNING, "selinux-label")
    place.recorded("chcon")
    place.paste(found.hint)
    assert place.record == [f"chcon -R -t container_file_t {place.folder}"]


def test_selinux_that_the_engine_does_not_use(place: Place, stand_in_engine: StandInEngine) -> None:
    place.file("sys/fs/selinux/enforce", "1")
    machine = place.machine(workspace=Workspace(place.folder))
    assert codes(look("selinux", machine)) == [(Severity.OK, "selinux")]


def test_selinux_without_an_engine_or_a_workspace(place: Place) -> None:
    place.file("sys/fs/selinux/enforce", "1")
    assert codes(look("selinux", place.machine(workspace=Workspace(place.folder)))) == [
        (Severity.WARNING, "selinux-label")
    ]
    assert codes(look("selinux", place.machine())) == [(Severity.INFO, "selinux")]


def test_a_workspace_on_a_disk_of_linux_in_wsl(place: Place) -> None:
    place.file("proc/sys/kernel/osrelease", "5.4.0-Microsoft-WSL2\n")
    for root in ("/mnt/data/work", "/home/me/mnt/c"):
        assert codes(look("wsl", place.machine(workspace=Workspace(Path(root))))) == [(Severity.OK, "wsl")]
    assert codes(look("wsl", place.machine(workspace=Workspace(Path("/mnt/d"))))) == [
        (Severity.OK, "wsl"),
        (Severity.WARNING, "wsl-slow-disk"),
    ]


def test_a_processor_of_another_kind(place: Place, stand_in_engine: StandInEngine) -> None:
    (found,) = look("processor", place.machine())
    assert found == Finding(Severity.OK, "processor", "processor x86_64")
    stand_in_engine.info["Architecture"] = "ARM64"
    assert "an image without an arm64 variant" in look("processor", place.machine())[0].message
    stand_in_engine.info["Architecture"] = "ppc64le"
    (found,) = look("processor", place.machine(needs=Needs(is_known=True, images={"my/tao:1": ("p/e",)})))
    assert found.message == "TAO's images are built for x86-64, this is ppc64le"
    assert found.hint == "docker manifest inspect my/tao:1 | grep architecture"


def test_packages_that_overwrite_each_other(place: Place) -> None:
    """Which packages an installation has is read from its folder."""
    site = place.folder / "lib/python3.10/site-packages"
    for name in ("nvidia_tao_sdk-1.0", "nvidia_tao_client-2.0", "nvidia_taoother-1"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    place.program("tao", "# from tao_cli import main")
    place.program("python3", "exit 0")
    only, clash = look("tao-command", place.machine())
    assert "NVIDIA's API client (nvidia-tao-client)" in only.message
    assert clash.message.endswith('both install the Python package "tao_sdk": a conflict')
    assert clash.hint == f"{place.bin}/python3 -m pip uninstall -y nvidia-tao-sdk"
    (place.bin / "tao").write_text("#!/bin/sh\n")
    assert "(not NVIDIA's)" in look("tao-command", place.machine())[0].message
    (place.bin / "tao").chmod(0o644)
    assert codes(look("tao-command", place.machine())) == [(Severity.OK, "tao-command")]


def test_selinux_that_only_warns(place: Place) -> None:
    place.file("sys/fs/selinux/enforce", "0")
    assert look("selinux", place.machine(workspace=Workspace(place.folder))) == []


def test_no_other_tao(place: Place) -> None:
    assert codes(look("tao-command", place.machine())) == [(Severity.OK, "tao-command")]


def test_nvidias_launcher_is_named_and_left_alone(place: Place) -> None:
    place.program("tao", "# from nvidia_tao_cli.entrypoint.tao_launcher import main")
    (found,) = look("tao-command", place.machine())
    assert found.severity is Severity.INFO
    assert "NVIDIA's launcher (nvidia-tao)" in found.message


def test_two_commands_called_tao_and_the_repair(place: Place) -> None:
    other = place.folder / "other bin"
    other.mkdir()
    place.program("tao", "# from nvidia_tao_cli.entrypoint.tao_launcher import main")
    (other / "tao").write_text("#!/bin/sh\n# tao_cli")
    (other / "tao").chmod(0o755)
    environ = {**place.environ, "PATH": f"{place.bin}{os.pathsep}{other}"}
    (found,) = look("tao-command", replace(place.machine(), environ=environ))
    assert (found.severity, found.code) == (Severity.WARNING, "tao-command-clash")
    place.paste(found.hint)
    assert codes(look("tao-command", replace(place.machine(), environ=environ))) == [
        (Severity.INFO, "tao-command")
    ]


def test_one_tao_by_two_links_is_one(place: Place) -> None:
    place.program("tao", "")
    other = place.folder / "other"
    other.symlink_to(place.bin)
    environ = {**place.environ, "PATH": f"{place.bin}{os.pathsep}{other}"}
    assert codes(look("tao-command", replace(place.machine(), environ=environ))) == [
        (Severity.INFO, "tao-command")
    ]


@pytest.mark.slow
def test_two_packages_that_install_the_same_command(place: Place) -> None:
    """In a real environment, from which the repair removes one."""
    venv = place.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
    site = next(venv.glob("lib/python3*/site-packages"))
    for name in ("nvidia_tao", "nvidia_tao_client"):
        info = site / f"{name}-5.5.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 5.5.0\n"
        )
        (info / "RECORD").write_text(
            f"{info.name}/METADATA,,\n{info.name}/RECORD,,\n{info.name}/INSTALLER,,\n"
        )
        (info / "INSTALLER").write_text("pip\n")
    (venv / "bin" / "tao").write_text("#!/bin/sh\n# nvidia_tao_cli")
    (venv / "bin" / "tao").chmod(0o755)
    machine = replace(place.machine(), environ={**place.environ, "PATH": str(venv / "bin")})
    first, clash = look("tao-command", machine)
    assert codes([first, clash]) == [(Severity.INFO, "tao-command"), (Severity.WARNING, "tao-package-clash")]
    place.paste(clash.hint)
    assert codes(look("tao-command", machine)) == [(Severity.INFO, "tao-command")]
