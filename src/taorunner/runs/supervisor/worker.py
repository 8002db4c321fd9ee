"""Worker: starts and follows one run in its own thread, until the run has exited.

A worker calls the engine, which may block, and puts messages on the runner's queue. Decisions and records are made
by the runner's thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from taorunner.atomic_files import write_bytes
from taorunner.backends.contract import (
    Backend,
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogChunk,
    LogPosition,
    LogStream,
    PullProgress,
    Started,
)  # fmt: skip
from taorunner.backends.docker.log_resume import Tail
from taorunner.disk_room import is_no_room, no_room
from taorunner.errors import MachineError, TaorunnerError
from taorunner.events import ANSWERS_AGAIN, ImagePulling
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.state.store import RunPaths
from taorunner.runs.supervisor.poller import Statuses
from taorunner.values.value import Value, replace

SETTLE_WAITS_S = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""A stream ends shortly before the engine knows the exit code: the delay before the log is followed again."""
RECONNECT_WAITS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""The delays between attempts to reach an engine that does not answer; the last one is repeated."""
ENGINE_PATIENCE_S = 600.0
"""The time limit for an engine that does not answer. The run is then left for a later supervisor."""
IN_QUEUE = "in the queue of the engine"
"""The reason of a run that waits when the engine gives none."""


class Pulling(Value):
    run_id: str
    progress: PullProgress

    def event(self, at: datetime) -> ImagePulling:
        p = self.progress
        return ImagePulling(
            run=self.run_id, at=at, image=p.image, layers_done=p.layers_done, layers=p.layers,
            bytes_done=p.bytes_done, bytes_total=p.bytes_total, eta_s=p.eta_s,
        )  # fmt: skip


class SetAside(Value):
    """Earlier results were moved; ``texts`` describes each move."""

    run_id: str
    texts: tuple[str, ...]


class Launched(Value):
    run_id: str
    started: Started


class Waits(Value):
    """The engine has the run in its queue, for ``reason``: before its first start, or because it was requeued."""

    run_id: str
    handle: Handle
    reason: str


@dataclass(frozen=True, slots=True)
class Printed:
    """``unkept`` as in LogChunk."""

    run_id: str
    stream: str
    data: bytes
    unkept: int = 0


class Trouble(Value):
    """The engine does not answer, or answers again, may have lost output, or has not taken a stop. The run itself may
    still be running."""

    run_id: str
    text: str
    code: str = "engine"


class Ended(Value):
    """The last message of a worker: the engine's final status, or why the run never started."""

    run_id: str
    status: EngineStatus | None
    error: TaorunnerError | None = None


class Undecided(Value):
    """The alternative last message: the state is unknown, because the engine did not answer for too long."""

    run_id: str
    text: str


Message = Undecided | Pulling | SetAside | Waits | Launched | Printed | Trouble | Ended


class _Seen:
    """The stored bytes read of each stream, and the last bytes of each."""

    def __init__(self, position: LogPosition) -> None:
        self._bytes = {"stdout": position.stdout, "stderr": position.stderr}
        self._tails = {stream: Tail(begins=not count) for stream, count in self._bytes.items()}
        for stream, tail in position.tails.items():
            self._tails[stream] = Tail(begins=True)
            self._tails[stream].add(tail)

    @property
    def position(self) -> LogPosition:
        tails = {stream: tail.data for stream, tail in self._tails.items()}
        return LogPosition(self._bytes["stdout"], self._bytes["stderr"], tails)

    def add(self, chunk: LogChunk) -> None:
        self._tails[chunk.stream].add(chunk.data, chunk.unkept)
        self._bytes[chunk.stream] += len(chunk.data) - chunk.unkept


class Recorded(Value):
    """What an earlier supervisor recorded of a run. ``handle`` is None if it died before it recorded one.

    ``waiting`` is the last reported reason of a run in the queue of its engine, "" if none was reported, and None for a
    run that was started. ``was_launched``: the engine has started it at least once.
    """

    handle: Handle | None
    position: LogPosition
    waiting: str | None = None
    was_launched: bool = False


class _AbandonedError(Exception):
    """The start was cancelled by the runner."""


class _UndecidedError(Exception):
    """The engine did not answer for too long."""


