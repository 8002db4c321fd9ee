"""The local backend: a run is a process on this machine, in its own session, watched by a reaper process.

For a shell inside a TAO container, or a native installation. The embedded backend shares ``HostBackend``.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

from taorunner.backends.contract import (
    EngineRequest,
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogChunk,
    LogPosition,
    LogStream,
    Report,
    Started,
)
from taorunner.backends.process import reaper
from taorunner.backends.secrets import INPUT_DIR, masked, wrapped
from taorunner.disk_room import room_at, unwritable
from taorunner.errors import EngineRefusedError, Finding, MachineError, Severity
from taorunner.planning.model.plan import RunPlan
from taorunner.state_files import is_locked, open_state, read_json_state

PROCESS_DIR = "process"
_SLOW_POLL_S, _FAST_POLL_S, _FAST_FOR_S = 0.05, 0.005, 1.0
_KILL_PATIENCE_S = 10.0
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRequest(EngineRequest):
    """``workdir`` is the folder the process starts in. ``lease`` as in ``Launch``."""

    workdir: str
    lease: tuple[int, ...] = field(default=(), compare=False, repr=False)


class HostBackend(ABC):
    """A backend whose runs are processes of this host. See ``contract`` for the rules.

    A subclass defines ``check`` and ``prepare``, and overrides ``host_command`` and ``workdir`` if needed.
    """

    name = "host"

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(os.environ if environ is None else environ)

    @abstractmethod
    def check(self) -> list[Finding]: ...

    @abstractmethod
    def prepare(self, plan: RunPlan, report: Report) -> str | None: ...

    def host_command(self, plan: RunPlan) -> tuple[str, ...]:
        """The argv on this machine, with placeholders for secrets."""
        return plan.argv

    def workdir(self, plan: RunPlan, launch: Launch) -> str:
        return plan.options.workdir or str(plan.workspace)

    def request(self, plan: RunPlan, launch: Launch) -> ProcessRequest:
        return ProcessRequest(
            run_id=launch.run_id,
            backend=self.name,
            argv=masked(plan.argv),
            command=wrapped(plan, str(launch.run_dir / INPUT_DIR), self.host_command(plan)),
            run_dir=launch.run_dir,
            env={
                "PYTHONUNBUFFERED": "1",  # or the log of a file that Python writes to is 8 KiB behind
                **plan.env,
                # Host ids, numbered as nvidia-smi numbers them: inside the process they are 0..n-1, as argv says.
                "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
                "CUDA_VISIBLE_DEVICES": ",".join(launch.gpu_ids),
            },
            gpus=launch.gpu_ids,
            resources=plan.resources,
            lease=launch.lease,
            workdir=self.workdir(plan, launch),
        )

    def submit(self, request: ProcessRequest) -> Started:
        directory = _process_dir(request.run_dir)
        directory.mkdir(parents=True, exist_ok=True)
        found = self.find(request.run_id, request.run_dir)
        if found is not None:
            return Started(found)
        answer = _start_reaper(request, directory, {**self._environ, **request.env})
        if "unrecordable" in answer:
            error = OSError(
                int(answer["unrecordable"]), os.strerror(int(answer["unrecordable"])), str(directory)
            )
            raise unwritable(error, directory)
        if "errno" in answer:
            raise _cannot_start(request, int(answer["errno"]))
        deadline = time.monotonic() + _KILL_PATIENCE_S
        while (found := self.find(request.run_id, request.run_dir)) is None:
            if time.monotonic() > deadline:
                raise MachineError(f'the process did not start: see "{directory / "reaper.log"}"')
            time.sleep(_FAST_POLL_S)
        return Started(found)

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        return {handle.run_id: read_status(_process_dir(handle.run_dir)) for handle in handles}

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        started = _Process.read(_process_dir(run_dir))
        return (
            None if started is None else Handle(self.name, run_id, f"{started.pid}:{started.start}", run_dir)
        )

    def logs(self, handle: Handle, position: LogPosition) -> LogStream:
        return FileTail(_process_dir(handle.run_dir), position)

    def stop(self, handle: Handle, grace_s: float) -> None:
        """Sends SIGTERM to the process group, and SIGKILL after ``grace_s``. Blocks until the process has ended."""
        directory = _process_dir(handle.run_dir)
        process = _Process.read(directory)
        if process is None or not process.is_alive():
            return
        process.signal_group(signal.SIGTERM)
        process.signal_group(signal.SIGCONT)  # a stopped process does not handle SIGTERM
        if not _until(lambda: not process.is_alive(), grace_s):
            process.signal_group(signal.SIGKILL)
            reaper.kill_marked(str(directory), signal.SIGKILL)
        _until(lambda: not process.is_alive() and not _is_kept(directory), _KILL_PATIENCE_S)

    def remove(self, handle: Handle) -> None:
        self.stop(handle, 0)
        shutil.rmtree(_process_dir(handle.run_dir), ignore_errors=True)

    def command_line(self, request: ProcessRequest) -> str:
        variables = [f"{name}={value}" for name, value in request.env.items()]
        line = shlex.join(["env", *variables, *request.command])
        return f"cd {shlex.quote(request.workdir)} && {line}"


class LocalBackend(HostBackend):
    """Runs the task's own command, found on PATH."""

    name = "local"

    def check(self) -> list[Finding]:
        if not Path("/proc/self/stat").exists():
            return [
                Finding(
                    Severity.ERROR, "local-process", "processes cannot be watched here: there is no /proc"
                )
            ]
        return [Finding(Severity.OK, "local-process", "processes can be started and watched on this machine")]

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        path = plan.env.get("PATH", self._environ.get("PATH", os.defpath))
        if shutil.which(plan.argv[0], path=path) is None:
            raise _no_command(plan.argv[0])
        return None


