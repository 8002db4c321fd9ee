"""Follows one run to its end, or sends once what it has. Failures are waited out, for a limited time after its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from taorunner.errors import RunStateError
from taorunner.tracking.mlflow import TrackingError


class Sender(Protocol):
    """Of one run and one tracker."""

    def send_new(self) -> bool:
        """True when the run has ended and all of it was sent. Raises TrackingError, RunStateError."""


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds. ``look_s``: between two looks at the events. ``first_wait_s`` doubles with each failure up to
    ``longest_wait_s``. ``after_end_s``: how long an unreachable server is waited for after the end of the run.
    ``silent_s``: a run that reports nothing for so long is left to ``track sync``.
    """

    look_s: float = 2.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    after_end_s: float = 600.0
    silent_s: float = 2 * 86400.0


def follow(
    sender: Sender,
    events_size: Callable[[], int],
    is_over: Callable[[], bool],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    times: Times = Times(),
) -> bool:
    """True when all of the run was sent. False: the rest is for ``track sync``; ``sender.state.problem`` says why."""
    seen, failures, wait_s = -1, 0, times.look_s
    changed_at, over_since = clock(), None
    while True:
        size, over = events_size(), is_over()
        over_since = over_since if over_since is not None or not over else clock()
        if size != seen or failures or over:
            changed_at = clock() if size != seen else changed_at
            try:
                if sender.send_new():
                    return True
                seen, failures, wait_s = size, 0, times.look_s
            except TrackingError as error:
                failures += 1
                wait_s = min(times.longest_wait_s, times.first_wait_s * 2 ** min(failures - 1, 20))
                wait_s = max(wait_s, min(error.wait_s or 0.0, times.longest_wait_s))
                if over_since is not None and (error.is_refusal or clock() - over_since >= times.after_end_s):
                    return False
            except RunStateError:
                return False  # it was removed
        if clock() - changed_at >= times.silent_s:
            return False
        sleep(wait_s)


def send_once(sender: Sender, sleep: Callable[[float], None], tries: int = 3) -> None:
    """For ``track sync``. Raises TrackingError, RunStateError."""
    for left in reversed(range(tries)):
        try:
            sender.send_new()
            return
        except TrackingError as error:
            if error.is_refusal or not left:
                raise
            sleep(min(error.wait_s or 1.0, 20.0))


def size_of(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (called every two seconds for days)
    except OSError:
        return -1
