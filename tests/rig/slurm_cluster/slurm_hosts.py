"""Hosts that are namespaces of this machine: each with its own network, host name and /etc/hosts, and the same files."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from pathlib import Path

from private_daemon import ip_environment, run_ip
from slurm_files import Layout

NAMESPACES = Path("/run/netns")


def make_bridge(layout: Layout, subnet: str) -> None:
    run_ip("link", "add", bridge(layout.key), "type", "bridge")
    run_ip("addr", "add", subnet, "dev", bridge(layout.key))
    run_ip("link", "set", bridge(layout.key), "up")


def make_host(layout: Layout, host: str) -> None:
    space, number = namespace(layout.key, host), layout.hosts.index(host)
    run_ip("netns", "add", space)
    here = f"tao{layout.key[:8]}{number}"
    run_ip("link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", space)
    run_ip("link", "set", here, "master", bridge(layout.key), "up")
    run_ip("-n", space, "addr", "add", f"{layout.address(host)}/24", "dev", "eth0")
    run_ip("-n", space, "link", "set", "eth0", "up")
    run_ip("-n", space, "link", "set", "lo", "up")


def on_host(layout: Layout, host: str, command: list[str]) -> list[str]:
    """The command line that runs ``command`` on this host.

    ``ip netns exec`` would mount a new /sys, in which Slurm finds no cgroups.
    """
    script = (
        f"hostname {host} && mount --make-rprivate / && mount --bind {layout.home}/hosts /etc/hosts"
        f" && exec {shlex.join(command)}"
    )
    network = f"--net={NAMESPACES / namespace(layout.key, host)}"
    return ["nsenter", network, "unshare", "-u", "-m", "sh", "-c", script]


def hide(pid: int, folder: Path, content: Path) -> None:
    """Shows ``content`` in the place of ``folder`` to this daemon, and to what it starts from now on."""
    command = ["nsenter", f"--target={pid}", "--mount", "mount", "--bind", str(content), str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def processes_on(key: str, host: str) -> list[int]:
    """Everything that runs on this host: daemons, steps, and what jobs have started."""
    shown = subprocess.run(
        ["ip", "netns", "pids", namespace(key, host)],
        capture_output=True,
        text=True,
        check=False,
        env=ip_environment(),
    )
    return [int(word) for word in shown.stdout.split()]


def kill_host(key: str, host: str) -> None:
    """As a power cut: nothing on this host can write its end."""
    while pids := [pid for pid in processes_on(key, host) if not is_zombie(pid)]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def remove_network(key: str) -> None:
    """Ends what still runs on the hosts of this key, and removes them."""
    for path in [*NAMESPACES.glob(f"{namespace(key, '')}*")] if NAMESPACES.is_dir() else []:
        kill_host(key, path.name.removeprefix(namespace(key, "")))
        subprocess.run(
            ["ip", "netns", "del", path.name], capture_output=True, check=False, env=ip_environment()
        )
    subprocess.run(["ip", "link", "del", bridge(key)], capture_output=True, check=False, env=ip_environment())


def namespace(key: str, host: str) -> str:
    return f"tao-{key}-{host}"


def bridge(key: str) -> str:
    return f"tao-{key}"