class FileTail:
    """Reads the output files of a process from a position, until the process has ended and all is read."""

    def __init__(self, directory: Path, position: LogPosition) -> None:
        self._directory = directory
        self._positions = {"stdout": position.stdout, "stderr": position.stderr}
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[LogChunk]:
        files: dict[str, BinaryIO] = {}
        fast_until = time.monotonic() + _FAST_FOR_S
        try:
            while not self._closed.is_set():
                is_over = read_status(self._directory).state in (EngineState.EXITED, EngineState.MISSING)
                read_any = False
                for stream, position in self._positions.items():
                    if stream not in files:
                        try:
                            files[stream] = os.fdopen(open_state(self._directory / stream), "rb")
                        except FileNotFoundError:
                            continue
                        files[stream].seek(position)
                    while not self._closed.is_set() and (data := files[stream].read(_READ_BYTES)):
                        read_any = True
                        yield LogChunk(stream, data)
                        if len(data) < _READ_BYTES:
                            break
                if read_any:
                    continue
                if is_over:
                    return
                self._closed.wait(_FAST_POLL_S if time.monotonic() < fast_until else _SLOW_POLL_S)
        finally:
            for file in files.values():
                file.close()

    def close(self) -> None:
        self._closed.set()


def read_status(directory: Path) -> EngineStatus:
    """The state of the folder's process: recorded by the reaper, or else from the kernel."""
    process = _Process.read(directory)
    started_at = None if process is None else process.started_at
    finished = _finished(directory, started_at)
    if finished is not None:
        return finished
    if process is not None and process.is_alive():
        return EngineStatus(EngineState.RUNNING, started_at=started_at)
    if _is_kept(directory):  # right before the start or after the end, not recorded yet
        return EngineStatus(
            EngineState.CREATED if process is None else EngineState.RUNNING, started_at=started_at
        )
    return _finished(directory, started_at) or EngineStatus(EngineState.MISSING, started_at=started_at)


