"""What a viewer does beside watching: it looks after the supervisor, and must not be slowed down by that."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from plain_runs import plain_plan

from taorunner.events import RunFinished, RunState, now
from taorunner.runs.control.watchdog import Watchdog
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.batch_lock import owning
from taorunner.runs.state.store import RunStore
from taorunner.state_files import MAX_BYTES

RUNS = [f"20261120-000000-e{number}-x" for number in range(40)]
SHORT_S = 1.0
"""Asking for the lock of each of the 40 ended runs takes four seconds."""


def test_ended_runs_of_a_batch_that_goes_on_cost_a_viewer_nothing(tmp_path: Path) -> None:
    store = RunStore(tmp_path / ".taorunner")
    planned = [(run, plain_plan(tmp_path, f"e{number}")) for number, run in enumerate(RUNS)]
    batch = create_batch(store, planned, now(), environ={})
    store.open_batches.handed_over(batch.id)
    for run in RUNS:
        store.save(replace(store.load(run), state=RunState.SUCCEEDED))
    watchdog = Watchdog(store, RUNS)
    with owning(store.batch_paths(batch.id)) as is_owner:
        assert is_owner
        for at_s in (0.0, 2.0):
            began_s = time.monotonic()
            watchdog.keep(at_s)
            assert time.monotonic() - began_s < SHORT_S
    assert not any(isinstance(event, RunFinished) for event in store.read_events(RUNS[0])[0])
    watchdog.keep(4.0)  # its supervisor has ended: the viewer completes what is left
    for run in (RUNS[0], RUNS[-1]):
        assert any(isinstance(event, RunFinished) for event in store.read_events(run)[0])


def test_an_end_that_cannot_be_read_is_that_of_the_record(tmp_path: Path) -> None:
    """Else a viewer of a run with damaged events would wait for ever."""
    store = RunStore(tmp_path / ".taorunner")
    batch = create_batch(store, [(RUNS[0], plain_plan(tmp_path, "e0"))], now(), environ={})
    store.open_batches.handed_over(batch.id)
    store.save(replace(store.load(RUNS[0]), state=RunState.SUCCEEDED))
    os.truncate(store.paths(RUNS[0]).events, MAX_BYTES + 1)
    watchdog = Watchdog(store, RUNS[:1])
    watchdog.keep(0.0)
    assert watchdog.without_end == []  # it may be read now
    watchdog.keep(2.0)
    assert [record.id for record in watchdog.without_end] == RUNS[:1]
