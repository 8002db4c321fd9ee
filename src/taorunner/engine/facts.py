"""Facts that the engine reports about itself and its machine, read with one request. Used by ``doctor``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any

from taorunner.engine.client import Engine, translated


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Fields are None or empty when the engine does not report them."""

    version: str
    api_version: str
    data_root: PurePosixPath | None
    system: str
    machine: str
    runtimes: tuple[str, ...]
    cdi_devices: tuple[str, ...]
    security: tuple[str, ...]
    http_proxy: str
    https_proxy: str
    cpus: int | None
    memory_bytes: int | None
    clock: datetime | None
    containers_running: int = 0
    containers_outlive_it: bool = False
    cgroups: str = ""
    """The version of cgroups, ``1`` or ``2``."""

    @property
    def is_rootless(self) -> bool:
        return "rootless" in self.security

    @property
    def remaps_users(self) -> bool:
        return "userns" in self.security

    @property
    def labels_files(self) -> bool:
        """SELinux: mounted files need a label that containers may read."""
        return "selinux" in self.security

    @property
    def has_nvidia(self) -> bool:
        return "nvidia" in self.runtimes or any(
            name.startswith("nvidia.com/gpu") for name in self.cdi_devices
        )

    @property
    def is_desktop(self) -> bool:
        """Docker Desktop: the engine's files are in a virtual machine."""
        return "Docker Desktop" in self.system

    @property
    def has_proxy(self) -> bool:
        return bool(self.http_proxy or self.https_proxy)


def read_facts(engine: Engine) -> EngineFacts:
    """Raises MachineError or EngineRefusedError when the engine does not answer."""
    with translated(engine.asked()):
        body: Mapping[str, Any] = engine.api.info()
    root = body.get("DockerRootDir")
    return EngineFacts(
        version=str(body.get("ServerVersion") or ""),
        api_version=engine.api_version,
        data_root=PurePosixPath(root) if root else None,
        system=str(body.get("OperatingSystem") or ""),
        machine=str(body.get("Architecture") or ""),
        runtimes=tuple(sorted(body.get("Runtimes") or {})),
        cdi_devices=tuple(str(device.get("ID", "")) for device in body.get("DiscoveredDevices") or ()),
        security=_security(body.get("SecurityOptions") or ())
        + (("rootless",) if body.get("Rootless") else ()),
        http_proxy=str(body.get("HttpProxy") or ""),
        https_proxy=str(body.get("HttpsProxy") or ""),
        cpus=body.get("NCPU"),
        memory_bytes=body.get("MemTotal"),
        clock=parse_time(body.get("SystemTime")),
        containers_running=int(body.get("ContainersRunning") or 0),
        containers_outlive_it=bool(body.get("LiveRestoreEnabled")),
        cgroups=str(body.get("CgroupVersion") or ""),
    )


def image_names(engine: Engine) -> tuple[str, ...]:
    """All image names on the engine, the newest image first."""
    with translated(engine.asked()):
        images: Sequence[Mapping[str, Any]] = engine.api.images()
    return tuple(name for image in images for name in image.get("RepoTags") or () if "<none>" not in name)


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


def _security(options: Sequence[str]) -> tuple[str, ...]:
    """``name=seccomp,profile=default`` is ``seccomp``."""
    names = (part for option in options for part in str(option).split(",") if part.startswith("name="))
    return tuple(name.removeprefix("name=") for name in names)