def _finished(directory: Path, started_at: datetime | None) -> EngineStatus | None:
    body = _read_json(directory / "exit.json", "exit_code")
    if body is None:
        return None
    return EngineStatus(
        EngineState.EXITED,
        exit_code=body["exit_code"],
        oom_killed=bool(body.get("oom_killed")),
        started_at=started_at,
        finished_at=_utc(body.get("at")),
        full_disk=Path(full) if isinstance(full := body.get("full"), str) else None,
    )


@dataclass(frozen=True, slots=True)
class _Process:
    """Identifies one process uniquely, because pids are reused."""

    pid: int
    start: int
    boot: str
    started_at: datetime | None

    @staticmethod
    def read(directory: Path) -> _Process | None:
        body = _read_json(directory / "started.json", "pid", "start")
        if body is None:
            return None
        return _Process(body["pid"], body["start"], str(body.get("boot")), _utc(body.get("at")))

    def is_alive(self) -> bool:
        return reaper.start_time(self.pid) == self.start and reaper.boot_id() == self.boot

    def signal_group(self, number: signal.Signals) -> None:
        if not self.is_alive():
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError as error:
            raise MachineError(
                f'the process "{self.pid}" belongs to another user', hint="stop it as the user who started it"
            ) from error


def _start_reaper(request: ProcessRequest, directory: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    script = str(Path(reaper.__file__))
    argv = [
        sys.executable,
        "-I",
        "-S",
        script,
        str(directory),
        request.workdir,
        *request.command,
    ]
    with (directory / "reaper.log").open("ab") as log:
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(environ),
                start_new_session=True,
                pass_fds=request.lease,  # the reaper holds the leases while the process lives
                timeout=60,
                check=False,
            )
        except (OSError, ValueError) as error:
            raise EngineRefusedError(f"the process cannot be started: {error}") from error
        except subprocess.TimeoutExpired as error:
            raise MachineError(
                f'the reaper process does not answer: see "{directory / "reaper.log"}"'
            ) from error
    lines = done.stdout.splitlines()
    if not lines:
        room = room_at(directory)
        if room is not None and room.is_full:
            text = f"the process cannot be recorded: no space left on device; {room.text}"
            raise MachineError(text, hint=room.hint)
        raise MachineError(f'the reaper process exited at start: see "{directory / "reaper.log"}"')
    answer: dict[str, Any] = json.loads(lines[0])
    return answer


def _cannot_start(request: ProcessRequest, number: int) -> MachineError | EngineRefusedError:
    command = request.command[0]
    if number == errno.ENOENT and not Path(request.workdir).is_dir():
        return MachineError(f'there is no folder "{request.workdir}" to start in')
    if number == errno.ENOENT:
        return _no_command(command)
    return EngineRefusedError(f'"{command}" cannot be started: {os.strerror(number).lower()}')


def _no_command(command: str) -> MachineError:
    return MachineError(
        f'there is no command "{command}" on PATH',
        hint="the local backend needs TAO on this machine, for example inside its container; or use --backend docker",
    )


def _is_kept(directory: Path) -> bool:
    """True while the reaper lives and holds the lock."""
    return is_locked(directory / "lock")


def _until(claim: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    pause = 0.002
    while not claim():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, _SLOW_POLL_S)
    return True


def _process_dir(run_dir: Path) -> Path:
    return run_dir / PROCESS_DIR


def _read_json(path: Path, *numbers: str) -> dict[str, Any] | None:
    """None also for a damaged file: one in which a key of ``numbers`` is no whole number."""
    with suppress(OSError, ValueError):
        body = read_json_state(path)
        if isinstance(body, dict) and all(_is_whole(body.get(name)) for name in numbers):
            return body
    return None


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < 2**62


def _utc(seconds: object) -> datetime | None:
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(seconds, int | float):
            return datetime.fromtimestamp(seconds, timezone.utc)
    return None


def create(environ: Mapping[str, str] | None = None) -> LocalBackend:
    """What ``registry`` calls."""
    return LocalBackend(environ)
