"""Creates a container through Docker's API.

GPUs are CDI devices where the engine lists them, else NVIDIA's runtime gives them. In a rootless engine the caller is
root inside, so that results belong to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from docker.types import DeviceRequest, LogConfig, Ulimit
from docker.types import Mount as EngineMount

from taorunner.container_options import ContainerSettings
from taorunner.engine.client import Engine
from taorunner.engine.create.on_podman import cdi_devices
from taorunner.engine.create.owner import is_rootless
from taorunner.engine.facts import read_facts
from taorunner.errors import EngineRefusedError

LISTS_DEVICES = (1, 50)
"""The first version of the API in which an engine lists CDI devices. Source: Docker's API version history."""


def create(engine: Engine, settings: ContainerSettings, entrypoint: Sequence[str] | None = None) -> str:
    """The id of the new container. ``entrypoint`` replaces that of the image. Raises docker-py's errors."""
    options = settings.options
    is_root = options.user is None or options.user.partition(":")[0] in ("0", "root")
    is_mapped = not is_root and is_rootless(engine)
    answer = engine.api.create_container(
        settings.image,
        command=list(settings.command),
        entrypoint=None if entrypoint is None else list(entrypoint),
        name=settings.name,
        environment=dict(settings.env),
        user="0:0" if is_mapped else options.user,
        working_dir=options.workdir,
        labels=dict(settings.labels),
        ports=[*options.ports, *((port.inside, port.protocol) for port in options.published)] or None,
        tty=options.tty,
        stdin_open=options.interactive,
        host_config=_host_config(engine, settings, has_groups=not is_mapped),
    )
    return str(answer["Id"])


def device_requests(engine: Engine, gpus: Sequence[str]) -> list[Any]:
    """``gpus`` are ids on the engine's machine, or ``all``."""
    wanted = cdi_devices(gpus)
    if set(wanted) <= _listed(engine):
        return [DeviceRequest(driver="cdi", device_ids=wanted)]
    if list(gpus) == ["all"]:
        return [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    return [DeviceRequest(device_ids=list(gpus), capabilities=[["gpu"]])]


def _listed(engine: Engine) -> set[str]:
    if tuple(int(part) for part in engine.api_version.split(".")) < LISTS_DEVICES:
        return set()
    with suppress(EngineRefusedError):  # a proxy that does not let the question through
        return set(read_facts(engine).cdi_devices)
    return set()


def _host_config(engine: Engine, settings: ContainerSettings, *, has_groups: bool) -> Any:
    options = settings.options
    bindings: dict[Any, Any] = dict(options.ports)
    for port in options.published:
        bindings.setdefault(f"{port.inside}/{port.protocol}", []).append((port.address, port.outside))
    config = engine.api.create_host_config(
        init=True,  # otherwise SIGTERM does not reach the process, and every stop takes the full grace period
        log_config=LogConfig(  # no rotation: it could overtake a reader
            type="none" if options.interactive else LogConfig.types.JSON, config={}
        ),
        mounts=[
            EngineMount(target=mount.target, source=str(mount.source), type="bind", read_only=mount.read_only)
            for mount in settings.mounts
        ],
        device_requests=device_requests(engine, settings.gpus) if settings.gpus else None,
        group_add=[str(group) for group in options.groups] or None if has_groups else None,
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
