"""Repair commands for this distribution: lines to paste into a shell."""

from __future__ import annotations

import json
import pwd
import shlex
from dataclasses import dataclass
from pathlib import Path

from taorunner.doctor.host import Machine

_OLDEST_BRANCH = 535
"""Older branches have no package in Ubuntu 22.04 and later."""
_CUDA_SITE = "https://developer.download.nvidia.com/compute/cuda/repos"
_TOOLKIT_SITE = "https://nvidia.github.io/libnvidia-container"
_KEY = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg"


@dataclass(frozen=True, slots=True)
class Distribution:
    """``family``: the package manager (apt, dnf, zypper, pacman), empty when unknown. ``likes``: ID_LIKE."""

    name: str = ""
    id: str = ""
    version: str = ""
    family: str = ""
    likes: tuple[str, ...] = ()

    @property
    def is_ubuntu(self) -> bool:
        return "ubuntu" in (self.id, *self.likes)


_FAMILIES = {
    "debian": "apt", "ubuntu": "apt", "rhel": "dnf", "fedora": "dnf", "centos": "dnf", "rocky": "dnf",
    "almalinux": "dnf", "amzn": "dnf", "suse": "zypper", "opensuse": "zypper", "sles": "zypper", "arch": "pacman",
}  # fmt: skip
_DOCKERS_OWN = ("fedora", "centos", "rhel")
"""Distributions with dnf that the script of get.docker.com supports."""


def distribution(machine: Machine) -> Distribution:
    """Reads os-release, in /etc first, as its manual requires."""
    text = machine.text("etc/os-release") or machine.text("usr/lib/os-release") or ""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            facts[key.strip()] = value.strip().strip("\"'")
    likes = tuple(facts.get("ID_LIKE", "").split())
    names = [facts.get("ID", ""), *likes]
    family = next((_FAMILIES[name] for name in names if name in _FAMILIES), "")
    name = facts.get("PRETTY_NAME") or facts.get("NAME") or ""
    return Distribution(name, facts.get("ID", ""), facts.get("VERSION_ID", ""), family, likes)


def service(machine: Machine, verb: str, name: str = "docker") -> str:
    """``sudo systemctl restart docker``, or its equivalent without systemd."""
    if machine.has_systemd:
        return f"{machine.sudo}systemctl {verb} {name}"
    return f"{machine.sudo}service {name} {verb}"


def user_name(machine: Machine) -> str:
    """The calling user's name, quoted for a shell."""
    named = machine.environ.get("USER")
    if named:
        return shlex.quote(named)
    try:
        return pwd.getpwuid(machine.uid).pw_name
    except KeyError:
        return str(machine.uid)


def restart_warning(machine: Machine) -> str:
    """A suffix for messages whose repair restarts the engine: how many containers that would end."""
    view = machine.engine_or_none()
    if view is None or not view.facts.containers_running or view.facts.containers_outlive_it:
        return ""
    count = view.facts.containers_running
    return f" (a restart of the engine ends {'the container that runs' if count == 1 else f'the {count} that run'})"


def install_docker(machine: Machine) -> str:
    start = (
        f"{machine.sudo}systemctl enable --now docker" if machine.has_systemd else service(machine, "start")
    )
    family = distribution(machine).family
    install = f"{machine.sudo}apt-get update && {machine.sudo}apt-get install -y docker.io"
    return f"{install if family == 'apt' else _newest_docker(machine)} && {start}"


def newer_docker(machine: Machine) -> str:
    """Docker's own packages where they exist, as a distribution's package may be too old."""
    return f"{_newest_docker(machine)} && {service(machine, 'restart')}"


def _newest_docker(machine: Machine) -> str:
    """Source: docs.docker.com/engine/install."""
    sudo, found = machine.sudo, distribution(machine)
    if found.family == "zypper":
        return f"{sudo}zypper --non-interactive install docker"
    if found.family == "pacman":
        return f"{sudo}pacman -Syu --noconfirm docker"
    if found.id == "amzn":
        return f"{sudo}dnf install -y docker"
    if found.family == "dnf" and found.id not in _DOCKERS_OWN:
        repository = "https://download.docker.com/linux/centos/docker-ce.repo"
        return (
            f"{sudo}dnf config-manager --add-repo {repository}"
            f" && {sudo}dnf install -y docker-ce docker-ce-cli containerd.io"
        )
    return f"curl -fsSL https://get.docker.com | {sudo}sh"


