"""The docker backend: a run is a container, found again by its name and its label."""

from __future__ import annotations

import csv
import io
import os
import shlex
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.backends.contract import (
    EngineRequest,
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogPosition,
    LogStream,
    PullProgress,
    Report,
    Started,
)  # fmt: skip
from taorunner.backends.docker.container_log import ContainerLog, NoLog
from taorunner.backends.secrets import INPUT_DIR, masked, wrapped
from taorunner.errors import EngineRefusedError, Finding, Severity, TaorunnerError
from taorunner.planning.model.plan import DEFAULT_SHM_BYTES, Mount, RunPlan

if TYPE_CHECKING:
    from taorunner.engine.client import Engine
    from taorunner.engine.containers import ContainerSettings, ContainerState
    from taorunner.engine.frames import FrameStream


LABEL = "com.taorunner"
RUN_LABEL = f"{LABEL}.run"
GPUS_LABEL = f"{LABEL}.gpus"
"""The host ids, separated by commas: the engine's list of containers does not tell which GPUs they were given."""


class DockerBackend:
    """See ``backends.base`` for the promises."""

    name = "docker"

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """``environ`` names the engine, by default that of this process."""
        self._environ = os.environ if environ is None else environ
        self._engine: Engine | None = None
        self._connecting = threading.Lock()
        self._kept: dict[
            str, tuple[str, FrameStream]
        ] = {}  # run id -> container id, its live output from the start
        self._digests: dict[str, str | None] = {}
        self._started_at: dict[str, EngineStatus] = {}

    def check(self) -> list[Finding]:
        from taorunner.engine import client

        try:
            engine = self._connected()
            info = client.describe(engine)
        except TaorunnerError as error:
            return [Finding(Severity.ERROR, "docker-engine", error.message, error.hint)]
        text = f'{info.product} answers at "{engine.address.url}"'
        findings = [Finding(Severity.OK, "docker-engine", text)]
        if engine.is_podman:
            text = "podman leaves out GPUs that are asked for through Docker's API"
            findings.append(
                Finding(Severity.WARNING, "docker-podman", text, "use a docker engine for runs with GPUs")
            )
        elif not info.has_nvidia_runtime:
            text = "the docker engine has no NVIDIA runtime: runs with GPUs may be refused"
            hint = (
                "install nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker"
            )
            findings.append(Finding(Severity.WARNING, "docker-nvidia", text, hint))
        return findings

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        from taorunner.engine import images

        reference = _image(plan)
        engine = self._connected()
        image = images.find_image(engine, reference)
        if image is None:

            def tell(state: images.PullState) -> None:
                report(
                    PullProgress(
                        image=reference, layers_done=state.layers_done, layers=state.layers,
                        bytes_done=state.bytes_done, bytes_total=state.bytes_total, eta_s=state.eta_s,
                    )
                )  # fmt: skip

            image = images.pull(engine, reference, tell)
        self._digests[reference] = image.digest
        return image.digest

    def request(self, plan: RunPlan, launch: Launch) -> EngineRequest:
        options = plan.options
        return EngineRequest(
            run_id=launch.run_id,
            backend=self.name,
            name=container_name(launch.run_id),
            argv=masked(plan.argv),
            command=wrapped(plan, plan.run_inside, plan.argv),
            run_dir=launch.run_dir,
            image=_image(plan),
            env=dict(plan.env),
            mounts=_mounts(plan, launch),
            gpus=launch.gpu_ids,
            user=options.user,
            groups=options.groups,
            labels={
                RUN_LABEL: launch.run_id,
                f"{LABEL}.project": plan.project,
                f"{LABEL}.experiment": plan.experiment,
                f"{LABEL}.action": plan.action,
                f"{LABEL}.workspace": str(plan.workspace),
                **({GPUS_LABEL: ",".join(launch.gpu_ids)} if launch.gpu_ids else {}),
            },
            workdir=options.workdir,
            shm_bytes=DEFAULT_SHM_BYTES if options.shm_bytes is None else options.shm_bytes,
            ulimits=dict(options.ulimits),
            hard_ulimits=dict(options.hard_ulimits),
            ports=dict(options.ports),
            published=options.published,
            network=options.network,
            privileged=options.privileged,
            no_new_privileges=not options.privileged,
            tty=options.tty,
            interactive=options.interactive,
            terminal=options.terminal,
        )

    def submit(self, request: EngineRequest) -> Started:
        """Keeps the live output for the first ``logs``: unread for long, it would hold the process up."""
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
            stream = containers.attach(engine, container, tty=request.tty)
            containers.start(engine, container, request.image, request.gpus)
        except BaseException:
            if stream is not None:
                stream.close()
            if not adopted or self._never_ran(container):
                containers.remove(engine, container)
            raise
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
                return ContainerLog(kept[1], position, live=True)
            kept[1].close()
        engine = self._connected()
        state = containers.look(engine, handle.id)
        if state is None:
            return NoLog()
        return ContainerLog(
            containers.read_log(engine, handle.id, follow=True, tty=state.tty), position, live=False
        )

    def stop(self, handle: Handle, grace_s: float) -> None:
        from taorunner.engine import containers

        containers.stop(self._connected(), handle.id, grace_s)

    def remove(self, handle: Handle) -> None:
        from taorunner.engine import containers

        containers.remove(self._connected(), handle.id)
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

    def command_line(self, request: EngineRequest) -> str:
        return shlex.join(docker_run(request))

    def _connected(self) -> Engine:
        if self._engine is None:
            from taorunner.engine.client import connect

            with self._connecting:
                if self._engine is None:
                    self._engine = connect(self._environ)
        return self._engine

    def _ours(self, request: EngineRequest) -> ContainerState:
        """The container that has the run's name: from an earlier submit of the same run, or somebody else's."""
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

    def _started(self, request: EngineRequest, container: str) -> Started:
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
        if state.status == "running":
            self._started_at[handle.id] = status
        return status