class Worker:
    """``prepare_files`` writes spec and secrets into the run's folder right before the launch.

    ``recorded`` is given for a run of an earlier supervisor.
    """

    def __init__(
        self, backend: Backend, plan: RunPlan, launch: Launch, inbox: queue.Queue[Message],
        prepare_files: Callable[[], None], *, statuses: Statuses, recorded: Recorded | None = None,
    ) -> None:  # fmt: skip
        self._statuses = statuses
        self._backend, self._plan, self._launch, self._inbox = backend, plan, launch, inbox
        self._prepare_files = prepare_files
        self._recorded, self._may_exist = recorded or Recorded(None, LogPosition()), recorded is not None
        self._seen = _Seen(self._recorded.position)
        self._abandoned = threading.Event()
        self._stream: LogStream | None = None
        self._thread = threading.Thread(target=self._run, name=f"run-{launch.run_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def abandon(self) -> None:
        """Cancels a pull in progress. Does nothing once the process is started."""
        self._abandoned.set()

    def notice(self, code: str, text: str) -> None:
        """A notice of the run, from any thread but the runner's."""
        self._inbox.put(Trouble(self._launch.run_id, text, code))

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _run(self) -> None:
        run_id = self._launch.run_id
        try:
            self._inbox.put(Ended(run_id, self._to_its_end()))
        except _AbandonedError:
            self._inbox.put(Ended(run_id, None))
        except _UndecidedError as error:
            self._inbox.put(Undecided(run_id, str(error)))
        except TaorunnerError as error:
            self._inbox.put(Ended(run_id, None, error))
        except Exception as error:  # a failed worker must not leave its run RUNNING
            if isinstance(error, OSError) and is_no_room(error):
                self._inbox.put(Ended(run_id, None, no_room(error, self._launch.run_dir)))
                return
            text = f"following the run failed: {type(error).__name__}: {error}"
            self._inbox.put(Ended(run_id, None, TaorunnerError(text)))

    def _to_its_end(self) -> EngineStatus:
        """Follows the run through all its launches: the engine may requeue it and start it again."""
        handle, reason = self._recorded.handle, self._recorded.waiting
        was_launched = self._recorded.was_launched
        started = self._begin() if handle is None else Started(handle, waiting=reason)
        is_launch_known = handle is not None and reason is None
        reported = reason or None
        while True:
            if started.waiting is not None:
                status = self._wait_in_engine(started, reported)
                if status.state is EngineState.MISSING or (
                    status.state is EngineState.EXITED and status.exit_code is None
                ):  # it left the queue and was not started
                    return self._follow(started.handle, status) if was_launched else status
                started = replace(started, where=status.where)
            if not is_launch_known:
                self._inbox.put(Launched(self._launch.run_id, started))
            was_launched = True
            status = self._follow(started.handle)
            if status.state is not EngineState.WAITING:
                return status
            started, is_launch_known, reported = replace(started, waiting=_reason(status)), False, None

    def _begin(self) -> Started:
        if self._may_exist and self._find() is None:
            self._may_exist = False
        self._backend.prepare(self._plan, self._report)
        self._check_abandoned()
        self._prepare_files()
        request = self._backend.request(self._plan, self._launch)
        line = self._backend.command_line(request)
        write_bytes(RunPaths(self._launch.run_dir).request, f"{line}\n".encode())
        self._check_abandoned()
        try:
            started = self._backend.submit(request)
        except MachineError:
            found = self._find(clear=True)  # submit was interrupted: look for a started process
            if found is None:
                raise
            started = Started(found[0], waiting=_reason(found[1]))
        return started

    def _wait_in_engine(self, started: Started, reported: str | None) -> EngineStatus:
        """Reports why the run waits, until it no longer does. Returns its state then."""
        handle, attempt, silent_since = started.handle, 0, time.monotonic()
        overdue: str | None = None
        status = EngineStatus(EngineState.WAITING, waiting=started.waiting or None)
        while status.state is EngineState.WAITING:
            reason = status.waiting or IN_QUEUE
            if reason != reported:
                reported = reason
                self._inbox.put(Waits(handle.run_id, handle, reason))
            if status.overdue not in (None, overdue):
                overdue = status.overdue
                self._inbox.put(Trouble(handle.run_id, overdue or "", "long-wait"))
            try:
                status = self._statuses.next_change(handle, status)
                attempt = 0
            except TaorunnerError as error:
                silent_since = silent_since if attempt else time.monotonic()
                attempt = self._wait_for_engine(silent_since, attempt, error)
        return status

    def _report(self, progress: PullProgress) -> None:
        self._check_abandoned()
        self._inbox.put(Pulling(self._launch.run_id, progress))

    def _check_abandoned(self) -> None:
        """Raises if the start was cancelled. A run that may exist already is followed and stopped as usual."""
        if self._abandoned.is_set() and not self._may_exist:
            raise _AbandonedError

    def _find(self, *, clear: bool = False) -> tuple[Handle, EngineStatus] | None:
        """The run in the engine, if it runs, ran or waits. ``clear`` removes a container that was only created."""
        asked_since = time.monotonic()
        attempt = 0
        while True:
            try:
                found = self._backend.find(self._launch.run_id, self._launch.run_dir)
                if found is None:
                    return None
                status = self._statuses.ask(found)
                if status.state.was_accepted:
                    return found, status
                if clear:
                    self._backend.remove(found)
                return None
            except TaorunnerError as error:
                attempt = self._wait_for_engine(asked_since, attempt, error)

    def _wait_for_engine(self, silent_since: float, attempt: int, error: TaorunnerError) -> int:
        """Waits before the next attempt and returns its number. Raises _UndecidedError after a time limit."""
        if attempt == 0:
            text = f"the engine does not answer: {error.message}"
            self._inbox.put(Trouble(self._launch.run_id, text))
        if time.monotonic() - silent_since > ENGINE_PATIENCE_S:
            raise _UndecidedError(error.message)
        time.sleep(RECONNECT_WAITS_S[min(attempt, len(RECONNECT_WAITS_S) - 1)])
        return attempt + 1

    def _follow(self, handle: Handle, ended: EngineStatus | None = None) -> EngineStatus:
        """Reads the log until the engine reports that the run has ended, or waits again. The end of the stream alone
        is not enough.

        After the end the log is read once more from the last position: a connection may break right before the end,
        and a followed log may end before the engine stores a last line without LF. The log of a run that waits is read
        on when it is started again, or has ended: read now, it might already be that of the next launch.
        """
        seen = self._seen
        silent_since: float | None = None
        attempt = 0
        while True:
            try:
                self._stream = self._backend.logs(handle, seen.position)
                for chunk in self._stream:
                    if chunk.gap is not None:
                        self._inbox.put(Trouble(handle.run_id, chunk.gap, "log-gap"))
                    if chunk.notice is not None:
                        self._inbox.put(Trouble(handle.run_id, chunk.notice))
                        continue
                    seen.add(chunk)
                    self._inbox.put(Printed(handle.run_id, chunk.stream, chunk.data, chunk.unkept))
                status = ended or self._settle(handle)
                if silent_since is not None:
                    self._inbox.put(Trouble(handle.run_id, f"the engine {ANSWERS_AGAIN}"))
                silent_since, attempt = None, min(attempt, 3)
                if ended is not None or status.state in (EngineState.MISSING, EngineState.WAITING):
                    return status
                if status.state is EngineState.EXITED:
                    ended = status
                    continue
            except TaorunnerError as error:
                if silent_since is None:
                    silent_since = time.monotonic()
                    self._inbox.put(Trouble(handle.run_id, f"the engine does not answer: {error.message}"))
                elif time.monotonic() - silent_since > ENGINE_PATIENCE_S:
                    raise _UndecidedError(error.message) from None
            time.sleep(RECONNECT_WAITS_S[min(attempt, len(RECONNECT_WAITS_S) - 1)])
            attempt += 1

    def _settle(self, handle: Handle) -> EngineStatus:
        for wait_s in SETTLE_WAITS_S:
            time.sleep(wait_s)
            status = self._statuses.ask(handle)
            if status.state in (EngineState.EXITED, EngineState.MISSING, EngineState.WAITING):
                break
        return status


def _reason(status: EngineStatus) -> str | None:
    """Why the run waits, "" without a reason of the engine; None for a run that does not wait."""
    return (status.waiting or "") if status.state is EngineState.WAITING else None
