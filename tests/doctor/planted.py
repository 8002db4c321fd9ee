"""Machines with planted faults: files of a system, programs on PATH, an engine that answers as it is configured."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taorunner.doctor.host import Machine
from taorunner.doctor.runner import CHECKS, examine
from taorunner.errors import Finding, Severity

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 22.04.4 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'
FEDORA = 'PRETTY_NAME="Fedora Linux 41"\nID=fedora\nVERSION_ID=41\n'
IMAGE_5 = "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"
IMAGE_7 = "nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt"


@dataclass
class Place:
    """One machine in a folder: ``root`` is its /, ``bin`` what stands first on its PATH."""

    folder: Path
    environ: dict[str, str]

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def file(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def program(self, name: str, script: str) -> Path:
        """A stand-in on PATH; ``$RECORD`` in its script is a file whose lines ``record`` gives."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script.replace('$RECORD', str(self.folder / 'record'))}\n")
        path.chmod(0o755)
        return path

    def recorded(self, *names: str) -> None:
        """Stand-ins that only record how they were called; ``sudo`` runs its command."""
        for name in names:
            self.program(name, f'echo "{name} $*" >>"$RECORD"')
        self.program("sudo", 'exec "$@"')

    @property
    def record(self) -> list[str]:
        path = self.folder / "record"
        return path.read_text().splitlines() if path.exists() else []

    def machine(self, **doors: Any) -> Machine:
        return Machine(self.environ, root=self.root, **doors)

    def paste(self, command: str | None) -> None:
        """Types a repair into a shell of this machine."""
        assert command is not None
        environ = {**self.environ, "PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(
            ["sh", "-ec", command], cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def look(name: str, machine: Machine) -> list[Finding]:
    """What the check of that name finds, by the way the command goes. Its limit is for people who wait, not for a machine
    that runs many tests."""
    check = next(replace(check, limit_s=5 * check.limit_s) for check in CHECKS if check.name == name)
    try:
        (answer,) = examine(machine, (check,))
    finally:
        machine.close()
    return list(answer.findings)


def codes(findings: list[Finding]) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.code) for finding in findings]


@dataclass
class StandInEngine:
    """Answers as a docker engine does, with what a test puts into ``info``; a real HTTP server on a unix socket."""

    path: Path
    api: str = "1.43"
    server: str = "Docker/24.0.7 (linux)"
    info: dict[str, Any] = field(default_factory=dict)
    images: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    hangs: threading.Event | None = None
    probe: tuple[int, str] = (0, "")  # exit code and output of each container
    refuses: str = ""  # the text with which it creates no container


GOOD_INFO: dict[str, Any] = {
    "ServerVersion": "24.0.7",
    "DockerRootDir": "/var/lib/docker",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "Architecture": "x86_64",
    "Runtimes": {"runc": {}, "nvidia": {}},
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"],
    "HttpProxy": "",
    "HttpsProxy": "",
    "NCPU": 16,
    "MemTotal": 64_000_000_000,
}


ANOTHER = 1234
"""The uid of a user who is not root."""


def as_another_user(place: Place, name: str, *, host: str | None = None, **doors: Any) -> list[Finding]:
    """What a check finds as uid 1234, in a process of its own: what the system refuses is really refused."""
    open_to_all(place.folder)
    environ = {**place.environ, "DOCKER_HOST": host or place.environ["DOCKER_HOST"]}
    asked = pickle.dumps((replace(place, environ=environ), name, doors))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import planted; planted.answer_as_another_user()"],
        env={**environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        input=asked,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    findings: list[Finding] = pickle.loads(done.stdout)
    return findings


def answer_as_another_user() -> None:
    """The other side of it."""
    place, name, doors = pickle.load(sys.stdin.buffer)
    look(name, place.machine(**doors))  # loads all that it takes: Python may lie where only root reads
    os.setgroups([])
    os.setgid(ANOTHER)
    os.setuid(ANOTHER)
    found = look(name, place.machine(uid=ANOTHER, gid=ANOTHER, **doors))
    sys.stdout.buffer.write(pickle.dumps(found))


def open_to_all(path: Path) -> None:
    """So that another uid can come as far as the test's own folder."""
    for folder in (path, *path.parents):
        if str(folder).startswith(("/tmp/", "/dev/shm/")) and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
