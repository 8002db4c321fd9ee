"""Shared by pulls and pushes: the progress callbacks, and the retries of lost connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from taorunner.engine.images import DroppedError, LayerState, PullProgressFold, PullState, pushed_digest
from taorunner.text import duration

_REPORT_EVERY_S = 0.1
_Result = TypeVar("_Result")


class Watcher(Protocol):
    """Progress callbacks, called from several threads. ``total_bytes``: size of the transfer, None when unknown."""

    def begins(self, image: str, total_bytes: int | None) -> None: ...

    def advanced(self, image: str, state: PullState, layers: Sequence[LayerState]) -> None: ...

    def ends(self, image: str) -> None: ...

    def tells(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Number and timing of retries after a lost connection. ``stop`` ends every wait."""

    tries: int = 6
    first_wait_s: float = 1.0
    most_wait_s: float = 30.0
    stop: threading.Event = field(default_factory=threading.Event)

    def wait_s(self, failures: int) -> float:
        return float(min(self.most_wait_s, self.first_wait_s * 2 ** (failures - 1)))


def with_patience(
    reference: str, transfer: Callable[[], _Result], watcher: Watcher, patience: Patience
) -> _Result:
    """The result of ``transfer``, with retries. Raises its errors; for a DroppedError, the error that caused it."""
    failures = 0
    while True:
        try:
            return transfer()
        except DroppedError as dropped:
            failures += 1
            if failures >= patience.tries:
                raise dropped.error from dropped.__cause__
            wait_s = patience.wait_s(failures)
            watcher.tells(f"{reference}: {dropped.message}; trying again in {duration(wait_s)}")
            if patience.stop.wait(wait_s):
                raise dropped.error from dropped.__cause__


def follow(
    events: Generator[Mapping[str, Any], None, None], reference: str, watcher: Watcher, stop: threading.Event
) -> str | None:
    """Reports progress until the end or ``stop``; returns the digest of a push."""
    fold = PullProgressFold(time.monotonic())
    last = 0.0
    digest: str | None = None
    with closing(events):
        for event in events:
            fold.take(event)
            digest = pushed_digest(event) or digest
            now = time.monotonic()
            if now - last >= _REPORT_EVERY_S:
                last = now
                watcher.advanced(reference, fold.state(now), fold.layers())
            if stop.is_set():
                return None
    watcher.advanced(reference, fold.state(time.monotonic()), fold.layers())
    return digest