def container_name(run_id: str) -> str:
    return f"taorunner-{run_id}"


def docker_run(request: EngineRequest) -> list[str]:
    """The argv of the docker command that makes the same container and starts it."""
    argv = ["docker", "run", "--name", request.name, "--init"]
    argv += ["--rm", "--interactive"] if request.interactive else []
    argv += ["--log-driver", "none" if request.interactive else "json-file"]
    for name, value in request.labels.items():
        argv += ["--label", f"{name}={value}"]
    for mount in request.mounts:
        fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
        argv += ["--mount", _csv_line([*fields, "readonly"] if mount.read_only else fields)]
    if request.gpus:
        argv += ["--gpus", _csv_line([f"device={','.join(request.gpus)}"])]
    if request.user is not None:
        argv += ["--user", request.user]
    for group in request.groups:
        argv += ["--group-add", str(group)]
    for name, value in request.env.items():
        argv += ["--env", f"{name}={value}"]
    if request.workdir is not None:
        argv += ["--workdir", request.workdir]
    if request.shm_bytes is not None:
        argv += ["--shm-size", str(request.shm_bytes)]
    for name, limit in request.ulimits.items():
        argv += ["--ulimit", f"{name}={limit}:{request.hard_ulimits.get(name, limit)}"]
    for inside, outside in request.ports.items():
        argv += ["--publish", f"{outside}:{inside}"]
    for port in request.published:
        address = f"[{port.address}]" if ":" in port.address else port.address
        argv += ["--publish", f"{address}:{port.outside}:{port.inside}/{port.protocol}"]
    if request.network is not None:
        argv += ["--network", request.network]
    if request.privileged:
        argv.append("--privileged")
    if request.no_new_privileges:
        argv += ["--security-opt", "no-new-privileges"]
    if request.tty:
        argv.append("--tty")
    return [*argv, request.image or "", *request.command]


def _csv_line(fields: Sequence[str]) -> str:
    """The docker command reads ``--mount`` and ``--gpus`` as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _image(plan: RunPlan) -> str:
    if not plan.image:
        raise EngineRefusedError(
            f'no container image is known for "{plan.contract.network} {plan.action}"',
            hint="name one: image: in experiments.yml, or --image",
        )
    return plan.image


def _mounts(plan: RunPlan, launch: Launch) -> tuple[Mount, ...]:
    """The plan's mounts, and the run's input folder where the plan has not mounted it already."""
    if any(mount.target == plan.run_inside for mount in plan.mounts):
        return plan.mounts
    return (*plan.mounts, Mount(launch.run_dir / INPUT_DIR, plan.run_inside, read_only=True))


def container_settings(request: EngineRequest) -> ContainerSettings:
    from taorunner.engine.containers import Bind, ContainerSettings

    return ContainerSettings(
        name=request.name,
        image=request.image or "",
        command=request.command,
        env=request.env,
        binds=tuple(Bind(str(mount.source), mount.target, mount.read_only) for mount in request.mounts),
        gpus=request.gpus,
        user=request.user,
        groups=request.groups,
        labels=request.labels,
        workdir=request.workdir,
        shm_bytes=request.shm_bytes,
        ulimits=request.ulimits,
        hard_ulimits=request.hard_ulimits,
        ports=request.ports,
        published=tuple(
            (port.inside, port.protocol, port.address, port.outside) for port in request.published
        ),
        network=request.network,
        privileged=request.privileged,
        no_new_privileges=request.no_new_privileges,
        tty=request.tty,
        interactive=request.interactive,
        terminal=request.terminal,
    )


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
