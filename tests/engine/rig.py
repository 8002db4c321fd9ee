#!/usr/bin/env python3
"""A private Docker engine for tests: what to install for it, how it is brought up, how it is stopped.

Used by ``tests/conftest.py`` and from a shell::

    python tests/engine/rig.py install     # the system packages that are missing, with one apt-get (root)
    python tests/engine/rig.py up          # prints the URL; stays until down, or until --owner PID has ended
    python tests/engine/rig.py down

The engine has its own data, sockets, bridge, containerd namespace and runtimes below one short folder, its *home*,
and is stopped by its own pid. An engine that is already on the machine is neither used nor touched. ``--gpus`` is a
real request here: a stub of NVIDIA's hook stands first on the engine's PATH, and the OCI runtime ``nvidia`` is runc
behind ``clamp_runtime.py``. Standard library only, because ``install`` runs before anything else is there.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
DEFAULT_HOME = Path("/tmp/taorunner-rig")  # short: a unix socket's path has room for 107 characters
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
CAP_SYS_RESOURCE = 24

PROGRAMS = {  # program -> Debian package; the first existing package of several names is taken
    "dockerd": ("docker.io",),
    "docker": ("docker-cli", "docker.io"),
    "docker-compose": ("docker-compose",),
    "docker-registry": ("docker-registry",),
    "htpasswd": ("apache2-utils",),
    "busybox": ("busybox-static",),
    "ip": ("iproute2",),
    "sshd": ("openssh-server",),
    "gcc": ("gcc",),
    "cc1-headers": ("libc6-dev",),
}


class RigError(Exception):
    """No engine can be had here; the text is the reason a skipped test shows."""


@dataclass(frozen=True)
class Engine:
    """A Docker engine that tests may use. ``home`` is where scratch files of its users may go."""

    url: str
    home: Path
    is_private: bool = True

    def environment(self) -> dict[str, str]:
        """What a client must have in its environment: this engine, and nobody's credentials or contexts."""
        config = self.home / "docker-config"
        config.mkdir(parents=True, exist_ok=True)
        return {"DOCKER_HOST": self.url, "DOCKER_CONFIG": str(config)}

    def docker(
        self, *args: str, input_bytes: bytes | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """``docker ARGS…``; the exit code is the caller's to look at. stdout and stderr are text."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        done = subprocess.run(
            ["docker", *args],
            env={**inherited, **self.environment()},
            input=input_bytes,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    @property
    def hook_log(self) -> Path:
        """One OCI state (a JSON line) for each container that asked for GPUs. Only of a private engine."""
        return self.home / "hook.log"

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """One holder at a time over all processes that use this engine: for building an image once."""
        with (self.home / f"{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def obstacle() -> str | None:
    """Why no private engine can be brought up here, or None."""
    if not sys.platform.startswith("linux"):
        return "a private Docker engine needs Linux"
    missing = [name for name in ("dockerd", "docker", "ip", "runc") if which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (as root: python tests/engine/rig.py install)"
    if os.geteuid() != 0:
        return (
            "a private Docker engine needs root; or set TAORUNNER_TEST_DOCKER_HOST to an engine you may use"
        )
    return None


def up(home: Path = DEFAULT_HOME, owner: int | None = None, live_restore: bool = False) -> Engine:
    """The engine of ``home``, started when it does not run yet. It ends with the process ``owner``.

    Raises: RigError with the reason and the end of the engine's log.
    """
    reason = obstacle()
    if reason:
        raise RigError(reason)
    if len(str(home)) > 60:
        raise RigError(f"'{home}' is too long for a unix socket")
    lock_path = home.with_name(home.name + ".lock")
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = read_state(home)
        if state is None:
            command = [sys.executable, "-I", str(Path(__file__).resolve()), "guard", "--home", str(home)]
            command += ["--owner", str(owner)] if owner else []
            command += ["--live-restore"] if live_restore else []
            started = subprocess.run(
                command, capture_output=True, text=True, timeout=READY_TIMEOUT_S + 30, check=False
            )
            state = read_state(home)
            if started.returncode or state is None:
                lock_path.unlink(missing_ok=True)
                raise RigError(started.stderr.strip() or "the engine did not come up")
    return Engine(str(state["url"]), home)


def down(home: Path = DEFAULT_HOME) -> None:
    """Stops the engine of ``home`` and removes its folder and bridge. No engine there is no error."""
    state = read_state(home)
    if state is not None:
        os.kill(int(state["guard"]), signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S + 15
        while home.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        if home.exists():
            raise RigError(f"the engine in '{home}' did not stop")
    home.with_name(home.name + ".lock").unlink(missing_ok=True)


def restart(home: Path) -> None:
    """Ends the dockerd of ``home`` and starts it again; returns when the new one answers.

    Raises: RigError when there is no engine or the new one does not come up.
    """
    state = read_state(home)
    if state is None:
        raise RigError(f"no engine in '{home}'")
    os.kill(int(state["guard"]), signal.SIGUSR1)
    deadline = time.monotonic() + READY_TIMEOUT_S
    while (now := read_state(home)) is None or now["dockerd"] == state["dockerd"]:
        if time.monotonic() > deadline:
            raise RigError(f"the engine in '{home}' did not come back")
        time.sleep(0.05)


def read_state(home: Path) -> dict[str, Any] | None:
    """What the guard of a running engine wrote, None when there is no such engine."""
    try:
        state: dict[str, Any] = json.loads((home / "state.json").read_text())
    except (OSError, ValueError):
        return None
    return state if started_at(int(state["guard"])) == state["guard_started"] else None


def install() -> int:
    """Installs what is missing with one apt-get call. Gives the exit code."""
    missing = missing_packages()
    if not missing:
        print("nothing to install")
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"needs root and apt-get for: {' '.join(missing)}", file=sys.stderr)
        return 1
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if any(candidate(name) is None for name in missing):
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    print("+", *command, flush=True)
    return subprocess.run(command, env=environment, check=False, stdin=subprocess.DEVNULL).returncode


def missing_packages() -> list[str]:
    """Debian packages of the programs that are not here, each once."""
    packages: dict[str, None] = {}
    for program, names in PROGRAMS.items():
        present = Path("/usr/include/stdio.h").exists() if program == "cc1-headers" else which(program)
        if not present:
            packages[next((name for name in names if candidate(name)), names[-1])] = None
    return list(packages)


def candidate(package: str) -> str | None:
    """The version apt would install, None when it knows none."""
    if shutil.which("apt-cache") is None:
        return None
    done = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        name, _, version = line.strip().partition(": ")
        if name == "Candidate" and version != "(none)":
            return version
    return None


def which(program: str) -> str | None:
    """As ``shutil.which``, also where daemons lie though a user's PATH lacks them."""
    return shutil.which(program, path=search_path())


def search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def guard(home: Path, owner: int | None, live_restore: bool) -> int:
    """Starts the engine and leaves a process behind that stops it: on SIGTERM, or when ``owner`` has ended.

    Returns (in the calling process) when the engine answers.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading) as pipe:
            message = pipe.read()
        if message != "ready":
            print(message or "the engine's guard ended", file=sys.stderr)
        return 0 if message == "ready" else 1
    os.setsid()
    os.close(reading)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    watched = Daemon(home, live_restore)
    owner_started = started_at(owner) if owner else None
    try:
        watched.prepare()
        watched.start()
        os.write(writing, b"ready")
    except Exception as error:  # whatever it is, the waiting process must be told
        os.write(writing, f"{error}\n{watched.log_end()}".encode())
        watched.clear()
        os._exit(1)
    os.close(writing)
    requests: list[int] = []  # signal numbers, the oldest first

    def note(number: int, frame: FrameType | None) -> None:
        requests.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, note)
    while owner is None or started_at(owner) == owner_started:
        if not requests:
            time.sleep(0.1)
        elif requests.pop(0) != signal.SIGUSR1:
            break
        else:
            watched.end()
            watched.start()
    watched.clear()
    os._exit(0)


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


def processes_of(home: Path) -> list[int]:
    """Processes whose command line names ``home``: containerd, shims, a dockerd that would not stop."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            ours = any(word.startswith(f"{home}/".encode()) for word in words)
            if ours and Path(os.fsdecode(words[0])).name.startswith(
                ("dockerd", "containerd", "runc", "docker-proxy")
            ):
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("command", choices=["install", "up", "down", "guard"])
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME)
    parser.add_argument("--owner", type=int, help="stop the engine when this process has ended")
    parser.add_argument("--live-restore", action="store_true", help="containers outlive the daemon")
    options = parser.parse_args()
    if options.command == "install":
        return install()
    if options.command == "guard":
        return guard(options.home, options.owner, options.live_restore)
    try:
        if options.command == "up":
            print(up(options.home, options.owner, options.live_restore).url)
        else:
            down(options.home)
    except RigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
