"""How often something is looked at that changes seldom: less often the more a look costs."""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.005
"""Of a core, at most: a supervisor of a thousand runs that wait in a scheduler sees a stop some seconds later."""
LONGEST_S = 5.0


class Pace:
    """``with pace:`` is a look. The next one is due after ``every_s``, or later where that keeps looks to ``SHARE``."""

    def __init__(
        self,
        every_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._every_s, self._clock, self._cpu = every_s, clock, cpu
        self._due_s = self._began_cpu_s = 0.0

    @property
    def is_due(self) -> bool:
        return self._clock() >= self._due_s

    def __enter__(self) -> None:
        self._due_s = self._clock() + self._every_s
        self._began_cpu_s = self._cpu()

    def __exit__(self, *_: object) -> None:
        took_s = self._cpu() - self._began_cpu_s
        self._due_s = max(self._due_s, self._clock() + min(LONGEST_S, took_s / SHARE))
