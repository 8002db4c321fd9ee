"""Creates a container through podman's own API: Docker's leaves out GPUs there, without a word.

GPUs are CDI devices. In a rootless engine the container's user is mapped to the owner of the engine, so that results
belong to the caller. Source: podman's API (SpecGenerator), podman-run(1) ``--userns``, NVIDIA's page on CDI.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from taorunner.container_options import ContainerSettings
from taorunner.engine.client import CALL_TIMEOUT_S, Engine
from taorunner.engine.create.owner import is_rootless
from taorunner.errors import EngineRefusedError, MachineError
from taorunner.text import version_text

GPU_VERSION = (4, 1)
"""The first that knows CDI devices well enough for NVIDIA. Source: NVIDIA's page on CDI."""
USER_VERSION = (4, 3)
"""The first with ``keep-id:uid=``. Source: podman's release notes."""
NO_LIMIT = 2**64 - 1
CPU_PERIOD_US = 100_000
NAMESPACES = ("host", "none", "private", "bridge", "slirp4netns", "pasta")


def create(engine: Engine, settings: ContainerSettings, entrypoint: Sequence[str] | None = None) -> str:
    """The id of the new container. ``entrypoint`` replaces that of the image.

    Raises:
        MachineError, EngineRefusedError: podman is too old, or cannot apply what is asked for. docker-py's errors.
    """
    version = engine.version
    if settings.gpus and version < GPU_VERSION:
        raise MachineError(
            f"podman {version_text(version)} cannot give GPUs to a container: that needs {version_text(GPU_VERSION)}",
            hint="update podman, or use a docker engine: set DOCKER_HOST",
        )
    body = specification(settings, rootless=is_rootless(engine), version=version)
    if entrypoint is not None:
        body["entrypoint"] = list(entrypoint)
    answer = engine.api.post(engine.podman_url("/containers/create"), json=body, timeout=CALL_TIMEOUT_S)
    engine.raise_for_status(answer)
    made = answer.json()
    container = str(made["Id"])
    ignored = [text for text in made.get("Warnings") or () if "ignored" in text]
    if ignored and (settings.cpus is not None or settings.memory_bytes is not None):
        engine.api.remove_container(container, force=True, v=True)
        raise EngineRefusedError(
            f"podman does not apply limits of CPUs and memory here: {ignored[0]}",
            hint='remove "cpus" and "memory" from experiments.yml, or start this machine with cgroups version 2',
        )
    return container


def specification(settings: ContainerSettings, *, rootless: bool, version: tuple[int, ...]) -> dict[str, Any]:
    """The body of the request.

    Raises:
        EngineRefusedError: a user that a rootless engine cannot map to its owner.
    """
    options = settings.options
    body: dict[str, Any] = {
        "name": settings.name,
        "image": settings.image,
        "command": list(settings.command),
        "env": dict(settings.env),
        "labels": dict(settings.labels),
        "init": True,
        "create_working_dir": True,  # as docker does
        "log_configuration": {"driver": "none" if options.interactive else "k8s-file"},
        "terminal": options.tty,
        "stdin": options.interactive,
        "privileged": options.privileged,
        "no_new_privileges": options.no_new_privileges,
        "selinux_opts": ["disable"],  # labels would keep containers from GPUs and folders; as NVIDIA writes it
        "devices": [{"path": device} for device in cdi_devices(settings.gpus)],
        "mounts": [
            {
                "type": "bind",
                "source": str(mount.source),
                "destination": mount.target,
                "options": ["rbind", "ro" if mount.read_only else "rw"],
            }
            for mount in settings.mounts
        ],
        "r_limits": [
            {"type": name, "soft": _limit(soft), "hard": _limit(options.hard_ulimits.get(name, soft))}
            for name, soft in options.ulimits.items()
        ],
        "portmappings": [
            {"container_port": inside, "host_port": outside} for inside, outside in options.ports.items()
        ]
        + [
            {"container_port": one.inside, "host_port": one.outside, "host_ip": one.address, "protocol": one.protocol}
            for one in options.published
        ],
        "resource_limits": _limits(settings, rootless=rootless),
        **_network(options.network),
    }  # fmt: skip
    if options.user is not None:
        body["user"] = options.user
    if options.workdir is not None:
        body["work_dir"] = options.workdir
    if options.shm_bytes is not None:
        body["shm_size"] = options.shm_bytes
    if rootless:
        value = user_namespace(options.user, version)
        if value is not None:
            body["userns"] = dict(zip(("nsmode", "value"), value.split(":", 1), strict=False))
    else:
        body["groups"] = [str(group) for group in options.groups]
    return body


def cdi_devices(gpus: Sequence[str]) -> list[str]:
    """The names that ``nvidia-ctk cdi generate`` gives to GPUs, by index or UUID."""
    return [f"nvidia.com/gpu={gpu}" for gpu in gpus]


def user_namespace(user: str | None, version: tuple[int, ...]) -> str | None:
    """The ``--userns`` with which this user inside is the owner of a rootless engine; None for root, who is so anyway.

    Raises:
        EngineRefusedError: the user is a name, or podman is too old to map another uid than the owner's.
    """
    uid, _, gid = (user or "root").partition(":")
    if uid in ("0", "root"):
        return None
    if not uid.isdecimal() or not (gid or uid).isdecimal():
        raise EngineRefusedError(
            f'a rootless podman cannot tell whose files "{user}" would write',
            hint="write the user as numbers, uid:gid, for example 1000:1000, or 0:0 for yourself",
        )
    if version >= USER_VERSION:
        return f"keep-id:uid={uid},gid={gid or uid}"
    if int(uid) != os.getuid():
        raise EngineRefusedError(
            f'podman {version_text(version)} cannot let the user "{user}" write files of yours: that needs '
            f"{version_text(USER_VERSION)}",
            hint="leave the user out, or write 0:0: root inside is you",
        )
    return "keep-id"


def _limits(settings: ContainerSettings, *, rootless: bool) -> Mapping[str, Any]:
    """Docker's default, which podman's is not: as many processes as wanted. A rootless engine may not say so."""
    limits: dict[str, Any] = {} if rootless else {"pids": {"limit": -1}}
    if settings.memory_bytes is not None:
        limits["memory"] = {"limit": settings.memory_bytes}
    if settings.cpus is not None:
        limits["cpu"] = {"quota": settings.cpus * CPU_PERIOD_US, "period": CPU_PERIOD_US}
    return limits


def _network(name: str | None) -> dict[str, Any]:
    """Empty for podman's default."""
    if name is None:
        return {}
    mode, _, value = name.partition(":")
    if mode == "container":
        return {"netns": {"nsmode": mode, "value": value}}
    if name in NAMESPACES:
        return {"netns": {"nsmode": name}}
    return {"netns": {"nsmode": "bridge"}, "Networks": {name: {}}}


def _limit(value: int) -> int:
    return NO_LIMIT if value < 0 else value
