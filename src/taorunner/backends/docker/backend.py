"""The docker backend: a run is a container, found again by its name and its label."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.backends.contract import (
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogPosition,
    LogStream,
    Report,
    Started,
)  # fmt: skip
from taorunner.backends.docker.container_log import ContainerLog, NoLog
from taorunner.backends.docker.log_gap import LogGaps, remove_mark
from taorunner.backends.docker.log_resume import is_at_the_end
from taorunner.backends.docker.present_image import present_image
from taorunner.backends.docker.request import (
    GPUS_LABEL,
    RUN_LABEL,
    DockerRequest,
    Podman,
    container_settings,
    docker_request,
    docker_run,
    image_of,
)
from taorunner.errors import EngineRefusedError, Finding, Severity, TaorunnerError
from taorunner.planning.model.plan import RunPlan

if TYPE_CHECKING:
    from taorunner.engine.client import Engine
    from taorunner.engine.containers import ContainerState
    from taorunner.engine.frames import FrameStream

_LONG_LOG_BYTES = 4 * 1024 * 1024
_LAST_LINES = 100


class DockerBackend:
    """See ``contract`` for the rules."""

    name = "docker"

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """``environ`` names the engine, by default that of this process."""
        self._environ = os.environ if environ is None else environ
        self._engine: Engine | None = None
        self._connecting = threading.Lock()
        self._kept: dict[
            str, tuple[str, FrameStream]
        ] = {}  # run id -> container id, its live output from the start
        self._read_live: set[str] = set()  # containers whose last stream was live from the start
        self._gaps = LogGaps()
        self._is_rootless: bool | None = None  # of podman, once it was asked
        self._digests: dict[str, str | None] = {}
        self._started_at: dict[str, EngineStatus] = {}
        self._over: dict[str, ContainerState] = {}  # container id -> its last state, until its log is read

    def check(self) -> list[Finding]:
        from taorunner.engine.facts import read_facts

        try:
            engine = self._connected()
            facts = read_facts(engine)
        except TaorunnerError as error:
            return [Finding(Severity.ERROR, "docker-engine", error.message, error.hint)]
        text = f'{engine.kind} {facts.version} answers at "{engine.address.url}"'
        findings = [Finding(Severity.OK, "docker-engine", text)]
        if not engine.is_podman and not facts.has_nvidia:  # podman does not list its devices
            text = "the docker engine has no NVIDIA runtime: runs with GPUs may be refused"
            hint = (
                "install nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker"
            )
            findings.append(Finding(Severity.WARNING, "docker-nvidia", text, hint))
        return findings

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        reference = image_of(plan)
        engine = self._connected()
        digest = present_image(engine, reference, report)
        self._digests[reference] = digest
        return digest

    def request(self, plan: RunPlan, launch: Launch) -> DockerRequest:
        return docker_request(plan, launch, self.name)

    def submit(self, request: DockerRequest) -> Started:
        """Attaches the live output for the first ``logs``. If unread for long, it would block the process."""
        from taorunner.engine import containers

        engine = self._connected()
        container = containers.create(engine, container_settings(request))
        adopted = container is None
        if container is None:
            there = self._ours(request)
            container = there.id
            if there.status != "created":
                return self._started(request, container)
        stream = None
        try:
            # podman's stored log has every byte at once, and drops none for a slow reader
            if not engine.is_podman:
                stream = containers.attach(engine, container, tty=request.options.tty)
            containers.start(engine, container, request.image, request.gpus)
        except BaseException:
            if stream is not None:
                stream.close()
            if not adopted or self._never_ran(container):
                containers.remove(engine, container)
            raise
        if stream is not None:
            self._kept[request.run_id] = (container, stream)
        return self._started(request, container)

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        from taorunner.engine import containers

        engine = self._connected()
        if len(handles) <= 1:
            return {handle.run_id: self._look(handle) for handle in handles}
        listed = {state.id: state for state in containers.list_labelled(engine, RUN_LABEL)}
        found: dict[str, EngineStatus] = {}
        for handle in handles:
            state = listed.get(handle.id)
            known = self._started_at.get(handle.id)
            if state is None:
                found[handle.run_id] = EngineStatus(EngineState.MISSING)
            elif state.status == "running" and known is not None:
                found[handle.run_id] = known
            else:
                found[handle.run_id] = self._look(handle)  # the list has neither exit codes nor times
        return found

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        from taorunner.engine import containers

        for state in containers.list_labelled(self._connected(), f"{RUN_LABEL}={run_id}"):
            return Handle(self.name, run_id, state.id, run_dir)
        return None

    def logs(self, handle: Handle, position: LogPosition) -> LogStream:
        from taorunner.engine import containers

        kept = self._kept.pop(handle.run_id, None)
        if kept is not None:
            if kept[0] == handle.id and position == LogPosition():
                self._read_live.add(handle.id)
                return ContainerLog(kept[1], position, live=True)
            kept[1].close()
        engine = self._connected()
        # Taken out: if reading fails, the next call looks whether the container still exists.
        state = self._over.pop(handle.id, None) or containers.look(engine, handle.id)
        if state is None:
            return NoLog()
        was_live = handle.id in self._read_live
        self._read_live.discard(handle.id)
        gap = self._gaps.look(engine, state, handle, was_live=was_live)
        is_long = position.stdout + position.stderr > _LONG_LOG_BYTES
        if state.is_over and is_long and gap is None and _is_read(engine, state, position):
            return NoLog()
        return ContainerLog(
            containers.read_log(engine, handle.id, follow=True, tty=state.tty), position, live=False, gap=gap
        )

    def stop(self, handle: Handle, grace_s: float) -> None:
        from taorunner.engine import containers

        containers.stop(self._connected(), handle.id, grace_s)

    def remove(self, handle: Handle) -> None:
        from taorunner.engine import containers

        containers.remove(self._connected(), handle.id)
        remove_mark(handle.run_dir)
        self._over.pop(handle.id, None)
        kept = self._kept.pop(handle.run_id, None)
        if kept is not None:
            kept[1].close()

    def gpus_in_use(self) -> dict[str, str]:
        from taorunner.engine import containers

        return {
            gpu: state.labels.get(RUN_LABEL, "?")
            for state in containers.list_labelled(self._connected(), GPUS_LABEL)
            if state.status in ("running", "paused", "restarting")
            for gpu in state.labels[GPUS_LABEL].split(",")
        }

    def command_line(self, request: DockerRequest) -> str:
        return shlex.join(docker_run(request, self._podman_words()))

    def _connected(self) -> Engine:
        if self._engine is None:
            from taorunner.engine.client import connect

            with self._connecting:
                if self._engine is None:
                    self._engine = connect(self._environ)
        return self._engine

    def _podman_words(self) -> Podman | None:
        """None for Docker. An engine that is not connected, for a dry run, is known by the name of its socket."""
        from taorunner.engine.client import find_address
        from taorunner.engine.create import on_podman, owner

        engine = self._engine
        if engine is None:
            url = find_address(self._environ).url
            is_podman = url.endswith("podman.sock")
            return Podman("/user/" in url, on_podman.USER_VERSION) if is_podman else None
        if not engine.is_podman:
            return None
        if self._is_rootless is None:
            self._is_rootless = owner.is_rootless(engine)
        return Podman(self._is_rootless, engine.version)

    def _ours(self, request: DockerRequest) -> ContainerState:
        """The container with the run's name, created by an earlier submit of this run or by another program."""
        from taorunner.engine import containers

        there = containers.look(self._connected(), request.name)
        if there is None or there.labels.get(RUN_LABEL) != request.run_id:
            raise EngineRefusedError(
                f'there is another container named "{request.name}"', hint=f"docker rm -f {request.name}"
            )
        return there

    def _never_ran(self, container: str) -> bool:
        from taorunner.engine import containers

        state = containers.look(self._connected(), container)
        return state is not None and state.status == "created"

    def _started(self, request: DockerRequest, container: str) -> Started:
        from taorunner.engine import images

        image = request.image or ""
        if image not in self._digests:
            found = images.find_image(self._connected(), image)
            self._digests[image] = found.digest if found is not None else None
        return Started(Handle(self.name, request.run_id, container, request.run_dir), self._digests[image])

    def _look(self, handle: Handle) -> EngineStatus:
        from taorunner.engine import containers

        state = containers.look(self._connected(), handle.id)
        if state is None:
            return EngineStatus(EngineState.MISSING)
        status = _status(state)
        if state.is_over:
            self._over[handle.id] = state
        if state.status == "running":
            self._started_at[handle.id] = status
        return status


def _is_read(engine: Engine, state: ContainerState, position: LogPosition) -> bool:
    """Compares the end of the stored log only: reading 100 MB of it takes seconds."""
    from taorunner.engine import containers

    last: dict[str, bytes] = {}
    for stream, data in containers.read_log(engine, state.id, follow=False, tty=state.tty, last=_LAST_LINES):
        last[stream] = last.get(stream, b"") + data
    return is_at_the_end(position.tails, last)


def _status(state: ContainerState) -> EngineStatus:
    engine_state = EngineState.EXITED if state.is_over else EngineState.RUNNING
    return EngineStatus(
        state=EngineState.CREATED if state.status == "created" else engine_state,
        exit_code=state.exit_code,
        oom_killed=state.oom_killed,
        error=state.error,
        started_at=state.started_at,
        finished_at=state.finished_at,
    )


def create(environ: Mapping[str, str] | None = None) -> DockerBackend:
    """What ``registry`` calls."""
    return DockerBackend(environ)
