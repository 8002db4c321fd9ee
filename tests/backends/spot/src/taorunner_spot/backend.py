"""Runs a command under ``preempting``, which may put it back into its queue, also while no taorunner lives."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from taorunner.backends.contract import (
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogChunk,
    LogPosition,
    LogStream,
    Started,
)
from taorunner.backends.process.backend import PROCESS_DIR, LocalBackend, ProcessRequest
from taorunner.planning.model.plan import RunPlan
from taorunner_spot import preempting
from taorunner_spot.target import TARGET


class SpotBackend(LocalBackend):
    name = TARGET.name

    def request(self, plan: RunPlan, launch: Launch) -> ProcessRequest:
        request = super().request(plan, launch)
        command = (sys.executable, preempting.__file__, str(queue_of(launch.run_dir)), *request.command)
        return replace(request, command=command)

    def submit(self, request: ProcessRequest) -> Started:
        folder = queue_of(request.run_dir)
        folder.mkdir(exist_ok=True)
        started = super().submit(request)
        taken = folder / "taken"
        return replace(started, waiting=taken.read_text()) if taken.exists() else started

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        found = super().inspect(handles)
        for handle in handles:
            status, reason = found[handle.run_id], waiting(handle)
            if reason is not None and status.state is EngineState.RUNNING:
                found[handle.run_id] = EngineStatus(EngineState.WAITING, waiting=reason)
            elif reason is not None and status.state is EngineState.EXITED:
                found[handle.run_id] = replace(status, exit_code=None, error="cancelled")
        return found

    def logs(self, handle: Handle, position: LogPosition) -> LogStream:
        return Tail(self, handle, position)


class Tail:
    """The output from a position on, until the process has ended or waits, and all of it is read."""

    def __init__(self, backend: SpotBackend, handle: Handle, position: LogPosition) -> None:
        self._backend, self._handle = backend, handle
        self._offsets = {"stdout": position.stdout, "stderr": position.stderr}
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[LogChunk]:
        is_over = False
        while not (is_over or self._closed.is_set()):
            status = self._backend.inspect([self._handle])[self._handle.run_id]
            is_over = status.state not in (EngineState.CREATED, EngineState.RUNNING)
            for stream in self._offsets:
                if data := self._read(stream):
                    yield LogChunk(stream, data)
            self._closed.wait(0 if is_over else preempting.PAUSE_S)

    def _read(self, stream: str) -> bytes:
        file: BinaryIO
        try:
            with (self._handle.run_dir / PROCESS_DIR / stream).open("rb") as file:
                file.seek(self._offsets[stream])
                data = file.read()
        except FileNotFoundError:
            return b""
        self._offsets[stream] += len(data)
        return data

    def close(self) -> None:
        self._closed.set()


def queue_of(run_dir: Path) -> Path:
    return run_dir / "queue"


def waiting(handle: Handle) -> str | None:
    try:
        return (queue_of(handle.run_dir) / "waiting").read_text()
    except FileNotFoundError:
        return None


def create(environ: Mapping[str, str] | None = None) -> SpotBackend:
    return SpotBackend(environ)
