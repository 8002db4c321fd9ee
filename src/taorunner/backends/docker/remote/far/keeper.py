"""The program that keeps one container on another host. It is copied there with the modules beside it, and runs alone:
Python 3.7, its library and the docker command.

``start DIR`` makes a process that outlives the ssh connection. It waits for GPUs, holds their leases, starts the
container, copies what that prints to ``console.log``, and writes ``exit`` at its end. What it did can be read from DIR
and from the engine: one that was killed is started again by ``tend``, and continues.

DIR holds ``container.json``, ``events.jsonl`` (a line for each start, end, and reason to wait), ``result.json`` (what
the engine says of the end), ``console.log``, ``exit``, ``stop`` (a request to stop: the grace in seconds).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .choice import Choice, docker_words
from .common import NEW, RefusedError, SilentError, amount, in_micros, now, write, write_all
from .engine import GPUS_LABEL, RUN_LABEL, docker, is_over, look, said_by
from .gpus import Gpu, known_gpus
from .leases import Leases
from .shell import shell

JOB, CONSOLE, EVENTS, RESULT = "container.json", "console.log", "events.jsonl", "result.json"
EXIT, STOP, LOCK, OWN_LOG = "exit", "stop", "keeper.lock", "keeper.log"
LOOK_EVERY_S, SAY_EVERY_S, ENGINE_PAUSE_S = 0.5, 20.0, 2.0
REMOVED = "the container was removed"


class Run:
    """The files of one run, and its container."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        job = json.loads(self.path(JOB).read_text(encoding="utf-8"))
        self.run_id, self.name, self.words, self.gpus = job["run_id"], job["name"], job["words"], job["gpus"]
        self.leases = Leases(job.get("leases"))
        self.choice = Choice(self.leases, self.gpus, self.run_id)
        self._said: str | None = None
        self._said_s = 0.0

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def is_stopped(self) -> bool:
        return self.path(STOP).exists()

    @property
    def has_ended(self) -> bool:
        return self.path(EXIT).exists()

    @property
    def grace(self) -> str:
        try:
            return str(int(float(self.path(STOP).read_text() or "10")))
        except (OSError, ValueError):
            return "10"

    def keep(self) -> None:
        """To the end of the container, or until its folder is gone."""
        while not self.has_ended and self.path(JOB).exists():
            try:
                self._keep()
            except SilentError as error:
                sys.stderr.write(f"{now()}: {error}\n")
                time.sleep(ENGINE_PAUSE_S)
            except RefusedError as error:
                self._end(125, refused=str(error))
        self.leases.release()

    def _keep(self) -> None:
        container = look(self.name)
        if container is not None and _labels(container).get(RUN_LABEL) != self.run_id:
            raise RefusedError(f'Conflict. The container name "/{self.name}" is already in use')
        if container is not None and container["State"]["Status"] == "created":
            docker("rm", "-f", self.name)  # an earlier keeper was killed before it started it
            container = None
        if container is None:
            self.leases.release()
            if self._has_said("started"):
                raise RefusedError(REMOVED)
            if not self._begin():
                self._end(130, stopped=True)
                return
        elif not self.leases.held:
            self._adopt(container)
        self._follow()

    def _begin(self) -> bool:
        """The container is started, on GPUs whose leases are held. False when a stop came first."""
        chosen = self._wait_for_gpus() if self.gpus else []
        if chosen is None or self.is_stopped:
            return False
        made = docker("create", "--pull", "never", *docker_words(self.words, chosen))
        if made.returncode:
            raise RefusedError(said_by(made))
        started = docker("start", self.name)
        if started.returncode:
            docker("rm", "-f", self.name)
            raise RefusedError(said_by(started))
        self._note_start(look(self.name), [gpu.number for gpu in chosen])
        if self.is_stopped:  # the request came between
            docker("stop", "-t", self.grace, self.name)
        return True

    def _adopt(self, container: Any) -> None:
        """A container whose keeper was killed. No other run has got its GPUs: see ``choice``."""
        ids = _labels(container).get(GPUS_LABEL)
        for uuid in ids.split(",") if ids and not is_over(container) else ():
            self.leases.take(uuid, self.choice.holder)
        if not self._has_said("started"):
            self._note_start(container, [])

    def _wait_for_gpus(self) -> list[Gpu] | None:
        """The GPUs, leased; None when the run is to stop."""
        self.choice.begin()
        turn = threading.Thread(target=self.leases.wait_turn, daemon=True)
        turn.start()
        while turn.is_alive():
            turn.join(LOOK_EVERY_S)
            if self.is_stopped:
                return None
            if turn.is_alive():
                self._wait(f"{amount(self.gpus)}: earlier runs wait for GPUs, too")
        try:
            while not self.is_stopped:
                taken, blocked = self.choice.attempt()
                if taken:
                    return taken
                self._wait(f"{amount(self.gpus)}: " + "; ".join(blocked[:4]))
                time.sleep(LOOK_EVERY_S)
            return None
        finally:
            self.leases.end_turn()

    def _follow(self) -> None:
        """Copies the stored output from where the copy ends, until the container has ended. Its order never changes."""
        while True:
            self._copy_log("--follow")
            container = look(self.name)
            if container is None:
                raise RefusedError(REMOVED)
            if is_over(container):
                break
            time.sleep(LOOK_EVERY_S)
        self._copy_log()  # a followed log may end before its last line without LF
        state = container["State"]
        self._end(
            state["ExitCode"] & 0xFF, oom=bool(state.get("OOMKilled")), error=state.get("Error") or None,
            finished=in_micros(state["FinishedAt"]),
        )  # fmt: skip

    def _copy_log(self, *words: str) -> None:
        kept = os.open(self.path(CONSOLE), NEW | os.O_APPEND, 0o600)
        output, theirs = os.pipe()
        try:
            known = os.fstat(kept).st_size
            reader = subprocess.Popen(
                ["docker", "logs", *words, self.name], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
            )
            os.close(theirs)
            while True:
                data = os.read(output, 1 << 16)
                if not data:
                    break
                write_all(kept, data[known:])
                known = max(0, known - len(data))
            reader.wait()
        finally:
            os.close(output)
            os.close(kept)

    def _end(self, code: int, **result: object) -> None:
        """Writes what the engine says of the end, then the code. Nothing is written after that."""
        write(self.path(RESULT), json.dumps(result).encode())
        if self._has_said("started"):
            self._note(f"ended:{code}:")
        write(self.path(EXIT), f"{code} {now()}\n".encode())

    def _note_start(self, container: Any, gpus: list[str]) -> None:
        at = container["State"]["StartedAt"] if container is not None else now()
        self._note("started", attempt=0, gpus=gpus, at=in_micros(at))

    def _note(self, event: str, **more: object) -> None:
        descriptor = os.open(self.path(EVENTS), NEW | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, (json.dumps({"at": now(), **more, "event": event}) + "\n").encode())
        finally:
            os.close(descriptor)

    def _has_said(self, event: str) -> bool:
        try:
            return f'"event": "{event}"'.encode() in self.path(EVENTS).read_bytes()
        except OSError:
            return False

    def _wait(self, reason: str) -> None:
        if reason != self._said and (self._said is None or time.monotonic() - self._said_s > SAY_EVERY_S):
            self._said, self._said_s = reason, time.monotonic()
            self._note("waits", reason=reason)