def install_toolkit(machine: Machine) -> str:
    """Installs or updates the toolkit from NVIDIA's repository, and registers it with docker.

    Source: docs.nvidia.com/datacenter/cloud-native/container-toolkit, "Installation".
    """
    sudo, family = machine.sudo, distribution(machine).family
    repository = f"{_TOOLKIT_SITE}/stable/rpm/nvidia-container-toolkit.repo"
    install = {
        "dnf": f"curl -fsSL {repository} | {sudo}tee /etc/yum.repos.d/nvidia-container-toolkit.repo >/dev/null\n"
        f"{sudo}dnf install -y nvidia-container-toolkit",
        "zypper": f"{sudo}zypper addrepo {repository}\n"
        f"{sudo}zypper --gpg-auto-import-keys --non-interactive install nvidia-container-toolkit",
        "pacman": f"{sudo}pacman -S --noconfirm nvidia-container-toolkit",
    }.get(
        family,
        f"curl -fsSL {_TOOLKIT_SITE}/gpgkey | {sudo}gpg --dearmor --yes -o {_KEY}\n"
        f"curl -fsSL {_TOOLKIT_SITE}/stable/deb/nvidia-container-toolkit.list"
        f" | sed 's#deb https://#deb [signed-by={_KEY}] https://#'"
        f" | {sudo}tee /etc/apt/sources.list.d/nvidia-container-toolkit.list >/dev/null\n"
        f"{sudo}apt-get update && {sudo}apt-get install -y nvidia-container-toolkit",
    )
    return f"{install}\n{register_runtime(machine)}"


def describe_gpus(machine: Machine) -> str:
    """Writes the file in which podman finds the GPUs. Source: NVIDIA's page on CDI."""
    return f"{machine.sudo}nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"


def register_runtime(machine: Machine) -> str:
    """Makes the engine give GPUs to containers, once the toolkit is installed."""
    view = machine.engine_or_none()
    if view is not None and view.engine.is_podman:
        return describe_gpus(machine)
    return f"{machine.sudo}nvidia-ctk runtime configure --runtime=docker && {service(machine, 'restart')}"


def install_driver(machine: Machine, branch: int) -> str:
    """Installs the NVIDIA driver of at least ``branch``, from NVIDIA's repository if the distribution's is older.

    Source: docs.nvidia.com/datacenter/tesla/driver-installation-guide.
    """
    sudo, found = machine.sudo, distribution(machine)
    major = found.version.partition(".")[0]
    if found.is_ubuntu:
        package = f"nvidia-driver-{max(branch, _OLDEST_BRANCH)}"
        install = f"{sudo}apt-get update && {sudo}apt-get install -y {package}"
    elif found.family == "apt":
        keyring = "cuda-keyring_1.1-1_all.deb"
        install = (
            f"curl -fsSL -o /tmp/{keyring} {_CUDA_SITE}/debian{major}/x86_64/{keyring}"
            f" && {sudo}dpkg -i /tmp/{keyring}"
            f" && {sudo}apt-get update && {sudo}apt-get install -y cuda-drivers"
        )
    elif found.family == "dnf":
        name = (
            f"fedora{major}"
            if found.id == "fedora"
            else f"amzn{major}"
            if found.id == "amzn"
            else f"rhel{major}"
        )
        install = (
            f"curl -fsSL {_CUDA_SITE}/{name}/x86_64/cuda-{name}.repo"
            f" | {sudo}tee /etc/yum.repos.d/cuda.repo >/dev/null && {sudo}dnf install -y cuda-drivers"
        )
    elif found.family == "zypper":
        install = f"{sudo}zypper --non-interactive install nvidia-open-driver-G06-signed-kmp-default"
    elif found.family == "pacman":
        install = f"{sudo}pacman -Syu --noconfirm nvidia-open"
    else:
        return f"install the NVIDIA driver {branch} from https://www.nvidia.com/drivers, then reboot"
    return f"{install}\n{sudo}reboot"


def without_json_key(machine: Machine, file: Path, *keys: str) -> str:
    """Removes one key from a JSON file and keeps a backup; with sudo if the file belongs to root."""
    sudo = "" if file.is_relative_to(machine.home) else machine.sudo
    path, way = shlex.quote(str(file)), "".join(f"[{json.dumps(key)}]" for key in keys[:-1])
    program = (
        f"import json,sys; p=sys.argv[1]; c=json.load(open(p)); c{way}.pop({json.dumps(keys[-1])},0); "
        'json.dump(c,open(p,"w"),indent=1)'
    )
    return f"{sudo}cp {path} {path}.before && {sudo}python3 -c {shlex.quote(program)} {path}"
