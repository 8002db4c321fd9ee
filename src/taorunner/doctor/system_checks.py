"""Checks of the system: operating system, Python, processor, WSL, SELinux, other ``tao`` commands on PATH."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from taorunner.doctor.check import Area, Check, error, info, ok, problem, warning
from taorunner.doctor.host import Machine
from taorunner.doctor.remedies import distribution
from taorunner.doctor.requirements import STATED_SYSTEMS
from taorunner.errors import Finding
from taorunner.project.mounts import load_mounts
from taorunner.text import version_text

_CONTAINER_LABEL = ":container_file_t:"
_X86 = ("x86_64", "amd64")
_PACKAGES = {
    "nvidia_tao": "NVIDIA's launcher (nvidia-tao)",
    "nvidia_tao_client": "NVIDIA's API client (nvidia-tao-client)",
    "nvidia_tao_sdk": "NVIDIA's SDK (nvidia-tao-sdk)",
}
_CLASHES = (
    ("nvidia_tao", "nvidia_tao_client", 'the command "tao"'),
    ("nvidia_tao_client", "nvidia_tao_sdk", 'the Python package "tao_sdk"'),
)
"""Packages that overwrite each other's files, and what they install. Source: tao/peers.md section 1, "Name clash"."""


def look_at_system(machine: Machine) -> Iterator[Finding]:
    if not sys.platform.startswith("linux"):
        yield problem(
            machine.needs.wants_engine,
            "system-not-linux",
            f'"{platform.system()}" gives containers no NVIDIA GPUs: set DOCKER_HOST=ssh://… to a Linux machine',
        )
        return
    found = distribution(machine)
    stated = STATED_SYSTEMS.get(found.id)
    kernel = f", kernel {machine.kernel}" if machine.kernel else ""
    name = found.name or "Linux of unknown distribution"
    if stated is None or found.version in stated:
        yield ok("system", f"{name}{kernel}")
    else:
        yield info("system", f"{name}{kernel}; NVIDIA supports Ubuntu LTS {', '.join(stated)}")


def look_at_python(machine: Machine) -> Iterator[Finding]:
    yield ok("python", f"Python {version_text(sys.version_info[:3])} at {sys.executable}")


def look_at_processor(machine: Machine) -> Iterator[Finding]:
    view = machine.engine_or_none()
    name = view.facts.machine if view is not None and view.facts.machine else platform.machine()
    if name.lower() in _X86:
        yield ok("processor", f"processor {name}")
        return
    text = (
        f"TAO's images are built for x86-64, this is {name}: an image without an arm64 variant cannot start"
    )
    if name.lower() not in ("aarch64", "arm64"):
        text = f"TAO's images are built for x86-64, this is {name}"
    image = next(iter(machine.needs.images), "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt")
    yield warning(
        "processor-not-x86", text, f"docker manifest inspect {shlex.quote(image)} | grep architecture"
    )


def look_at_wsl(machine: Machine) -> Iterator[Finding]:
    if not machine.is_wsl:
        return
    if "microsoft-standard" not in machine.kernel.lower() and "wsl2" not in machine.kernel.lower():
        name = machine.environ.get("WSL_DISTRO_NAME", "Ubuntu")
        yield error(
            "wsl-1",
            "this is WSL 1, which runs neither containers nor GPUs",
            f"wsl.exe --set-version {shlex.quote(name)} 2",
        )
        return
    yield ok("wsl", "WSL 2: it uses the NVIDIA driver of Windows; do not install one here")
    root = None if machine.workspace is None else machine.workspace.root
    if root is not None and re.match(r"/mnt/[a-z](/|$)", str(root)):
        yield warning(
            "wsl-slow-disk",
            f'the workspace "{root}" is on a Windows disk, which is much slower and does not keep file owners',
            f"cp -a {_quoted(root)} ~/ && cd ~/{_quoted(Path(root.name))}",
        )


