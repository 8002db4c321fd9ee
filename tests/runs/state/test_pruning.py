"""Which records go, and that nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.errors import RunStateError, UsageError
from taorunner.events import RunState
from taorunner.runs.state.pruning import parse_age, prunable, remove_runs
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

NOW = datetime(2026, 6, 30, tzinfo=timezone.utc)


def make(
    store: RunStore, days_ago: int, state: RunState = RunState.SUCCEEDED, project: str = "p"
) -> RunRecord:
    at = NOW - timedelta(days=days_ago)
    run_id = f"{at:%Y%m%d-%H%M%S}-e-train-x"
    results = store.state_dir.parent / "models" / "e"
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{run_id}.pth").write_text("weights")
    record = RunRecord(
        id=run_id, batch=f"b{days_ago}", project=project, experiment="e", action="train", backend="local",
        state=state, queued_at=at, finished_at=at if state.is_final else None, results_dir=str(results),
    )  # fmt: skip
    store.paths(run_id).input_dir.mkdir(parents=True)
    store.paths(run_id).console.write_text("x" * 1000)
    store.save(record)
    batch = store.batch_paths(record.batch)
    batch.directory.mkdir(parents=True)
    batch.batch.write_text(f'{{"id": "{record.batch}", "runs": ["{run_id}"]}}')
    return record


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


def test_a_record_goes_and_the_results_stay(store: RunStore) -> None:
    kept, gone = make(store, 1), make(store, 2)
    assert remove_runs(store, [gone]) > 1000
    assert store.run_ids() == [kept.id]
    assert sorted(path.name for path in store.runs_dir.iterdir()) == [kept.id]
    assert [path.name for path in store.batches_dir.iterdir()] == ["b1"]
    assert len(list((store.state_dir.parent / "models" / "e").iterdir())) == 2


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.STARTING, RunState.RUNNING])
def test_nothing_is_removed_when_one_of_them_is_not_over(state: RunState, store: RunStore) -> None:
    over, running = make(store, 2), make(store, 1, state)
    with pytest.raises(RunStateError) as refused:
        remove_runs(store, [over, running])
    assert refused.value.message == f'run "{store.short_id(running.id)}" has not ended'
    assert len(store.run_ids()) == 2


def test_a_run_that_was_finished_when_it_was_looked_at_is_asked_again(store: RunStore) -> None:
    record = make(store, 2)
    store.save(replace(record, state=RunState.RUNNING))
    with pytest.raises(RunStateError):
        remove_runs(store, [record])


def test_a_batch_stays_while_it_is_open_or_another_of_its_runs_is_there(store: RunStore) -> None:
    record = make(store, 2)
    store.open_batches.begin(record.batch, [record.id])
    remove_runs(store, [record])
    assert store.batch_paths(record.batch).directory.is_dir()
    store.open_batches.end(record.batch)


def test_keep_and_older_must_both_agree(store: RunStore) -> None:
    records = {days: make(store, days) for days in (1, 10, 40, 50)}
    make(store, 60, RunState.RUNNING)

    def chosen(keep: int | None, older: str | None, project: str | None = None) -> list[str]:
        age = parse_age(older) if older else None
        return [item.record.id for item in prunable(store, keep=keep, older=age, at=NOW, project=project)]

    assert chosen(3, None) == [records[50].id]
    assert chosen(None, "30d") == [records[40].id, records[50].id]
    assert chosen(3, "30d") == [records[50].id]
    assert chosen(1, "45d") == [records[50].id]
    assert chosen(0, None) == [record.id for record in records.values()]
    assert chosen(0, None, "other") == []


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("2w", timedelta(14)),
    ],
)
def test_ages(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "30 days", "9999999d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_age(text)
    assert refused.value.hint == "for example --older 30d"


def test_the_age_of_a_run_is_counted_from_its_end(store: RunStore) -> None:
    record = replace(make(store, 40), finished_at=NOW - timedelta(days=2))
    store.save(record)
    assert prunable(store, keep=None, older=timedelta(days=30), at=NOW) == []
    (found,) = prunable(store, keep=None, older=timedelta(days=1), at=NOW)
    assert found.record == record
