"""The docker backend's request: built from a plan, and rendered as a ``docker run`` command."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from taorunner.backends.contract import EngineRequest, Launch
from taorunner.backends.secrets import INPUT_DIR, masked, wrapped
from taorunner.container_options import ContainerOptions, ContainerSettings, Mount
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import DEFAULT_SHM_BYTES, RunPlan
from taorunner.values.value import Value, replace

LABEL = "com.taorunner"
RUN_LABEL = f"{LABEL}.run"
GPUS_LABEL = f"{LABEL}.gpus"
"""A label with the host ids, comma-separated: the engine's list of containers does not include their GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerRequest(EngineRequest):
    """``name`` is the container's name. ``options`` are those of the plan, with the size of /dev/shm set."""

    name: str
    options: ContainerOptions = field(default_factory=ContainerOptions)


def docker_request(plan: RunPlan, launch: Launch, backend: str) -> DockerRequest:
    """Raises EngineRefusedError when no image is known."""
    options = plan.options
    shm_bytes = DEFAULT_SHM_BYTES if options.shm_bytes is None else options.shm_bytes
    return DockerRequest(
        run_id=launch.run_id,
        backend=backend,
        name=container_name(launch.run_id),
        argv=masked(plan.argv),
        command=wrapped(plan, plan.run_inside, plan.argv),
        run_dir=launch.run_dir,
        image=image_of(plan),
        env=dict(plan.env),
        mounts=_mounts(plan, launch),
        gpus=launch.gpu_ids,
        resources=plan.resources,
        labels={
            RUN_LABEL: launch.run_id,
            f"{LABEL}.project": plan.project,
            f"{LABEL}.experiment": plan.experiment,
            f"{LABEL}.action": plan.action,
            f"{LABEL}.workspace": str(plan.workspace),
            **({GPUS_LABEL: ",".join(launch.gpu_ids)} if launch.gpu_ids else {}),
        },
        options=replace(options, shm_bytes=shm_bytes),
    )


def container_name(run_id: str) -> str:
    return f"taorunner-{run_id}"


class Podman(Value):
    """What a command needs to know of a podman. ``version`` as in ``Engine.version``."""

    is_rootless: bool
    version: tuple[int, ...]


def docker_run(request: DockerRequest, podman: Podman | None = None) -> list[str]:
    """The argv of the docker or podman command that creates and starts the same container.

    Raises:
        EngineRefusedError: a user that a rootless podman cannot map to its owner.
    """
    options = request.options
    argv = ["docker" if podman is None else "podman", "run", "--name", request.name, "--init"]
    argv += ["--rm", "--interactive"] if options.interactive else []
    log_driver = "json-file" if podman is None else "k8s-file"
    argv += ["--log-driver", "none" if options.interactive else log_driver]
    for name, value in request.labels.items():
        argv += ["--label", f"{name}={value}"]
    for mount in request.mounts:
        fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
        argv += ["--mount", _csv_line([*fields, "readonly"] if mount.read_only else fields)]
    argv += _gpus(request, podman)
    if request.resources.cpus is not None:
        argv += ["--cpus", str(request.resources.cpus)]
    if request.resources.memory_bytes is not None:
        argv += ["--memory", str(request.resources.memory_bytes)]
    argv += _user(request, podman)
    for name, value in request.env.items():
        argv += ["--env", f"{name}={value}"]
    if options.workdir is not None:
        argv += ["--workdir", options.workdir]
    if options.shm_bytes is not None:
        argv += ["--shm-size", str(options.shm_bytes)]
    for name, limit in options.ulimits.items():
        argv += ["--ulimit", f"{name}={limit}:{options.hard_ulimits.get(name, limit)}"]
    for inside, outside in options.ports.items():
        argv += ["--publish", f"{outside}:{inside}"]
    for port in options.published:
        address = f"[{port.address}]" if ":" in port.address else port.address
        argv += ["--publish", f"{address}:{port.outside}:{port.inside}/{port.protocol}"]
    if options.network is not None:
        argv += ["--network", options.network]
    if options.privileged:
        argv.append("--privileged")
    if options.no_new_privileges:
        argv += ["--security-opt", "no-new-privileges"]
    if options.tty:
        argv.append("--tty")
    return [*argv, request.image or "", *request.command]


def _gpus(request: DockerRequest, podman: Podman | None) -> list[str]:
    if not request.gpus:
        return []
    if podman is None:
        return ["--gpus", _csv_line([f"device={','.join(request.gpus)}"])]
    from taorunner.engine.create.on_podman import cdi_devices

    return [word for device in cdi_devices(request.gpus) for word in ("--device", device)]


def _user(request: DockerRequest, podman: Podman | None) -> list[str]:
    options = request.options
    user = [] if options.user is None else ["--user", options.user]
    groups = [word for group in options.groups for word in ("--group-add", str(group))]
    if podman is None:
        return [*user, *groups]
    user += ["--security-opt", "label=disable"]
    if not podman.is_rootless:
        return [*user, *groups, "--pids-limit", "-1"]
    from taorunner.engine.create.on_podman import user_namespace

    namespace = user_namespace(options.user, podman.version)
    return user if namespace is None else [*user, "--userns", namespace]


def _csv_line(fields: Sequence[str]) -> str:
    """A CSV line, as the docker command parses ``--mount`` and ``--gpus``."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def image_of(plan: RunPlan) -> str:
    if not plan.image:
        raise EngineRefusedError(
            f'no container image is known for "{plan.contract.network} {plan.action}"',
            hint="set image in experiments.yml, or add --image IMAGE",
        )
    return plan.image


def _mounts(plan: RunPlan, launch: Launch) -> tuple[Mount, ...]:
    """The plan's mounts, and the run's input folder unless the plan mounts it."""
    if any(mount.target == plan.run_inside for mount in plan.mounts):
        return plan.mounts
    return (*plan.mounts, Mount(launch.run_dir / INPUT_DIR, plan.run_inside, read_only=True))


def container_settings(request: DockerRequest) -> ContainerSettings:
    return ContainerSettings(
        name=request.name,
        image=request.image or "",
        command=request.command,
        env=request.env,
        mounts=request.mounts,
        gpus=request.gpus,
        cpus=request.resources.cpus,
        memory_bytes=request.resources.memory_bytes,
        labels=request.labels,
        options=request.options,
    )
