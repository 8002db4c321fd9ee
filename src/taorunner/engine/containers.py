"""Operations on containers: create, attach, start, look, stop, remove, read the log.

Every function raises only ``TaorunnerError``, with the engine's error translated.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from taorunner.container_options import ContainerSettings
from taorunner.engine.client import CONNECT_TIMEOUT_S, ENGINE_ERRORS, Engine, translated
from taorunner.engine.create import on_docker, on_podman
from taorunner.engine.facts import parse_time
from taorunner.engine.frames import (
    READ_BYTES,
    STDERR,
    STDOUT,
    Delivered,
    Frames,
    FrameStream,
    LateStream,
    body_of,
    close_attached,
    socket_of,
)  # fmt: skip
from taorunner.engine.refusals import is_going, is_missing, is_name_conflict
from taorunner.errors import TaorunnerError
from taorunner.values.value import Value

START_TIMEOUT_S = 600
_OVER = ("exited", "dead")
_OF_PODMAN = {"configured": "created", "initialized": "created", "stopping": "running", "stopped": "exited"}
"""Podman's states that Docker does not have. A stopped container has its exit code. Source: libpod's states."""


class ContainerState(Value):
    """``status`` in Docker's words: created, running, paused, restarting, removing, exited, dead."""

    id: str
    status: str
    labels: Mapping[str, str]
    tty: bool = False
    exit_code: int | None = None
    oom_killed: bool = False
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.status in _OVER


def create(engine: Engine, settings: ContainerSettings) -> str | None:
    """Creates a container without starting it. Returns its id, or None when the name is taken.

    Raises:
        MachineError, EngineRefusedError: nothing was created.
    """
    make = on_podman.create if engine.is_podman else on_docker.create
    with translated(engine.asked(settings.image, settings.gpus)):
        try:
            return make(engine, settings)
        except ENGINE_ERRORS as error:
            if is_name_conflict(error):
                return None
            raise


def start(engine: Engine, container: str, image: str | None = None, gpus: tuple[str, ...] = ()) -> None:
    """Starts the container; no effect when it is running already.

    Raises:
        MachineError, EngineRefusedError: it did not start; it still exists, in state ``created``.
    """
    with translated(engine.asked(image, gpus)):
        answer = engine.api.post(engine.url("/containers/{0}/start", container), timeout=START_TIMEOUT_S)
        engine.raise_for_status(answer)


def attach(engine: Engine, container: str, *, tty: bool = False) -> FrameStream:
    """The output from now on; attached before the start, it is complete.

    On a container that has ended this blocks for ever (testing.md section 4): use ``read_log`` there.
    """
    with translated(engine.asked()):
        raw = engine.api.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1})
    sock = socket_of(raw)
    sock.settimeout(None)

    def read() -> bytes:
        return bytes(sock.recv(READ_BYTES))

    def wake() -> None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    def release() -> None:
        with suppress(OSError, ValueError):
            close_attached(raw)

    return FrameStream(read, wake, release, framed=not tty)


def read_log(
    engine: Engine, container: str, *, follow: bool, tty: bool = False, last: int | None = None
) -> Frames:
    """The stored output from the beginning, and with ``follow`` all later output.

    ``last``: only this number of last lines; a line without LF counts once for each block of 16 KiB.

    Docker holds back unfinished lines; podman does not. Works on containers that have ended.
    """

    def open_stream() -> FrameStream:
        return _open_log(engine, container, follow=follow, tty=tty, last=last)

    def open_whole() -> FrameStream | None:
        with suppress(TaorunnerError):  # the service may have ended
            state = look(engine, container)
            if state is not None and state.is_over:
                return _open_log(engine, container, follow=False, tty=tty, last=last)
        return None

    return LateStream(open_stream, open_whole) if follow and engine.is_podman else open_stream()


