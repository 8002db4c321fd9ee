"""Free disk space of the engine, and the image layers that it already has."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.engine.client import ENGINE_ERRORS, Engine, translated
from taorunner.engine.refusals import is_missing, is_missing_image

CONTAINERD_ROOT = "/var/lib/containerd"


@dataclass(frozen=True, slots=True)
class EngineDisk:
    """``free_bytes`` is None when it cannot be read from here; ``reason`` says why."""

    place: str
    free_bytes: int | None
    architecture: str
    reason: str | None = None


def look_at_disk(engine: Engine) -> EngineDisk:
    """Raises MachineError when the engine does not answer."""
    with translated(engine.asked()):
        body = engine.api.info()
    place, architecture = _place(body), str(body.get("Architecture") or "x86_64")
    if engine.address.is_remote:
        return EngineDisk(place, None, architecture, "the engine is on another machine")
    try:
        return EngineDisk(place, shutil.disk_usage(Path(place)).free, architecture)
    except (OSError, ValueError):  # Docker Desktop: a folder inside its virtual machine
        return EngineDisk(place, None, architecture, f"{place or 'its folder'} cannot be read from here")


def _place(body: Mapping[str, Any]) -> str:
    """The folder of the images: newer engines store them in containerd's folder instead of their own."""
    status = dict(pair for pair in body.get("DriverStatus") or () if len(pair) == 2)
    if str(status.get("driver-type", "")).startswith("io.containerd.snapshotter"):
        return CONTAINERD_ROOT
    return str(body.get("DockerRootDir") or "")


def known_layers(engine: Engine) -> list[tuple[str, ...]]:
    """For each image of the engine, the digests of its unpacked layers, lowest first."""
    found: list[tuple[str, ...]] = []
    with translated(engine.asked()):
        for listed in engine.api.images(quiet=True):
            try:
                body = engine.api.inspect_image(listed)
            except ENGINE_ERRORS as error:
                if is_missing(error) or is_missing_image(error):
                    continue  # removed meanwhile
                raise
            found.append(tuple((body.get("RootFS") or {}).get("Layers") or ()))
    return found
