#!/usr/bin/env python3
"""A private podman for tests, of root or rootless, behind its API socket, with stand-ins for two GPUs (CDI).

Used by ``tests/conftest.py`` and from a shell::

    python tests/rig/podman/podman_rig.py up --uid 1234    # prints the URL; without --uid podman of root
    python tests/rig/podman/podman_rig.py down --uid 1234

All that podman reads below /etc (CDI files, ranges of user ids, names of users) are files of its *home*, laid over /etc
in a mount namespace of its own. Nothing of the machine's own podman is used or touched. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from private_daemon import (
    READY_TIMEOUT_S,
    RigError,
    answers,
    mounts_below,
    processes_of,
    search_path,
    started_at,
    which,
    write_program,
)

import rig

RIG = Path(__file__).resolve().parents[1]
DEFAULT_HOME = Path("/tmp/taorunner-podman")
USER = "tao"
CALLER = 1234
"""The user of the rootless podman of tests; the same as in ``tests/cli/command_line.py``."""
UIDS = (0, CALLER)
FIRST_SUB_ID, SUB_IDS = 300_000, 65_536
GPUS = ("0", "1")
PROGRAMS = ("podman", "conmon", "catatonit", "runc", "newuidmap", "unshare", "setpriv")
PYTHON = "/usr/bin/python3"
"""For the clamping runtime of a rootless engine, whose user may not read where this Python lies."""


def obstacle() -> str | None:
    """Why no private podman can be brought up here, or None."""
    if not sys.platform.startswith("linux"):
        return "a private podman needs Linux"
    missing = [name for name in PROGRAMS if which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (as root: python tests/rig/rig.py install)"
    return None if os.geteuid() == 0 else "a private podman needs root, for the files that it reads in /etc"


def home_beside(home: Path, uid: int) -> Path:
    """Where the podman of a test run lives whose Docker engine lives in ``home``."""
    return home.with_name(f"{home.name}-p{uid}")


def up(home: Path = DEFAULT_HOME, uid: int = 0, owner: int | None = None) -> PodmanEngine:
    """The podman of ``home``, started when it does not run yet. It ends with the process ``owner``. Raises RigError."""
    reason = obstacle()
    if reason:
        raise RigError(reason)
    state = rig.guarded(Path(__file__), home, owner, [f"--uid={uid}"])
    return PodmanEngine(str(state["url"]), home, uid=uid)


@dataclass(frozen=True)
class PodmanEngine(rig.Engine):
    """``docker`` is the podman command here, which knows the same words. ``uid`` is the owner of a rootless one."""

    uid: int = 0

    def docker(
        self, *args: str, input_bytes: bytes | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["podman", "--remote", "--url", self.url, *args],
            env={name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")},
            input=input_bytes,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        out, err = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)


class Podman:
    """``podman system service`` in a mount namespace. Only the guard process makes one."""

    def __init__(self, home: Path, uid: int) -> None:
        self.home, self.uid = home, uid
        self.socket = home / "podman.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        self.home.mkdir(mode=0o755, parents=True)
        for name in ("bin", "dev", "etc", "etc/cdi", "work", "user", "xdg"):
            (self.home / name).mkdir(mode=0o755)
        shutil.copy(RIG / "clamp_runtime.py", self.home / "bin")
        python = PYTHON if self.uid else sys.executable
        clamp = f"{python} -I -S {self.home}/bin/clamp_runtime.py"
        write_program(
            self.home / "bin" / "clamp-runc",
            f'#!/bin/sh\ncase " $* " in *" create "*) exec {clamp} "$@" ;; esac\nexec runc "$@"\n',
        )
        for number, name in enumerate(GPUS):
            os.mknod(self.home / "dev" / f"nvidia{name}", 0o020666, os.makedev(1, 3 + 2 * number))
            (self.home / "dev" / f"nvidia{name}").chmod(0o666)
        (self.home / "etc" / "cdi" / "nvidia.json").write_text(json.dumps(cdi_file(self.home / "dev")))
        ranges = f"{USER}:{FIRST_SUB_ID}:{SUB_IDS}\n"
        for name in ("subuid", "subgid"):
            (self.home / "etc" / name).write_text(ranges)
        line = f"{USER}:x:{self.uid}:{self.uid}::{self.home}/user:/bin/sh\n" if self.uid else ""
        (self.home / "etc" / "passwd").write_text(Path("/etc/passwd").read_text() + line)
        line = f"{USER}:x:{self.uid}:\n" if self.uid else ""
        (self.home / "etc" / "group").write_text(Path("/etc/group").read_text() + line)
        (self.home / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self.home}/user/graph"\nrunroot = "{self.home}/xdg/run"\n'
            f'rootless_storage_path = "{self.home}/user/graph"\n'
        )
        (self.home / "containers.conf").write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "clamp-runc"\n'
            f'[engine.runtimes]\nclamp-runc = ["{self.home}/bin/clamp-runc"]\n'
            '[containers]\nnetns = "host"\n'  # or a rootless one needs /dev/net/tun
        )
        for folder in ("user", "xdg"):
            os.chown(self.home / folder, self.uid, self.uid)
            (self.home / folder).chmod(0o700)
        os.chown(self.home, self.uid, self.uid)  # for the socket

    def start(self) -> None:
        """Starts the service and waits until it answers."""
        layers = f"lowerdir=/etc,upperdir={self.home}/etc,workdir={self.home}/work"
        script = f'mount -t overlay overlay -o {layers} /etc && exec "$@"'
        ids = [f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        run_as = ["setpriv", *ids] if self.uid else []
        serve = ["podman", "system", "service", "--time=0", f"unix://{self.socket}"]
        with (self.home / "podman.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "-m", "--propagation", "slave", "sh", "-c", script, "sh", *run_as, *serve],
                cwd=self.home,  # its user may not be allowed into the folder of this process
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not answers(self.socket):
            if self.process.poll() is not None:
                raise RigError(f"podman ended with code {self.process.returncode}")
            if time.monotonic() > deadline:
                raise RigError(f"podman did not answer within {READY_TIMEOUT_S:.0f} s")
            time.sleep(0.02)
        guard = os.getpid()
        state = {"url": f"unix://{self.socket}", "guard": guard, "guard_started": started_at(guard)}
        beside = self.home / "state.new"
        beside.write_text(json.dumps({**state, "dockerd": self.process.pid}))
        beside.replace(self.home / "state.json")

    def environment(self) -> dict[str, str]:
        return {
            "PATH": search_path(),
            "HOME": str(self.home / "user"),
            "USER": USER if self.uid else "root",
            "XDG_RUNTIME_DIR": str(self.home / "xdg"),
            "CONTAINERS_STORAGE_CONF": str(self.home / "storage.conf"),
            "CONTAINERS_CONF": str(self.home / "containers.conf"),
        }

    def end(self) -> None:
        """Ends the service; containers go on, each with its conmon."""
        if self.process is not None:
            self.process.kill()
            for pid in processes_of(self.home, ("podman",)):  # a rootless one started itself once more
                if b"service" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()

    def clear(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                remove_containers(f"unix://{self.socket}")
        self.end()
        for pid in processes_of(self.home, ("conmon", "podman", "catatonit", "runc", "slirp4netns")):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pause_processes(self.home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for target in mounts_below(self.home):
            subprocess.run(["umount", "-l", target], capture_output=True, check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def log_end(self) -> str:
        try:
            return "\n".join((self.home / "podman.log").read_text(errors="replace").splitlines()[-12:])
        except OSError:
            return ""


def cdi_file(devices: Path) -> dict[str, object]:
    """What ``nvidia-ctk cdi generate`` writes, for stand-ins: each GPU by itself, and all of them."""

    def device(name: str, gpus: tuple[str, ...]) -> dict[str, object]:
        nodes = [{"path": f"{devices}/nvidia{gpu}"} for gpu in gpus]
        edits = {"deviceNodes": nodes, "env": [f"NVIDIA_VISIBLE_DEVICES={','.join(gpus)}"]}
        return {"name": name, "containerEdits": edits}

    listed = [*(device(gpu, (gpu,)) for gpu in GPUS), device("all", GPUS)]
    return {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": listed}


def remove_containers(url: str) -> None:
    podman = ["podman", "--remote", "--url", url]
    subprocess.run([*podman, "rm", "--all", "--force", "--time=0"], capture_output=True, timeout=30, check=False)  # fmt: skip


def pause_processes(home: Path) -> list[int]:
    """A rootless podman leaves a process behind that keeps its user namespace."""
    found = []
    for path in (home / "xdg").rglob("pause.pid"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text()))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("command", choices=["up", "down", "guard"])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--uid", type=int, default=0, help="rootless, for this uid")
    parser.add_argument("--owner", type=int, help="stop it when this process has ended")
    options = parser.parse_args()
    home = options.home or DEFAULT_HOME.with_name(f"{DEFAULT_HOME.name}-{options.uid}")
    if options.command == "guard":
        return rig.guard(Podman(home, options.uid), options.owner)
    try:
        if options.command == "up":
            print(up(home, options.uid, options.owner).url)
        else:
            rig.down(home)
    except RigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