def _open_log(engine: Engine, container: str, *, follow: bool, tty: bool, last: int | None) -> FrameStream:
    timeout_s = (CONNECT_TIMEOUT_S, None) if follow and engine.is_podman else START_TIMEOUT_S
    with translated(engine.asked()):
        response = engine.api.get(
            engine.url("/containers/{0}/logs", container),
            params={
                "stdout": 1,
                "stderr": 1,
                "follow": int(follow),
                "tail": "all" if last is None else last,
            },
            stream=True,
            timeout=timeout_s,
        )
        engine.raise_for_status(response)
    body = body_of(response)
    if body.fp is None:
        return FrameStream(lambda: b"", lambda: None, response.close, framed=True)
    socket_of(body.fp.raw).settimeout(None)
    waker = socket.socket(fileno=os.dup(body.fp.fileno()))

    def wake() -> None:
        with suppress(OSError):
            waker.shutdown(socket.SHUT_RDWR)

    def release() -> None:
        waker.close()
        with suppress(OSError, ValueError):
            response.raw.connection.close()  # partly read, so it cannot be reused
        with suppress(OSError, ValueError):
            response.close()

    def read() -> bytes:
        return bytes(body.fp.read1(READ_BYTES))

    return FrameStream(read, wake, release, framed=not tty, chunked=bool(body.chunked))


def output_to_the_end(engine: Engine, container: str, live: FrameStream) -> Iterator[tuple[str, bytes]]:
    """The whole output of a container without a terminal, as it arrives, until the container has ended.

    ``live`` was attached before the start. Its connection may break before the container ends; the rest is then read
    from the stored log.
    """
    if engine.is_podman:  # its stored log has every byte at once, and drops none for a slow reader
        live.close()
        yield from read_log(engine, container, follow=True)
        return
    delivered = {STDOUT: Delivered(), STDERR: Delivered()}
    for name, data in live:
        data = delivered[name].feed(data)
        if data:
            yield name, data
    if wait(engine, container) is None:
        return
    skipped = dict.fromkeys(delivered, 0)
    for name, data in read_log(engine, container, follow=False):
        known = min(len(data), delivered[name].stored_bytes - skipped[name])
        skipped[name] += known
        if known < len(data):
            yield name, delivered[name].flush(data[known:])
    for name, one in delivered.items():
        held = one.flush()
        if held:
            yield name, held


def look(engine: Engine, container: str) -> ContainerState | None:
    """The state of a container, by id or name; None when it does not exist."""
    with translated(engine.asked()):
        try:
            body = engine.api.inspect_container(container)
        except ENGINE_ERRORS as error:
            if is_missing(error):
                return None
            raise
    state = body["State"]
    status = _OF_PODMAN.get(state["Status"], state["Status"])
    started_at, finished_at = parse_time(state.get("StartedAt")), parse_time(state.get("FinishedAt"))
    if started_at is not None and finished_at is not None:
        started_at = min(
            started_at, finished_at
        )  # two programs write them, so a very short run may seem to end before it starts
    return ContainerState(
        id=body["Id"],
        status=status,
        labels=body["Config"].get("Labels") or {},
        tty=bool(body["Config"].get("Tty")),
        exit_code=state.get("ExitCode") if status in _OVER else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or None,
        started_at=started_at,
        finished_at=finished_at,
    )


def wait(engine: Engine, container: str) -> ContainerState | None:
    """Blocks until the container has ended and returns its state; None when it no longer exists."""
    with translated(engine.asked()):
        try:
            answer = engine.api.post(engine.url("/containers/{0}/wait", container), timeout=None)
            engine.raise_for_status(answer)
        except ENGINE_ERRORS as error:
            if is_missing(error):
                return None
            raise
    return look(engine, container)


def list_labelled(engine: Engine, label: str) -> Iterator[ContainerState]:
    """All containers with that label (``key`` or ``key=value``), without exit codes and times."""
    with translated(engine.asked()):
        found: Sequence[Mapping[str, Any]] = engine.api.containers(all=True, filters={"label": label})
    for body in found:
        status = _OF_PODMAN.get(body["State"], body["State"])
        yield ContainerState(id=body["Id"], status=status, labels=body.get("Labels") or {})


def stop(engine: Engine, container: str, grace_s: float) -> None:
    """SIGTERM, then SIGKILL after ``grace_s``. Blocks until it has ended; no error if it has ended or is gone."""
    whole = max(0, round(grace_s))
    with translated(engine.asked()):
        try:
            answer = engine.api.post(
                engine.url("/containers/{0}/stop", container),
                params={"t": whole},
                timeout=whole + START_TIMEOUT_S,
            )
            engine.raise_for_status(answer)
        except ENGINE_ERRORS as error:
            if not is_missing(error):
                raise


def remove(engine: Engine, container: str) -> None:
    """Kills and removes the container and its anonymous volumes; no error if it is gone."""
    with translated(engine.asked()):
        try:
            engine.api.remove_container(container, force=True, v=True)
        except ENGINE_ERRORS as error:
            if not (is_missing(error) or is_going(error)):
                raise
