"""Checks that containers see GPUs, with a short-lived container that lists them. Its image must be present."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from taorunner.container_options import ContainerOptions, ContainerSettings
from taorunner.engine.client import Engine, translated
from taorunner.engine.containers import remove, start
from taorunner.engine.create import on_docker, on_podman

LABEL = "com.taorunner.probe"
_GPU = re.compile(r"^GPU (\d+): (.+?) \(UUID: ([^)]+)\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Seen:
    """``gpus``: names of the GPUs in the container; ``words``: its output, for the case that there are none."""

    gpus: tuple[str, ...]
    exit_code: int
    words: str


def look_inside(engine: Engine, image: str, *, patience_s: float) -> Seen:
    """Runs ``nvidia-smi -L`` with all GPUs and without network; always removes the container.

    Raises:
        MachineError, EngineRefusedError: not started (no runtime, program missing in the image), or too slow.
    """
    api = engine.api
    asked = engine.asked(image, ("all",))
    settings = ContainerSettings(
        name=f"taorunner-doctor-{secrets.token_hex(4)}",
        image=image,
        command=("-L",),
        env={"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"},
        gpus=("all",),
        labels={LABEL: image},
        options=ContainerOptions(network="none"),
    )
    make = on_podman.create if engine.is_podman else on_docker.create
    with translated(asked):
        container = make(engine, settings, ["nvidia-smi"])  # TAO's own entrypoint prints a banner first
    try:
        start(engine, container, image, ("all",))
        with translated(asked):
            code = int(api.wait(container, timeout=patience_s)["StatusCode"])
            words = api.logs(container, stdout=True, stderr=True).decode("utf-8", "replace")
    finally:
        remove(engine, container)
    return Seen(tuple(match[2] for match in _GPU.finditer(words)), code, words.strip())
