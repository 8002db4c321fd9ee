"""Sinks get what is on disk; one that fails is one notice, whatever it does."""

from __future__ import annotations

from collections.abc import Sequence

from taorunner.events import Event, Notice, now
from taorunner.runs.supervisor.sinks import EventSinks, Problems

EVENT = Notice(run="r1", at=now(), level="info", code="x", text="y")


class Recorder:
    name = "recorder"

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def write(self, run_id: str, events: Sequence[Event]) -> None:
        self.seen.append((run_id, len(events)))

    def close(self) -> None:
        self.seen.append(("closed", 0))


class Broken(Recorder):
    name = "broken"

    def write(self, run_id: str, events: Sequence[Event]) -> None:
        raise ValueError("no such server")

    def close(self) -> None:
        raise ValueError("no such server")


def test_a_sink_that_fails_is_one_notice_for_each_run_and_the_others_go_on() -> None:
    problems, recorder = Problems(), Recorder()
    sinks = EventSinks([Broken(), recorder], problems)
    for _ in range(3):
        sinks.write("r1", [EVENT])
    sinks.write("r2", [EVENT, EVENT])
    sinks.close()
    assert recorder.seen == [("r1", 1), ("r1", 1), ("r1", 1), ("r2", 2), ("closed", 0)]
    notices = problems.take()
    assert [(n.run, n.code, n.text) for n in notices if isinstance(n, Notice)] == [
        ("r1", "sink-failed", "events could not be passed to broken: no such server"),
        ("r2", "sink-failed", "events could not be passed to broken: no such server"),
    ]
    assert problems.take() == []
