"""What a viewer reads of runs: each event once, the last lines as a terminal shows them, and the end."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.events import EpochProgress, RunFinished, RunQueued, RunState
from taorunner.runs.state.event_reader import EventReader
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)
RUNS = ("20261120-090507-e1-train-abc123", "20261120-090507-e2-train-abc123")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / ".taorunner")
    for run_id in RUNS:
        store.paths(run_id).directory.mkdir(parents=True)
    return store


def test_each_event_is_read_once_and_folded(store: RunStore) -> None:
    reader = EventReader(store, RUNS)
    assert reader.poll() == []
    queued = RunQueued(run=RUNS[0], at=AT, project="p", experiment="e1", action="train", backend="docker")
    epoch = EpochProgress(run=RUNS[0], at=AT, epoch=2, epochs=3)
    other = EpochProgress(run=RUNS[1], at=AT, epoch=1, epochs=3)
    store.append_events(RUNS[1], [other])
    store.append_events(RUNS[0], [queued])
    assert reader.poll() == [queued, other]
    assert reader.poll() == []
    store.append_events(RUNS[0], [epoch])
    assert reader.poll() == [epoch]
    assert [(one.id, one.epoch) for one in reader.snapshots()] == [(RUNS[0], 2), (RUNS[1], 1)]


def test_lines_are_complete_and_each_comes_once(store: RunStore) -> None:
    reader = EventReader(store, RUNS[:1])
    console = store.paths(RUNS[0]).console
    assert reader.log_lines() == []
    console.write_bytes(b"one\r\n\r\ntw")
    assert [line.text for line in reader.log_lines()] == ["one"]
    with console.open("ab") as file:
        file.write(b"o\n10%\r20%\rhalf")
    assert [line.text for line in reader.log_lines()] == ["two", "10%", "20%"]
    assert reader.log_lines() == []


def test_the_last_lines_are_those_a_terminal_shows(store: RunStore) -> None:
    reader = EventReader(store, RUNS)
    console = store.paths(RUNS[0]).console
    console.write_bytes(b"\x1b[31mred\x1b[0m  \n10%\r20%\r\nx\x08y\n\nlast")
    assert reader.tails() == {RUNS[0]: ["red", "20%", "xy", "last"], RUNS[1]: []}
    console.write_bytes(b"".join(b"line %d\n" % number for number in range(60)))
    assert reader.tails()[RUNS[0]] == [f"line {number}" for number in range(20, 60)]
    console.write_bytes(b"x" * 20_000 + b"\nwhole\n")  # the cut off first line is none
    assert reader.tails()[RUNS[0]] == ["whole"]


def test_a_run_is_over_by_its_last_event_or_else_by_its_record(store: RunStore) -> None:
    reader = EventReader(store, RUNS)
    ended = RunFinished(run=RUNS[0], at=AT, state=RunState.FAILED, reason="by its event", exit_code=3)
    store.append_events(RUNS[0], [ended])
    reader.poll()
    assert not reader.is_over()
    for run_id in RUNS:
        reader.conclude(
            RunRecord(
                id=run_id, batch="b", project="p", experiment="e1", action="train", backend="docker",
                state=RunState.LOST, queued_at=AT, reason="by its record",
            )
        )  # fmt: skip
    assert reader.is_over()
    assert [(one.state, one.reason) for one in reader.snapshots()] == [
        (RunState.FAILED, "by its event"), (RunState.LOST, "by its record"),
    ]  # fmt: skip
