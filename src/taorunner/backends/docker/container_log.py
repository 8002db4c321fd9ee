"""The output of a container in chunks, from a position on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from taorunner.backends.contract import LogChunk, LogPosition
from taorunner.backends.docker.log_resume import KeptLog

if TYPE_CHECKING:
    from taorunner.engine.frames import Frames


class ContainerLog:
    """The output of a container without the first ``position`` bytes of each stream."""

    def __init__(self, frames: Frames, position: LogPosition, *, live: bool, gap: str | None = None) -> None:
        self._frames = frames
        self._places = {
            "stdout": KeptLog(position.stdout, position.tails.get("stdout", b"")),
            "stderr": KeptLog(position.stderr, position.tails.get("stderr", b"")),
        }
        self._live, self._gap = live, gap

    def __iter__(self) -> Iterator[LogChunk]:
        if self._live:
            yield from self._as_stored()
            return
        if self._gap is not None:
            yield LogChunk("stdout", b"", gap=self._gap)
        for stream, data in self._frames:
            unkept, data = self._places[stream].feed(data)
            if data:
                yield LogChunk(stream, data, unkept)

    def close(self) -> None:
        self._frames.close()

    def _as_stored(self) -> Iterator[LogChunk]:
        from taorunner.engine.frames import AsStored

        filters = {"stdout": AsStored(), "stderr": AsStored()}
        for stream, data in self._frames:
            data = filters[stream].feed(data)
            if data:
                yield LogChunk(stream, data)
        for stream, held in filters.items():
            data = held.flush()
            if data:
                yield LogChunk(stream, data)


class NoLog:
    """The empty output of a container that no longer exists."""

    def __iter__(self) -> Iterator[LogChunk]:
        return iter(())

    def close(self) -> None:
        return