def look_at_selinux(machine: Machine) -> Iterator[Finding]:
    enforcing = (machine.text("sys/fs/selinux/enforce") or "").strip() == "1"
    view = machine.engine_or_none()
    if not enforcing:
        return
    # runs on podman take no labels
    if view is not None and (not view.facts.labels_files or view.engine.is_podman):
        yield ok("selinux", "SELinux is enforcing, but not for the engine's containers")
        return
    if machine.workspace is None:
        yield info("selinux", "SELinux is enforcing: mounted folders need a label that containers may use")
        return
    mounts = load_mounts(machine.workspace, machine.environ)
    sources = [entry.source for entry in mounts.entries] or [machine.workspace.root]
    closed = [
        source for source in dict.fromkeys(sources) if _CONTAINER_LABEL not in (_label_of(source) or "")
    ]
    if not closed:
        yield ok("selinux", "SELinux is enforcing, and mounted folders have the container label")
        return
    yield warning(
        "selinux-label",
        f"SELinux is enforcing: containers may not read {', '.join(str(source) for source in closed)} with its label",
        f"{machine.sudo}chcon -R -t container_file_t {shlex.join(str(source) for source in closed)}",
    )


def look_for_tao(machine: Machine) -> Iterator[Finding]:
    """Other programs called ``tao``. They do not conflict with taorunner, but may conflict with each other."""
    found = _programs(machine, "tao")
    if not found:
        yield ok("tao-command", 'no other command "tao" on PATH')
        return
    named = [f'"{path}" ({_owner(path)})' for path in found]
    if len(found) == 1:
        yield info("tao-command", f'another command "tao" is on PATH: {named[0]}; taorunner does not need it')
    else:
        yield warning(
            "tao-command-clash",
            f'{len(found)} commands "tao" are on PATH; the first is used: {", ".join(named)}',
            f"mv {_quoted(found[1])} {_quoted(found[1])}.aside",
        )
    for folder in dict.fromkeys(path.parent for path in found):
        installed = _installed(folder)
        for one, other, what in _CLASHES:
            if one in installed and other in installed:
                python = _python_of(folder)
                yield warning(
                    "tao-package-clash",
                    f"{_PACKAGES[one]} and {_PACKAGES[other]} in {folder.parent} both install {what}: a conflict",
                    f"{_quoted(python)} -m pip uninstall -y {other.replace('_', '-')}",
                )


def _programs(machine: Machine, name: str) -> list[Path]:
    found: dict[Path, Path] = {}
    for folder in machine.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder or ".") / name
        if path.is_file() and os.access(path, os.X_OK):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _owner(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(4096).decode("utf-8", "replace")
    except OSError:
        return "unreadable"
    if "nvidia_tao_cli" in head:
        return _PACKAGES["nvidia_tao"]
    if "tao_cli" in head or "tao_client" in head:
        return _PACKAGES["nvidia_tao_client"]
    return "not NVIDIA's"


def _installed(folder: Path) -> set[str]:
    """NVIDIA's packages in the Python installation whose ``bin`` is ``folder``."""
    found: set[str] = set()
    for site in folder.parent.glob("lib/python3*/*-packages"):
        for entry in site.glob("nvidia_tao*.dist-info"):
            found.add(entry.name.partition("-")[0])
    return found & _PACKAGES.keys()


def _python_of(folder: Path) -> Path:
    return next(
        (folder / name for name in ("python3", "python") if (folder / name).exists()), Path("python3")
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _label_of(path: Path) -> str | None:
    try:
        return os.getxattr(path, "security.selinux").decode("utf-8", "replace").rstrip("\0")
    except (OSError, AttributeError):
        return None


CHECKS = (
    Check("system", Area.SYSTEM, look_at_system),
    Check("python", Area.SYSTEM, look_at_python),
    Check("processor", Area.SYSTEM, look_at_processor),
    Check("wsl", Area.SYSTEM, look_at_wsl),
    Check("selinux", Area.SYSTEM, look_at_selinux),
    Check("tao-command", Area.SYSTEM, look_for_tao),
)
