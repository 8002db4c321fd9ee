"""Whether the engine was restarted since a moment: its events are kept in memory only, and a restart empties it.

A caller leaves a mark with ``mark`` and asks ``was_restarted_since`` later.
Source: the events package of moby (a ring of 256 events, no storage), and its attach, which emits an event.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

from taorunner.engine.client import CALL_TIMEOUT_S, Engine, translated

_KEPT_EVENTS = 256


def mark(engine: Engine, container: str) -> int:
    """Makes the engine keep an event, and returns a Unix time (of its clock) that is not before that event."""
    with translated(engine.asked()):
        answer = engine.api.post(
            engine.url("/containers/{0}/attach", container),
            params={"stream": 0, "logs": 0},
            timeout=CALL_TIMEOUT_S,
            stream=True,
        )
        answer.close()
        engine.raise_for_status(answer)
    return _clock(answer) + 1


def was_restarted_since(engine: Engine, moment: int) -> bool:
    """``moment`` is a Unix time at or after an event of the engine. False where too much happened to know it."""
    before, now = _events(engine, moment)
    if before:
        return False
    count, _ = _events(engine, now)
    return count < _KEPT_EVENTS


def _events(engine: Engine, until: int) -> tuple[int, int]:
    """How many events the engine remembers up to a time, and the time by its clock."""
    with translated(engine.asked()):
        answer = engine.api.get(
            engine.url("/events"), params={"since": 1, "until": until}, timeout=CALL_TIMEOUT_S
        )
        engine.raise_for_status(answer)
    return sum(1 for line in answer.content.split(b"\n") if line.strip()), _clock(answer)


def _clock(answer: Any) -> int:
    try:
        return int(parsedate_to_datetime(answer.headers["Date"]).timestamp())
    except (KeyError, ValueError, TypeError):
        return int(time.time())
