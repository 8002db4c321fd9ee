"""A run is a directory: what is written, what is read back, what broken files do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.errors import RunStateError, UsageError
from taorunner.events import EpochProgress, RunFinished, RunQueued, RunState
from taorunner.runs.state.batch_lock import orphans
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.run_repair import complete_run
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)


def record(run_id: str = "20261120-090507-e1-train-abc123", **changes: object) -> RunRecord:
    plain = RunRecord(
        id=run_id, batch="b", project="p", experiment="e1", action="train", backend="docker",
        state=RunState.QUEUED, queued_at=AT,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


def save(store: RunStore, saved: RunRecord) -> RunRecord:
    store.paths(saved.id).directory.mkdir(parents=True)
    store.save(saved)
    return saved


def test_a_record_comes_back_whole(store: RunStore) -> None:
    full = record(
        state=RunState.RUNNING, gpus=("1", "GPU-3f"), handle="c0ffee", started_at=AT + timedelta(seconds=2),
        status_sizes={"/a/status.json": 12}, image="i", image_digest="sha256:1", epochs=80, error_code=5,
    )  # fmt: skip
    save(store, full)
    assert store.load(full.id) == full


def test_a_newer_programs_record_is_read(store: RunStore) -> None:
    saved = save(store, record())
    path = store.paths(saved.id).record
    path.write_text(json.dumps({**json.loads(path.read_text()), "from_the_future": [1]}))
    assert store.load(saved.id) == saved


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "NO"}', "\x00\xff"])
def test_a_broken_record_is_a_sentence(store: RunStore, text: str) -> None:
    saved = save(store, record())
    store.paths(saved.id).record.write_text(text)
    with pytest.raises(RunStateError, match="cannot be read"):
        store.load(saved.id)
    assert list(store.records()) == []


def test_events_are_read_from_where_the_reader_stopped(store: RunStore) -> None:
    saved = save(store, record())
    first = RunQueued(run=saved.id, at=AT, project="p", experiment="e1", action="train", backend="docker")
    second = EpochProgress(run=saved.id, at=AT, epoch=1, epochs=3)
    store.append_events(saved.id, [first])
    events, offset = store.read_events(saved.id)
    assert events == [first]
    store.append_events(saved.id, [second])
    assert store.read_events(saved.id, offset)[0] == [second]


def test_events_of_another_run_are_none_of_this_one(store: RunStore) -> None:
    saved = save(store, record())
    own = EpochProgress(run=saved.id, at=AT, epoch=1)
    store.append_events(saved.id, [own, replace(own, run=""), replace(own, run="x")])
    size = store.paths(saved.id).events.stat().st_size
    assert store.read_events(saved.id) == ([own], size)


def test_the_end_of_another_run_does_not_end_this_one(store: RunStore) -> None:
    done = save(store, record(state=RunState.SUCCEEDED, finished_at=AT))
    store.append_events(done.id, [RunFinished(run="", at=AT, state=RunState.SUCCEEDED, reason="")])
    (added,) = complete_run(store, done)
    assert isinstance(added, RunFinished)
    assert store.read_events(done.id)[0] == [added]


def test_a_torn_last_line_waits_until_it_is_whole(store: RunStore) -> None:
    saved = save(store, record())
    event = EpochProgress(run=saved.id, at=AT, epoch=1)
    store.append_events(saved.id, [event])
    path = store.paths(saved.id).events
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    events, offset = store.read_events(saved.id)
    assert (events, offset) == ([event], len(whole))
    path.write_bytes(whole + whole)
    assert store.read_events(saved.id, offset)[0] == [event]


def test_a_final_state_is_never_overwritten() -> None:
    done = record().finished(
        RunFinished(run="r", at=AT, state=RunState.SUCCEEDED, reason="fine", exit_code=0)
    )
    again = done.finished(RunFinished(run="r", at=AT, state=RunState.FAILED, reason="no", exit_code=1))
    assert again == done
    assert (done.state, done.reason, done.exit_code, done.finished_at) == (RunState.SUCCEEDED, "fine", 0, AT)


def test_runs_are_found_by_id_part_and_experiment(store: RunStore) -> None:
    old = save(store, record("20261120-090507-e1-train-aaa111"))
    new = save(store, record("20261120-100000-e1-train-bbb222"))
    assert store.find(old.id) == old
    assert store.find("e1") == new
    assert store.find("aaa1") == old
    assert [found.id for found in store.records()] == [new.id, old.id]


def test_an_unclear_name_is_reported_with_the_choices(store: RunStore) -> None:
    save(store, record("20261120-090507-e1-train-aaa111"))
    save(store, record("20261120-100000-e1-train-bbb222"))
    with pytest.raises(UsageError, match="fits 2 runs"):
        store.find("train")
    with pytest.raises(RunStateError) as caught:
        store.find("e2")
    assert caught.value.hint == 'did you mean "e1"?'


@pytest.mark.parametrize("name", ["../x", "a/b/c", "a/..", "/a", "a/", "", ".", ".."])
def test_no_name_leads_out_of_the_folder(store: RunStore, name: str) -> None:
    with pytest.raises(UsageError, match="is not a run id"):
        store.find(name)


def test_an_empty_workspace_has_no_runs(store: RunStore) -> None:
    assert (store.run_ids(), list(store.records())) == ([], [])


def test_a_torn_last_event_is_removed_and_the_next_one_is_read(store: RunStore) -> None:
    saved = save(store, record())
    first, second = (EpochProgress(run=saved.id, at=AT, epoch=number, epochs=3) for number in (1, 2))
    store.append_events(saved.id, [first])
    whole = store.paths(saved.id).events.read_bytes()
    store.paths(saved.id).events.write_bytes(whole + b'{"type": "Epo')
    store.repair_events(saved.id)
    assert store.paths(saved.id).events.read_bytes() == whole
    store.append_events(saved.id, [second])
    assert store.read_events(saved.id)[0] == [first, second]


@pytest.mark.parametrize("text", ["", "{", "\x00", "[]", "7", "{}"])
def test_a_damaged_stop_request_is_still_a_request(store: RunStore, text: str) -> None:
    saved = save(store, record())
    assert store.stop_request(saved.id, is_queued=True) is None
    store.paths(saved.id).stop_request.write_text(text)
    assert store.stop_request(saved.id, is_queued=False) == "stop"


def test_a_batch_is_an_orphan_only_after_its_creator_has_gone(store: RunStore) -> None:
    store.open_batches.begin("b", ["r"])
    assert (orphans(store), store.open_batches.ids()) == ([], ["b"])
    store.open_batches.handed_over("b")
    assert orphans(store) == ["b"]
