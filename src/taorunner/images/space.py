"""Checks the engine's disk space before a pull. Unknown sizes are reported, not guessed.

A registry reports compressed sizes; unpacked sizes are known only after the pull. The needed space is therefore an
estimate: the compressed layers, plus twice that for the unpacked ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from taorunner.disk_room import CODE as DISK_CODE
from taorunner.engine.client import Engine
from taorunner.engine.disk import known_layers, look_at_disk
from taorunner.engine.registry import RemoteLayer, UnknownSizeError, read_manifest
from taorunner.errors import MachineError
from taorunner.text import size

NEED_PER_BYTE = 3
"""Layers compress to about half; while one is unpacked, both forms are on the disk."""


@dataclass(frozen=True, slots=True)
class Room:
    """``download_bytes``: bytes still to download, by image. ``unknown``: the reason, for images of unknown size."""

    download_bytes: Mapping[str, int]
    unknown: Mapping[str, str]
    place: str
    free_bytes: int | None
    no_figure: str | None = None

    @property
    def needed_bytes(self) -> int:
        return NEED_PER_BYTE * sum(self.download_bytes.values())

    @property
    def is_too_small(self) -> bool:
        return self.free_bytes is not None and self.needed_bytes > self.free_bytes

    def refusal(self) -> MachineError:
        few = list(self.download_bytes)
        what = f'"{few[0]}" needs' if len(few) == 1 else f"the {len(few)} images need"
        return MachineError(
            f"{what} about {size(self.needed_bytes)} on the disk of the docker engine ({self.place}), "
            f"but {size(self.free_bytes or 0)} are free",
            hint="free some with docker image prune (see docker system df), or pull anyway with --force",
            code=DISK_CODE,
        )


def look_for_room(engine: Engine, references: Sequence[str]) -> Room:
    """Raises MachineError when the engine does not answer; images of a silent registry are ``unknown``."""
    disk = look_at_disk(engine)
    known = known_layers(engine) if references else []
    counted: set[str] = set()
    downloads: dict[str, int] = {}
    unknown: dict[str, str] = {}
    for reference in references:
        try:
            layers = read_manifest(engine, reference, disk.architecture)
        except UnknownSizeError as error:
            if not error.is_absent:  # the pull will report a missing image
                unknown[reference] = str(error)
            continue
        downloads[reference] = sum(layer.size_bytes for layer in missing_layers(layers, known, counted))
        counted.update(layer.digest for layer in layers)
    return Room(downloads, unknown, disk.place, disk.free_bytes, disk.reason)


def missing_layers(
    layers: Sequence[RemoteLayer], known: Sequence[tuple[str, ...]], counted: Collection[str] = ()
) -> list[RemoteLayer]:
    """The layers that are neither on the engine nor in ``counted``.

    A layer counts as present only with all layers below it, as engines share chains of layers, not single ones.
    """
    unpacked = tuple(layer.unpacked or "" for layer in layers)
    shared = 0
    for image in known:
        same = 0
        for ours, theirs in zip(unpacked, image, strict=False):
            if not ours or ours != theirs:
                break
            same += 1
        shared = max(shared, same)
    return [layer for layer in layers[shared:] if layer.digest not in counted]
