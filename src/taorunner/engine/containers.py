"""Operations on containers: create, attach, start, look, stop, remove, read the log.

Every function raises only ``TaorunnerError``, with the engine's error translated.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from docker.types import DeviceRequest, LogConfig, Ulimit
from docker.types import Mount as EngineMount

from taorunner.container_options import ContainerOptions, Mount
from taorunner.engine.client import ENGINE_ERRORS, Engine, translated
from taorunner.engine.frames import (
    READ_BYTES,
    STDERR,
    STDOUT,
    Delivered,
    FrameStream,
    body_of,
    close_attached,
    socket_of,
)  # fmt: skip
from taorunner.engine.refusals import is_going, is_missing, is_name_conflict
from taorunner.errors import MachineError
from taorunner.values.value import Value, field

START_TIMEOUT_S = 600
_OVER = ("exited", "dead")


class ContainerSettings(Value):
    """A new container. ``gpus`` are ids on the engine's machine, never a count."""

    name: str
    image: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    gpus: tuple[str, ...] = ()
    cpus: int | None = None
    memory_bytes: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    options: ContainerOptions = field(default_factory=ContainerOptions)


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
    if settings.gpus and engine.is_podman:
        raise MachineError(
            "podman silently ignores GPUs requested through Docker's API",
            hint="use a docker engine for runs with GPUs: set DOCKER_HOST, or docker context use NAME",
        )
    api, options = engine.api, settings.options
    with translated(engine.asked(settings.image, settings.gpus)):
        try:
            answer = api.create_container(
                settings.image,
                command=list(settings.command),
                name=settings.name,
                environment=dict(settings.env),
                user=options.user,
                working_dir=options.workdir,
                labels=dict(settings.labels),
                ports=[*options.ports, *((port.inside, port.protocol) for port in options.published)] or None,
                tty=options.tty,
                stdin_open=options.interactive,
                host_config=_host_config(api, settings),
            )
        except ENGINE_ERRORS as error:
            if is_name_conflict(error):
                return None
            raise
    return str(answer["Id"])


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
) -> FrameStream:
    """The stored output from the beginning, and with ``follow`` all later output.

    ``last``: only this number of last lines; a line without LF counts once for each block of 16 KiB.

    The engine holds back unfinished lines. Works on containers that have ended.
    """
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
            timeout=START_TIMEOUT_S,
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
    started_at, finished_at = parse_time(state.get("StartedAt")), parse_time(state.get("FinishedAt"))
    if started_at is not None and finished_at is not None:
        started_at = min(
            started_at, finished_at
        )  # two programs write them, so a very short run may seem to end before it starts
    return ContainerState(
        id=body["Id"],
        status=state["Status"],
        labels=body["Config"].get("Labels") or {},
        tty=bool(body["Config"].get("Tty")),
        exit_code=state.get("ExitCode") if state["Status"] in _OVER else None,
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
        yield ContainerState(id=body["Id"], status=body["State"], labels=body.get("Labels") or {})


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


def parse_time(text: str | None) -> datetime | None:
    """Docker's ``2024-01-31T10:00:00.123456789Z`` as aware UTC; None for its zero time."""
    if not text or text.startswith("0001-"):
        return None
    head, _, fraction = text.rstrip("Z").partition(".")
    zone = ""
    for sign in "+-":
        if sign in fraction:
            fraction, _, rest = fraction.partition(sign)
            zone = sign + rest
    micros = (fraction + "000000")[:6]
    try:
        moment = datetime.fromisoformat(f"{head}.{micros}{zone or '+00:00'}")
    except ValueError:
        return None
    return moment.astimezone(timezone.utc)


def _host_config(api: Any, settings: ContainerSettings) -> Any:
    options = settings.options
    bindings: dict[Any, Any] = dict(options.ports)
    for port in options.published:
        bindings.setdefault(f"{port.inside}/{port.protocol}", []).append((port.address, port.outside))
    config = api.create_host_config(
        init=True,  # otherwise SIGTERM does not reach the process, and every stop takes the full grace period
        log_config=LogConfig(  # no rotation: it could overtake a reader
            type="none" if options.interactive else LogConfig.types.JSON, config={}
        ),
        mounts=[
            EngineMount(target=mount.target, source=str(mount.source), type="bind", read_only=mount.read_only)
            for mount in settings.mounts
        ],
        device_requests=[DeviceRequest(device_ids=list(settings.gpus), capabilities=[["gpu"]])]
        if settings.gpus
        else None,
        group_add=[str(group) for group in options.groups] or None,
        nano_cpus=None if settings.cpus is None else settings.cpus * 10**9,
        mem_limit=settings.memory_bytes,
        shm_size=options.shm_bytes,
        ulimits=[
            Ulimit(name=name, soft=limit, hard=options.hard_ulimits.get(name, limit))
            for name, limit in options.ulimits.items()
        ]
        or None,
        port_bindings=bindings or None,
        network_mode=options.network,
        privileged=options.privileged,
        security_opt=["no-new-privileges"] if options.no_new_privileges else None,
    )
    if options.terminal is not None:
        config["ConsoleSize"] = list(options.terminal)  # from API 1.42: sets the size before the start
    return config