def start(folder: str) -> None:
    """A keeper for the run, unless it has one or has ended. It is a process of its own when this returns."""
    lock = os.open(f"{folder}/{LOCK}", NEW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child = 0 if not Path(folder, EXIT).exists() else -1
        child = os.fork() if child == 0 else child
    except OSError:
        child = -1
    if child:
        os.close(lock)
        if child > 0:
            os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    try:
        _detach(folder)
        Run(folder).keep()
    except BaseException as error:  # all that is left of it is this line
        sys.stderr.write(f"{now()}: {type(error).__name__}: {error}\n")
    finally:
        os._exit(0)  # a thread may wait for its turn


def tend(*folders: str) -> None:
    """Starts keepers that were killed. Prints the folders that are gone, each followed by a zero byte."""
    for folder in folders:
        if Path(folder, JOB).exists():
            start(folder)
        else:
            sys.stdout.write(folder + "\0")
            sys.stdout.flush()  # a process that is started must not print it again


def stop(folder: str, grace_s: str) -> None:
    """Ends the container, or the waiting for GPUs. Blocks until that is written."""
    if not Path(folder, JOB).exists():
        return
    run = Run(folder)
    write(run.path(STOP), grace_s.encode())
    start(folder)
    deadline = time.monotonic() + float(grace_s) + 30
    while not run.has_ended and time.monotonic() < deadline:
        container = look(run.name)
        if container is not None and container["State"]["Status"] in ("running", "paused", "restarting"):
            docker("stop", "-t", run.grace, run.name)
        time.sleep(0.1)


def remove(folder: str) -> None:
    """Ends the run at once and removes its container."""
    stop(folder, "0")
    if Path(folder, JOB).exists():
        docker("rm", "-f", "-v", Run(folder).name)


def probe(workspace: str, leases: str = "") -> None:
    """Prints what a run needs here, as JSON: each part as it is, or why it cannot be said."""
    found: dict[str, Any] = {"uid": os.getuid(), "gid": os.getgid()}
    try:
        info = docker("info", "--format", "{{json .}}", timeout_s=30)
        body = json.loads(info.stdout) if info.stdout.strip() else {}
        found["docker"], found["security"] = body.get("ServerVersion"), body.get("SecurityOptions") or []
        found["runtimes"] = sorted(body.get("Runtimes") or {})
        if info.returncode or body.get("ServerErrors"):
            found["docker_error"] = (body.get("ServerErrors") or [said_by(info)])[0]
    except (RefusedError, SilentError, ValueError) as error:
        found["docker_error"] = str(error)
    try:
        found["gpus"] = [gpu.name for gpu in known_gpus()]
    except RefusedError as error:
        found["gpus_error"] = str(error)
    try:
        kept = Leases(leases or None)
        kept.check()
        found["leases"] = str(kept.folder)
    except (RefusedError, OSError) as error:
        found["leases_error"] = str(error)
    place = Path(workspace)
    found["workspace"] = place.is_dir()
    while not place.exists() and place != place.parent:
        place = place.parent
    found["writable"], found["rsync"] = os.access(place, os.W_OK | os.X_OK), shutil.which("rsync") is not None
    sys.stdout.write(json.dumps(found))


def main(words: list[str]) -> int:
    commands: dict[str, Any] = {
        "start": start,
        "tend": tend,
        "stop": stop,
        "remove": remove,
        "probe": probe,
        "shell": shell,
    }
    os.umask(0o077)
    try:
        code = commands[words[0]](*words[1:])
    except (RefusedError, SilentError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return int(code or 0)


def _detach(folder: str) -> None:
    """Nothing of the ssh connection is held open, and its end is no signal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")
    null, log = os.open(os.devnull, os.O_RDWR), os.open(Path(folder, OWN_LOG), NEW | os.O_APPEND, 0o600)
    for place, descriptor in enumerate((null, log, log)):
        os.dup2(descriptor, place)
    sys.stderr = os.fdopen(2, "w", buffering=1)


def _labels(container: Any) -> dict[str, str]:
    return container["Config"].get("Labels") or {}
