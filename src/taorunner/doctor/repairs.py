"""Which command puts it right on this distribution? Lines to paste into a shell, nothing else."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field

from taorunner.doctor.machine import Machine

_OLDEST_BRANCH = 535
"""Older ones have no package of their own in Ubuntu 22.04 and later."""
_TOOLKIT_SITE = "https://nvidia.github.io/libnvidia-container"
_KEY = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg"


@dataclass(frozen=True, slots=True)
class Distribution:
    """``family`` is the package manager's: apt, dnf, zypper, pacman; empty when unknown."""

    name: str = ""
    id: str = ""
    version: str = ""
    family: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


_FAMILIES = {
    "debian": "apt", "ubuntu": "apt", "rhel": "dnf", "fedora": "dnf", "centos": "dnf", "rocky": "dnf",
    "almalinux": "dnf", "suse": "zypper", "opensuse": "zypper", "sles": "zypper", "arch": "pacman",
}  # fmt: skip


def distribution(machine: Machine) -> Distribution:
    """From os-release, as its manual says: /etc first."""
    text = machine.text("etc/os-release") or machine.text("usr/lib/os-release") or ""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            facts[key.strip()] = value.strip().strip("\"'")
    names = [facts.get("ID", ""), *facts.get("ID_LIKE", "").split()]
    family = next((_FAMILIES[name] for name in names if name in _FAMILIES), "")
    name = facts.get("PRETTY_NAME") or facts.get("NAME") or ""
    return Distribution(name, facts.get("ID", ""), facts.get("VERSION_ID", ""), family, facts)


def service(machine: Machine, verb: str, name: str = "docker") -> str:
    """``sudo systemctl restart docker``, or what does it where systemd does not run."""
    if machine.has_systemd:
        return f"{machine.sudo}systemctl {verb} {name}"
    return f"{machine.sudo}service {name} {verb}"


def user_name(machine: Machine) -> str:
    """Who asks, as commands name them."""
    named = machine.environ.get("USER")
    if named:
        return named
    try:
        return pwd.getpwuid(machine.uid).pw_name
    except KeyError:
        return str(machine.uid)


def what_a_restart_ends(machine: Machine) -> str:
    """To be put behind what is told where the repair restarts the engine."""
    view = machine.engine_or_none()
    if view is None or not view.facts.containers_running or view.facts.containers_outlive_it:
        return ""
    count = view.facts.containers_running
    return f" (a restart of the engine ends {'the container that runs' if count == 1 else f'the {count} that run'})"


def install_docker(machine: Machine) -> str:
    start = (
        f"{machine.sudo}systemctl enable --now docker" if machine.has_systemd else service(machine, "start")
    )
    sudo, family = machine.sudo, distribution(machine).family
    install = {
        "apt": f"{sudo}apt-get update && {sudo}apt-get install -y docker.io",
        "zypper": f"{sudo}zypper --non-interactive install docker",
        "pacman": f"{sudo}pacman -S --noconfirm docker",
    }.get(family, f"curl -fsSL https://get.docker.com | {sudo}sh")
    return f"{install} && {start}"


def newer_docker(machine: Machine) -> str:
    """From Docker itself: a distribution's own package got as new as it gets."""
    sudo, family = machine.sudo, distribution(machine).family
    if family == "zypper":
        return f"{sudo}zypper --non-interactive update docker && {service(machine, 'restart')}"
    if family == "pacman":
        return f"{sudo}pacman -Syu --noconfirm docker && {service(machine, 'restart')}"
    return f"curl -fsSL https://get.docker.com | {sudo}sh && {service(machine, 'restart')}"


def install_toolkit(machine: Machine) -> str:
    """NVIDIA's packages, from its own repository, and docker told of them. Also brings an old one up to date.

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


def register_runtime(machine: Machine) -> str:
    return f"{machine.sudo}nvidia-ctk runtime configure --runtime=docker && {service(machine, 'restart')}"


def install_driver(machine: Machine, branch: int) -> str:
    """The NVIDIA driver, of at least that branch where the distribution has several."""
    sudo, found = machine.sudo, distribution(machine)
    if found.id == "ubuntu":
        package = f"nvidia-driver-{max(branch, _OLDEST_BRANCH)}"
        return f"{sudo}apt-get update && {sudo}apt-get install -y {package}\n{sudo}reboot"
    install = {
        "apt": f"{sudo}apt-get update && {sudo}apt-get install -y nvidia-driver",
        "dnf": f"{sudo}dnf install -y akmod-nvidia xorg-x11-drv-nvidia-cuda",
        "zypper": f"{sudo}zypper --non-interactive install nvidia-driver-G06-kmp-default",
        "pacman": f"{sudo}pacman -Syu --noconfirm nvidia",
    }.get(found.family)
    if install is None:
        return f"install the NVIDIA driver {branch} from https://www.nvidia.com/drivers, then reboot"
    return f"{install}\n{sudo}reboot"
