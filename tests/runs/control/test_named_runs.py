"""The runs that words of a command line mean."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.errors import RunStateError
from taorunner.events import RunState
from taorunner.runs.control.named_runs import live_runs, newest_runs
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import Batch, RunStore

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A chain of p/e1 under way, an ended run of p/e2, and one of q/e1 under way."""
    store = RunStore(tmp_path / ".taorunner")
    rows = (
        ("1-e2-train", "b0", "p", "e2", "train", RunState.SUCCEEDED, None),
        ("2-e1-evaluate", "b1", "p", "e1", "evaluate", RunState.QUEUED, "2-e1-train"),
        ("2-e1-train", "b1", "p", "e1", "train", RunState.RUNNING, None),
        ("2-e1-zexport", "b1", "p", "e1", "export", RunState.QUEUED, "2-e1-evaluate"),
        ("3-e1-train", "b2", "q", "e1", "train", RunState.RUNNING, None),
    )
    batches: dict[str, list[str]] = {}
    for run, batch, project, experiment, action, state, after in rows:
        store.paths(run).directory.mkdir(parents=True)
        record = RunRecord(
            id=run, batch=batch, project=project, experiment=experiment, action=action, backend="docker",
            state=state, queued_at=AT, started_at=None if state is RunState.QUEUED else AT, after=after,
        )  # fmt: skip
        store.save(record)
        batches.setdefault(batch, []).append(run)
    for batch, runs in batches.items():
        store.batch_paths(batch).directory.mkdir(parents=True)
        store.save_batch(Batch(batch, tuple(runs)))
        if batch != "b0":
            store.open_batches.begin(batch, tuple(runs))
    return store


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["p/e1"], ["2-e1-train", "2-e1-evaluate", "2-e1-zexport"]),
        (["2-e1-evaluate"], ["2-e1-evaluate", "2-e1-zexport"]),
        (["q/e1", "3-e1-train"], ["3-e1-train"]),
        (["e*"], ["3-e1-train", "2-e1-zexport", "2-e1-train", "2-e1-evaluate"]),
        (["*/e2", "e2"], []),
        (["e2"], ["1-e2-train"]),
    ],
)
def test_live_runs(store: RunStore, words: list[str], expected: list[str]) -> None:
    if not expected:
        with pytest.raises(RunStateError, match="no run that has not ended matches"):
            live_runs(store, words)
        return
    found = [record.id for record in live_runs(store, words)]
    assert (found if "*" not in words[0] else sorted(found)) == (
        expected if "*" not in words[0] else sorted(expected)
    )


def test_newest_runs(store: RunStore) -> None:
    def ids(*words: str) -> list[str]:
        return [record.id for record in newest_runs(store, words)]

    assert ids("p/*1") == ids("p/e1") == ["2-e1-train"]  # of a chain the run under way
    assert ids("e[2]", "e2") == ["1-e2-train"]
    assert ids("e*") == ["3-e1-train", "2-e1-train", "1-e2-train"]
    assert [record.id for record in newest_runs(store, ["e1"], "p")] == ["2-e1-train"]
    with pytest.raises(RunStateError, match="no run matches"):
        ids("z[z]")
    with pytest.raises(RunStateError, match="no run matches"):
        newest_runs(store, ["e2*"], "q")
