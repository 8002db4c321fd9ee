"""Which events were already emitted, so a replay skips them.

A supervisor that continues a run reads its log and status.json from the beginning to restore its state.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from taorunner.events import (
    CheckpointSaved,
    EpochProgress,
    Event,
    MetricReported,
    Notice,
    RunQueued,
    RunStarted,
    RunWaiting,
)

_RUNNING = frozenset({"loss", "train_loss"})
"""Metrics sampled per step at a limited rate: a replay would sample other values."""


class ReplayFilter:
    """``events`` are those of events.jsonl. Only events since the last start belong to this launch.

    ``handle`` is that of the last start, ``waiting`` the reason of a run that waits in its engine since then.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._keys: set[tuple[object, ...]] = set()
        self.checkpoints: set[str] = set()
        self.handle: str | None = None
        self.waiting: str | None = None
        for event in events:
            if isinstance(event, RunQueued):
                self.waiting = None
            elif isinstance(event, RunWaiting):
                if self.waiting is None:
                    self._keys.clear()
                self.waiting = event.reason
            elif isinstance(event, RunStarted):
                # After a requeue, status.json may have been read before the start was reported.
                if self.waiting is None:
                    self._keys.clear()
                self.handle, self.waiting = event.handle, None
            key = _key(event)
            if key is not None:
                self._keys.add(key)
            if isinstance(event, CheckpointSaved):
                self.checkpoints.add(posixpath.basename(event.path))

    def begin_launch(self) -> None:
        """Forgets the events of the last launch: the run was requeued, and a crash kept that from being emitted."""
        self._keys.clear()

    def new_ones(self, events: Sequence[Event]) -> list[Event]:
        return [event for event in events if _key(event) not in self._keys]

    def missed(self, events: Sequence[Event]) -> list[Event]:
        """The events of a replayed log that were not emitted before."""
        kept: list[Event] = []
        after_step = False
        for event in self.new_ones(events):
            if isinstance(event, EpochProgress) and not event.completed:
                after_step = True
            elif not (after_step and isinstance(event, MetricReported) and event.name in _RUNNING):
                after_step = False
                kept.append(event)
        return kept


def _key(event: Event) -> tuple[object, ...] | None:
    """The identity of an event; None for events that may be repeated."""
    if isinstance(event, EpochProgress):
        return ("epoch", event.epoch) if event.completed else None
    if isinstance(event, MetricReported):
        return ("metric", event.name, event.epoch, repr(event.value))
    if isinstance(event, Notice):
        return ("notice", event.code, event.text)
    return None
