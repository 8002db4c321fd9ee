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
