"""Worker: what happens between "start this run" and "it has exited", in a thread of its own.

A worker talks to the engine, which may block, and puts messages on the runner's queue. It decides
nothing and records nothing: that is the runner's one thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from taorunner.backends.base import (
    Backend,
    EngineRequest,
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogPosition,
    LogStream,
    PullProgress,
    Started,
)  # fmt: skip
from taorunner.errors import TaorunnerError
from taorunner.planning.plan import RunPlan

SETTLE_WAITS_S = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""A stream ends a moment before the engine knows the exit code: ask again before following anew."""
RECONNECT_WAITS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""How long to wait between asking an engine that does not answer; the last one is repeated."""
ENGINE_PATIENCE_S = 600.0
"""An engine that does not answer for this long is given up: the run is LOST until somebody looks again."""


@dataclass(frozen=True, slots=True)
class Pulling:
    run_id: str
    progress: PullProgress


@dataclass(frozen=True, slots=True)
class Requested:
    """The exact request, before it is sent."""

    run_id: str
    request: EngineRequest
    command_line: str


@dataclass(frozen=True, slots=True)
class Launched:
    run_id: str
    started: Started


@dataclass(frozen=True, slots=True)
class Printed:
    run_id: str
    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Trouble:
    """The engine does not answer, or answers again. The run itself may well go on."""

    run_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last message of a worker: how the engine says it ended, or why it never started."""

    run_id: str
    status: EngineStatus | None
    error: TaorunnerError | None = None


Message = Pulling | Requested | Launched | Printed | Trouble | Ended


class _AbandonedError(Exception):
    """The runner no longer wants this run to start."""


class Worker:
    """``prepare_files`` writes spec and secrets into the run's folder right before the launch."""

    def __init__(
        self, backend: Backend, plan: RunPlan, launch: Launch, inbox: queue.Queue[Message],
        prepare_files: Callable[[], None],
    ) -> None:  # fmt: skip
        self._backend, self._plan, self._launch, self._inbox = backend, plan, launch, inbox
        self._prepare_files = prepare_files
        self._abandoned = threading.Event()
        self._stream: LogStream | None = None
        self._thread = threading.Thread(target=self._run, name=f"run-{launch.run_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def abandon(self) -> None:
        """Ends a pull that is under way. Once the process is started this does nothing."""
        self._abandoned.set()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _run(self) -> None:
        run_id = self._launch.run_id
        try:
            status = self._follow(self._begin())
            self._inbox.put(Ended(run_id, status))
        except _AbandonedError:
            self._inbox.put(Ended(run_id, None))
        except TaorunnerError as error:
            self._inbox.put(Ended(run_id, None, error))
        except Exception as error:  # a broken worker must not leave its run RUNNING for ever
            text = f"following the run failed: {type(error).__name__}: {error}"
            self._inbox.put(Ended(run_id, None, TaorunnerError(text)))

    def _begin(self) -> Handle:
        run_id = self._launch.run_id
        self._backend.prepare(self._plan, self._report)
        self._check_abandoned()
        self._prepare_files()
        request = self._backend.request(self._plan, self._launch)
        self._inbox.put(Requested(run_id, request, self._backend.command_line(request)))
        self._check_abandoned()
        started = self._backend.submit(request)
        self._inbox.put(Launched(run_id, started))
        return started.handle

    def _report(self, progress: PullProgress) -> None:
        self._check_abandoned()
        self._inbox.put(Pulling(self._launch.run_id, progress))

    def _check_abandoned(self) -> None:
        if self._abandoned.is_set():
            raise _AbandonedError

    def _follow(self, handle: Handle) -> EngineStatus:
        """Reads until the engine says that the run is over. The end of a stream alone says nothing."""
        seen = {"stdout": 0, "stderr": 0}
        silent_since: float | None = None
        attempt = 0
        while True:
            try:
                self._stream = self._backend.logs(handle, LogPosition(seen["stdout"], seen["stderr"]))
                for chunk in self._stream:
                    seen[chunk.stream] += len(chunk.data)
                    self._inbox.put(Printed(handle.run_id, chunk.stream, chunk.data))
                status = self._settle(handle)
                if silent_since is not None:
                    self._inbox.put(Trouble(handle.run_id, "the engine answers again"))
                silent_since, attempt = None, min(attempt, 3)
                if status.state in (EngineState.EXITED, EngineState.MISSING):
                    return status
            except TaorunnerError as error:
                if silent_since is None:
                    silent_since = time.monotonic()
                    self._inbox.put(Trouble(handle.run_id, f"the engine does not answer: {error.message}"))
                elif time.monotonic() - silent_since > ENGINE_PATIENCE_S:
                    return EngineStatus(EngineState.MISSING, error=error.message)
            time.sleep(RECONNECT_WAITS_S[min(attempt, len(RECONNECT_WAITS_S) - 1)])
            attempt += 1

    def _settle(self, handle: Handle) -> EngineStatus:
        for wait_s in SETTLE_WAITS_S:
            time.sleep(wait_s)
            status = self._backend.inspect([handle])[handle.run_id]
            if status.state in (EngineState.EXITED, EngineState.MISSING):
                break
        return status
