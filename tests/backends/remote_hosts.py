"""A real sshd on loopback whose commands reach the engine of this test run, with GPUs that a program stands in for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from private_daemon import write_program
from ssh_host import FOLDERS, ssh_host

ALIAS = "gpu-box"


@dataclass
class RemoteHost:
    """``environ`` is the environment in which ``gpu-box`` is the host; ``leases`` its folder of GPU leases."""

    folder: Path
    environ: dict[str, str]
    leases: Path

    @property
    def server(self) -> int:
        return int((self.folder / "ssh/pid").read_text())

    def cut(self) -> None:
        """Ends every connection. New ones can be made."""
        for pid in reversed(below(self.server)):
            _end_sshd(pid)

    def down(self) -> None:
        """Ends every connection, and lets none in until ``up``."""
        children = below(self.server)
        os.kill(self.server, signal.SIGKILL)
        for pid in reversed(children):
            _end_sshd(pid)

    def up(self) -> None:
        sshd = shutil.which("sshd", path=FOLDERS) or "sshd"
        subprocess.run(
            [sshd, "-f", str(self.folder / "ssh/sshd_config"), "-E", str(self.folder / "ssh/log")], check=True
        )

    def compute(self, *rows: str) -> None:
        """What ``nvidia-smi`` lists as computing: ``UUID, PID`` each."""
        (self.folder / "computing").write_text("".join(f"{row}\n" for row in rows))

    def end(self) -> None:
        with suppress(OSError, ValueError):
            os.kill(self.server, signal.SIGTERM)


def _end_sshd(pid: int) -> None:
    with suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
            os.kill(pid, signal.SIGKILL)


def below(pid: int) -> list[int]:
    """The processes that it has started, and those that they have, parents first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    ahead = [pid]
    while ahead:
        children = parents.get(ahead.pop(0), [])
        found += children
        ahead += children
    return found


def uuid_of(number: int) -> str:
    return f"GPU-0000000{number}-1111-2222-3333-444444444444"


@contextmanager
def remote_host(
    folder: Path, docker_host: str, *, gpus: int = 2, path: str | None = None
) -> Iterator[RemoteHost]:
    """``path`` are the folders of its programs, in the place of those of this machine."""
    programs = folder / "far-bin"
    programs.mkdir()
    rows = "".join(f"{number}, {uuid_of(number)}, Disabled, NVIDIA L4\\n" for number in range(gpus))
    write_program(
        programs / "nvidia-smi",
        f'#!/bin/sh\ncase "$1" in *compute-apps*) cat "{folder}/computing" ;; *) printf "{rows}" ;; esac\n',
    )
    leases = folder / "leases"
    own = {
        "DOCKER_HOST": docker_host,
        "TAORUNNER_LEASES": str(leases),
        "PATH": f"{programs}:{path or os.environ['PATH']}",
    }
    with ssh_host(folder, ALIAS, **own) as environ:
        found = RemoteHost(folder, {**environ, "XDG_RUNTIME_DIR": ""}, leases)
        found.compute()
        yield found
        found.end()
