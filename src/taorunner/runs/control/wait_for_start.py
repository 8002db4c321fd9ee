"""Waits for ``--detach`` until each run that can start now has started or failed to start."""

from __future__ import annotations

import time
from collections.abc import Sequence

from taorunner.events import RunState
from taorunner.runs.control.watchdog import Watchdog
from taorunner.runs.state.batch_lock import is_ready
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

_POLL_S = 0.02
_SEEN_WITHIN_S = 1.0
"""A supervisor reads added runs within a quarter of a second."""


def wait_for_start(
    store: RunStore, batch_id: str, run_ids: Sequence[str], *, joins: bool = False
) -> list[RunRecord]:
    """The runs that could not be started. ``joins``: they were added to a running batch.

    Waits for an image pull, but not for runs that wait for a GPU. The outcome after a start is not considered.
    """
    watchdog = Watchdog(store, run_ids)
    first_look_s = time.monotonic() + 1.0
    seen_by_s = time.monotonic() + _SEEN_WITHIN_S
    left = list(run_ids)
    failed: list[RunRecord] = []
    while True:
        was_ready = is_ready(
            store.batch_paths(batch_id)
        )  # read first: a run still QUEUED afterwards waits for GPUs
        may_wait = was_ready and (not joins or time.monotonic() > seen_by_s)
        while left:  # one that is starting is waited for alone, whatever becomes of the others
            record = store.load(left[0])
            if record.state is RunState.STARTING or (record.state is RunState.QUEUED and not may_wait):
                break
            failed += [record] if record.error_code is not None else []
            del left[0]
        if not left:
            return failed
        if time.monotonic() > first_look_s:
            watchdog.keep(time.monotonic())
        time.sleep(_POLL_S)
