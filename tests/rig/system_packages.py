"""Which Debian packages the real checks need, and their installation with one apt-get call. Standard library only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from private_daemon import which

PROGRAMS = {  # program -> its Debian package; of several names the first that the distribution has
    "dockerd": ("docker.io",),
    "docker": ("docker-cli", "docker.io"),  # a package of its own from Debian 13
    "docker-compose": ("docker-compose",),
    "docker-registry": ("docker-registry",),
    "htpasswd": ("apache2-utils",),
    "busybox": ("busybox-static",),
    "ip": ("iproute2",),
    "sshd": ("openssh-server",),
    "rsync": ("rsync",),
    "gcc": ("gcc",),
    "zsh": ("zsh",),  # completion is tried in the shells themselves, screens in tmux
    "fish": ("fish",),
    "tmux": ("tmux",),
    "slurmctld": ("slurm-wlm",),  # a cluster for tests: tests/rig/slurm_cluster
    "slurmdbd": ("slurmdbd",),
    "munged": ("munge",),
    "mariadbd": ("mariadb-server",),
    "kubectl": ("kubernetes-client",),  # a stand-in for a cluster: tests/rig/kubernetes
    "ch-run": ("charliecloud-runtime", "charliecloud"),
    "ch-image": ("charliecloud-builders", "charliecloud"),
    "openssl": ("openssl",),
    "podman": ("podman",),  # of root and rootless: tests/rig/podman
    "catatonit": ("catatonit",),
    "newuidmap": ("uidmap",),
    "runc": ("runc",),
}


def install() -> int:
    """Installs what is missing with one apt-get call. Gives the exit code."""
    missing = [PROGRAMS[program] for program in PROGRAMS if which(program) is None]
    if not Path("/usr/include/stdio.h").exists():
        missing.append(("libc6-dev",))
    if importlib.util.find_spec("ensurepip") is None:
        missing.append((f"python3.{sys.version_info[1]}-venv", "python3-venv"))
    if not missing:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        wanted = " ".join(sorted({names[-1] for names in missing}))
        print(f"root and apt-get are needed to install: {wanted}", file=sys.stderr)
        return 1
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if any(available(names) is None for names in missing):
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False, stdin=subprocess.DEVNULL)
    packages = sorted({available(names) or names[-1] for names in missing})
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    print("+", *command, flush=True)
    return subprocess.run(command, env=environment, check=False, stdin=subprocess.DEVNULL).returncode


def available(names: Iterable[str]) -> str | None:
    """The first of these packages that apt could install, None when it knows none of them."""
    for name in names:
        shown = subprocess.run(
            ["apt-cache", "policy", name], capture_output=True, text=True, check=False
        ).stdout
        if "Candidate:" in shown and "Candidate: (none)" not in shown:
            return name
    return None
