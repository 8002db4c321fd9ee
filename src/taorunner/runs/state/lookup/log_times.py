"""When the bytes of ``console.log`` arrived: ``console.times``, for ``logs --since``.

Each line is an offset of the log and the Unix time at which what follows was written. A line is added at most every ten
seconds of output, so the times of a week take a megabyte.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from taorunner.state_files import Trust, append_state, read_state

APART_S = 10.0


class LogTimes:
    """Writes the file beside the log ``console``. ``clock`` gives Unix time."""

    def __init__(self, console: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = times_path(console), clock
        self._last = -math.inf

    def mark(self, offset: int) -> None:
        """Call it before something is written at ``offset``. What cannot be written is left out."""
        at = self._clock()
        if 0 <= at - self._last < APART_S:
            return
        self._last = at
        with suppress(OSError):
            append_state(self._path, f"{offset} {at:.1f}\n".encode())


def times_path(console: Path) -> Path:
    return console.with_name("console.times")


def offset_since(console: Path, since: datetime, trust: Trust | None = None) -> int | None:
    """The byte of the log at which the output since ``since`` begins, or of up to ten seconds before.

    The size of the log when there is none; None for a log without times.
    """
    try:
        text = read_state(times_path(console), trust).decode("ascii", "replace")
        size = os.stat(console).st_size  # noqa: PTH116
    except OSError:
        return None
    marks: list[tuple[int, float]] = []
    for line in text.splitlines():
        offset, _, at = line.partition(" ")
        with suppress(ValueError):
            mark = (int(offset), float(at))
            while marks and marks[-1][0] > mark[0]:  # a later supervisor has cut the log off
                marks.pop()
            marks.append(mark)
    if not marks:
        return None
    asked = since.timestamp()
    before = [place for place, (_, at) in enumerate(marks) if at <= asked]
    if not before:
        return 0
    last = before[-1]
    if asked - marks[last][1] < APART_S:
        return min(size, marks[last][0])
    return min(size, marks[last + 1][0]) if last + 1 < len(marks) else size
