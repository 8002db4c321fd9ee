"""One dockerd with everything of its own: prepared, started, ended, cleared away.

Only the rig's guard process makes one; ``rig.py`` is what others use. Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
CAP_SYS_RESOURCE = 24
ENGINE_PROGRAMS = ("dockerd", "containerd", "runc", "docker-proxy")


class RigError(Exception):
    """No engine can be had here; the text is the reason a skipped test shows."""


class Daemon:
    """One dockerd with everything of its own. Only the guard process makes one."""

    def __init__(self, home: Path, live_restore: bool) -> None:
        self.home = home
        self.live_restore = live_restore
        self.key = hashlib.sha256(str(home).encode()).hexdigest()[:8]
        self.bridge = f"tao-{self.key}"
        self.socket = home / "docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """The folder, the stubs, the bridge."""
        self.home.mkdir(mode=0o755, parents=True)
        stubs = self.home / "bin"
        stubs.mkdir()
        write_program(
            stubs / "nvidia-container-runtime-hook",
            f"#!/bin/sh\ncat >>'{self.home}/hook.log'\necho >>'{self.home}/hook.log'\nexit 0\n",
        )
        clamp = f"{sys.executable} -I -S {HERE / 'clamp_runtime.py'}"
        write_program(
            stubs / "clamp-runc",
            f'#!/bin/sh\ncase " $* " in *" create "*) exec {clamp} "$@" ;; esac\nexec runc "$@"\n',
        )
        run_ip("link", "add", self.bridge, "type", "bridge")
        run_ip("addr", "add", free_subnet(self.key), "dev", self.bridge)
        run_ip("link", "set", self.bridge, "up")
        config = {
            "data-root": str(self.home / "data"),
            "exec-root": str(self.home / "exec"),
            "pidfile": str(self.home / "dockerd.pid"),
            "hosts": [f"unix://{self.socket}"],
            "bridge": self.bridge,
            "iptables": False,
            "ip6tables": False,
            "live-restore": self.live_restore,
            "containerd-namespace": f"rig-{self.key}",
            "containerd-plugins-namespace": f"rig-{self.key}-plugins",
            "runtimes": {"nvidia": {"path": str(stubs / "clamp-runc")}},
            "default-runtime": "runc" if may_raise_limits() else "nvidia",
        }
        (self.home / "daemon.json").write_text(json.dumps(config, indent=1))

    def start(self) -> None:
        """Starts dockerd and waits until it answers."""
        with (self.home / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--config-file", str(self.home / "daemon.json")],
                env={**os.environ, "PATH": f"{self.home / 'bin'}{os.pathsep}{search_path()}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not answers(self.socket):
            if self.process.poll() is not None:
                raise RigError(f"dockerd ended with code {self.process.returncode}")
            if time.monotonic() > deadline:
                raise RigError(f"dockerd did not answer within {READY_TIMEOUT_S:.0f} s")
            time.sleep(0.05)
        state = {
            "url": f"unix://{self.socket}",
            "guard": os.getpid(),
            "guard_started": started_at(os.getpid()),
            "dockerd": self.process.pid,
            "bridge": self.bridge,
        }
        beside = self.home / "state.new"
        beside.write_text(json.dumps(state))
        beside.replace(self.home / "state.json")

    def end(self) -> None:
        """Asks dockerd to end, and makes it."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def clear(self) -> None:
        """Ends every container and process of this engine and leaves nothing of it behind."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.SubprocessError):
                remove_containers(f"unix://{self.socket}")
            self.end()
        for pid in processes_of(self.home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for target in mounts_below(self.home):
            subprocess.run(["umount", "-l", target], capture_output=True, check=False)
        subprocess.run(
            ["ip", "link", "del", self.bridge], capture_output=True, check=False, env=ip_environment()
        )
        shutil.rmtree(self.home, ignore_errors=True)

    def log_end(self) -> str:
        try:
            return "\n".join((self.home / "dockerd.log").read_text(errors="replace").splitlines()[-12:])
        except OSError:
            return ""


def remove_containers(url: str) -> None:
    docker = ["docker", "-H", url]
    listed = subprocess.run([*docker, "ps", "-aq"], capture_output=True, text=True, timeout=10, check=False)
    names = listed.stdout.split()
    if names:
        subprocess.run([*docker, "rm", "-f", "-v", *names], capture_output=True, timeout=30, check=False)


def processes_of(home: Path, programs: tuple[str, ...] = ENGINE_PROGRAMS) -> list[int]:
    """Processes whose command line names ``home``, of programs whose names begin so."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            ours = any(f"{home}/".encode() in word for word in words)
            if ours and Path(os.fsdecode(words[0])).name.startswith(programs):
                found.append(int(entry.name))
    return found


def mounts_below(home: Path) -> list[str]:
    """Mount points of the engine, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted((line.split()[4] for line in lines if line.split()[4].startswith(f"{home}/")), reverse=True)


def answers(path: Path) -> bool:
    """Whether an engine says OK on this socket."""
    connection = http.client.HTTPConnection("localhost", timeout=2)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(2)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def pid_of(lock: Path) -> int:
    """Of the process that holds the lock, by /proc/locks."""
    inode = lock.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    raise AssertionError("nobody has the lock")


def started_at(pid: int) -> str | None:
    """When the process was started, in ticks; None when there is none. Tells a reused pid from the old one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def may_raise_limits() -> bool:
    """Whether this root has CAP_SYS_RESOURCE. Without it runc cannot give what ``--ulimit`` asks for."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
    return True


def free_subnet(key: str) -> str:
    """An address for the bridge in a /24 that no interface of this machine has."""
    shown = subprocess.run(
        ["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=False, env=ip_environment()
    )
    taken = [
        ipaddress.ip_interface(line.split()[3]).network for line in shown.stdout.splitlines() if line.split()
    ]
    for step in range(256):
        network = ipaddress.ip_network(f"172.30.{(int(key, 16) + step) % 256}.0/24")
        if not any(network.overlaps(other) for other in taken):
            return f"{network.network_address + 1}/24"
    raise RigError("no free subnet in 172.30.0.0/16 for the test bridge")


def run_ip(*args: str) -> None:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False, env=ip_environment())
    if done.returncode:
        raise RigError(f"ip {' '.join(args)}: {done.stderr.strip()}")


def ip_environment() -> dict[str, str]:
    return {**os.environ, "PATH": search_path()}


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def which(program: str) -> str | None:
    """As ``shutil.which``, also where daemons lie though a user's PATH lacks them."""
    return shutil.which(program, path=search_path())


def search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
