"""Reads the spec schemas of the TAO version in an image, and stores them in the workspace.

A small program (``specs.installed_reader``) runs in a container of the image, as the calling user, without network,
GPU and mounts. The image must be on the engine: nothing is pulled here.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from taorunner.container_options import ContainerOptions, ContainerSettings
from taorunner.engine import containers
from taorunner.engine.client import Engine
from taorunner.engine.images import find_image
from taorunner.errors import EngineRefusedError, Finding, MachineError, Severity, TaorunnerError
from taorunner.images.spec_answer import read_answer
from taorunner.specs.extract.in_image import MARK, reader_command
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.text import printable

TIMEOUT_S = 300
_MAX_BYTES = 64 * 1024 * 1024
_OUTPUT_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Synced:
    """``schemas``: the stored schemas; ``failed``: those that could not be read, with the reason.

    ``packages``: TAO's packages in the image, with their versions if known.
    """

    reference: str
    image_id: str
    digest: str | None
    schemas: tuple[str, ...]
    failed: Mapping[str, str]
    packages: Mapping[str, str | None]


def sync_images(
    engine: Engine, references: Sequence[str], kept: KeptSchemas, user: str
) -> tuple[list[Synced], TaorunnerError | None]:
    """Reads one image after the other. A failure does not stop the others; the returned error has all failures."""
    synced: list[Synced] = []
    refused: list[TaorunnerError] = []
    for reference in references:
        try:
            synced.append(sync_image(engine, reference, kept, user))
        except TaorunnerError as error:
            refused.append(error)
    if len(refused) < 2:
        return synced, refused[0] if refused else None
    findings = [Finding(Severity.ERROR, "not-synced", error.message, error.hint) for error in refused]
    return synced, MachineError(f"{len(refused)} images could not be read", findings=findings)


def sync_image(
    engine: Engine, reference: str, kept: KeptSchemas, user: str, *, timeout_s: float = TIMEOUT_S
) -> Synced:
    """Blocks until the container has finished. ``user`` is ``uid:gid``.

    Raises:
        MachineError: the image is not on the engine, or has no readable TAO packages.
        EngineRefusedError: its container could not be created.
    """
    image = find_image(engine, reference)
    if image is None:
        raise MachineError(
            f'the image "{printable(reference)}" is not on the engine',
            hint=f"taorunner image pull {printable(reference)}, or docker pull {printable(reference)}",
        )
    found = _ask(engine, image.id, reference, user, timeout_s)
    if not found["yaml"] and not found["prototxt"]:
        known = ", ".join(found["packages"])
        reasons = "; ".join(f"{name}: {why}" for name, why in found["failed"].items())
        raise MachineError(
            f'the image "{printable(reference)}" has no TAO spec schemas'
            + (f" that can be read, although it has {known}" if known else ""),
            hint=printable(reasons)[:300]
            or "use a TAO image: taorunner networks NAME lists those of a network",
        )
    names = kept.keep(reference, image.id, image.digest, found)
    return Synced(reference, image.id, image.digest, names, found["failed"], found["packages"])


def _ask(engine: Engine, image_id: str, reference: str, user: str, timeout_s: float) -> dict[str, Any]:
    """The output of ``installed_reader`` in a container of the image."""
    name = f"taorunner-specs-{secrets.token_hex(6)}"
    settings = ContainerSettings(
        name=name,
        image=image_id,
        command=reader_command(),
        env={
            "HOME": "/tmp",
            "PYTHONDONTWRITEBYTECODE": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "NVIDIA_VISIBLE_DEVICES": "void",
        },
        labels={"com.taorunner.specs": reference},
        options=ContainerOptions(user=user, workdir="/tmp", network="none"),
    )
    containers.create(engine, settings)
    try:
        return _answer(engine, name, reference, timeout_s)
    finally:
        containers.remove(engine, name)


def _answer(engine: Engine, name: str, reference: str, timeout_s: float) -> dict[str, Any]:
    stream = containers.attach(engine, name)
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        with suppress(TaorunnerError):
            containers.stop(engine, name, 0)
        stream.close()

    timer = threading.Timer(timeout_s, end)
    said: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    timer.start()
    try:
        containers.start(engine, name, reference)
        for kind, data in containers.output_to_the_end(engine, name, stream):
            if len(said[kind]) < _MAX_BYTES:
                said[kind] += data
    finally:
        timer.cancel()
        stream.close()
    if is_late.is_set():
        raise MachineError(
            f'the image "{printable(reference)}" did not answer within {timeout_s:g} seconds',
            hint="try again",
        )
    mark = f"\n{MARK}".encode()
    _before, found, line = bytes(said["stdout"]).rpartition(mark)
    body = read_answer(line) if found else None
    if body is not None:
        return body
    output = bytes(said["stderr"] or said["stdout"])[-_OUTPUT_BYTES:].decode("utf-8", "replace").strip()
    raise EngineRefusedError(
        f'the image "{printable(reference)}" could not read its own specs',
        hint=printable(output.splitlines()[-1])[:300] if output else "it printed no message",
    )
