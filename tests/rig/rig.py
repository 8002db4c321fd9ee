#!/usr/bin/env python3
"""A private Docker engine for tests: what to install for it, how it is brought up, how it is stopped.

Used by ``tests/conftest.py`` and from a shell::

    python tests/rig/rig.py install     # the system packages that are missing, with one apt-get (root)
    python tests/rig/rig.py up          # prints the URL; stays until down, or until --owner PID has ended
    python tests/rig/rig.py down

The engine has its own data, sockets, bridge, containerd namespace and runtimes below one short folder, its *home*,
and is stopped by its own pid. An engine that is already on the machine is neither used nor touched. ``--gpus`` is a
real request here: a stub of NVIDIA's hook stands first on the engine's PATH, and the OCI runtime ``nvidia`` is runc
behind ``clamp_runtime.py``. Standard library only, because ``install`` runs before anything else is there.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from private_daemon import READY_TIMEOUT_S, STOP_TIMEOUT_S, Daemon, RigError, started_at, which
from system_packages import install

HERE = Path(__file__).resolve().parent
DEFAULT_HOME = Path("/tmp/taorunner-rig")  # short: a unix socket's path has room for 107 characters


@dataclass(frozen=True)
class Engine:
    """A Docker engine that tests may use. ``home`` is where scratch files of its users may go."""

    url: str
    home: Path
    is_private: bool = True

    def environment(self) -> dict[str, str]:
        """What a client must have in its environment: this engine, and no credentials or contexts."""
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
        return f"not installed: {', '.join(missing)} (as root: python tests/rig/rig.py install)"
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
    options = ["--live-restore"] if live_restore else []
    return Engine(str(guarded(Path(__file__), home, owner, options)["url"]), home)


def guarded(script: Path, home: Path, owner: int | None, options: Sequence[str]) -> dict[str, Any]:
    """The state of what ``script guard`` keeps in ``home``; started when there is no live guard of it.

    Raises: RigError with what the guard said.
    """
    if len(str(home)) > 60:
        raise RigError(f"'{home}' is too long for a unix socket")
    lock_path = home.with_name(home.name + ".lock")
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = read_state(home)
        if state is None:
            command = [sys.executable, "-E", "-s", str(script.resolve()), "guard", "--home", str(home)]
            command += ["--owner", str(owner)] if owner else []
            started = subprocess.run(
                [*command, *options],
                capture_output=True,
                text=True,
                timeout=READY_TIMEOUT_S + 30,
                check=False,
            )
            state = read_state(home)
            if started.returncode or state is None:
                lock_path.unlink(missing_ok=True)
                raise RigError(started.stderr.strip() or f"nothing came up in '{home}'")
    return state


def down(home: Path = DEFAULT_HOME) -> None:
    """Stops what a guard keeps in ``home``, and removes its folder and network. No guard there is no error."""
    state = read_state(home)
    if state is not None:
        os.kill(int(state["guard"]), signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S + 15
        while home.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        if home.exists():
            raise RigError(f"what runs in '{home}' did not stop")
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


class Guarded(Protocol):
    """What a guard keeps running. ``start`` returns when it answers, and has written ``state.json``."""

    def prepare(self) -> None: ...
    def start(self) -> None: ...
    def end(self) -> None: ...
    def clear(self) -> None: ...
    def log_end(self) -> str: ...


def guard(watched: Guarded, owner: int | None) -> int:
    """Starts it and leaves a process behind that stops it: on SIGTERM, or when ``owner`` has ended.

    Returns (in the calling process) when it answers.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading) as pipe:
            message = pipe.read()
        if message != "ready":
            print(message or "the guard ended", file=sys.stderr)
        return 0 if message == "ready" else 1
    os.setsid()
    os.close(reading)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    owner_started = started_at(owner) if owner else None
    try:
        watched.prepare()
        watched.start()
        os.write(writing, b"ready")
    except Exception as error:  # whatever it is, the waiting process must get it
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
        return guard(Daemon(options.home, options.live_restore), options.owner)
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
