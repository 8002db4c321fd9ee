"""Short ids, the runs that a word names, and filtered lists that read few records."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.errors import RunStateError, UsageError
from taorunner.events import RunState
from taorunner.runs.state.lookup.run_filter import RunFilter, parse_since, parse_states, select
from taorunner.runs.state.lookup.short_ids import queued_at, short_ids
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import DamagedRun, DamagedRunError, RunStore

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


def put(
    store: RunStore, ending: str, experiment: str = "e1", action: str = "train", hours: int = 0,
    state: RunState = RunState.SUCCEEDED, project: str = "p",
) -> RunRecord:  # fmt: skip
    at = AT + timedelta(hours=hours)
    record = RunRecord(
        id=f"{at:%Y%m%d-%H%M%S}-{experiment}-{action}-{ending}", batch="b", project=project, experiment=experiment,
        action=action, backend="docker", state=state, queued_at=at,
    )  # fmt: skip
    store.paths(record.id).directory.mkdir(parents=True)
    store.save(record)
    return record


def ids_of(store: RunStore, wanted: RunFilter) -> list[str]:
    return [run.id[-6:] for run in select(store, store.run_ids(), wanted)]


def test_six_characters_and_more_only_where_two_runs_share_them() -> None:
    ids = ["1-e-train-eaf22b", "2-e-export-eaf22b", "3-e-train-a57ce4"]
    assert list(short_ids(ids, ids).values()) == ["n-eaf22b", "t-eaf22b", "a57ce4"]
    assert short_ids([ids[0]], [ids[0]])[ids[0]] == "eaf22b"
    assert dict(short_ids(["abc", "xabc"], ["abc", "xabc"])) == {"abc": "abc", "xabc": "xabc"}


@pytest.mark.parametrize("same", [True, False])
def test_every_short_id_finds_its_own_run(store: RunStore, same: bool) -> None:
    runs = [put(store, "eaf22b" if same else f"eaf22{number}", hours=number) for number in range(4)]
    runs.append(put(store, "eaf22b", action="export", hours=9))
    for record in runs:
        short = short_ids([record.id], store.run_ids())[record.id]
        assert not short.startswith("-")
        assert store.find(short) == record


def test_a_short_id_counts_before_the_same_characters_within_another_id(store: RunStore) -> None:
    """``202611`` begins every id of that month."""
    put(store, "aaaaaa", hours=1)
    asked = put(store, "202611")
    assert store.find("202611") == asked


def test_an_unclear_name_lists_the_runs_with_ids_that_can_be_typed(store: RunStore) -> None:
    first, second = put(store, "eaf22b"), put(store, "0af22b", "e2", "export", hours=1)
    with pytest.raises(UsageError, match='"af22b" fits 2 runs') as caught:
        store.find("af22b")
    lines = (caught.value.hint or "").splitlines()
    assert lines == ["say which:", "0af22b  e2 export, succeeded", "eaf22b  e1 train, succeeded"]
    assert [store.find(line.split()[0]) for line in lines[1:]] == [second, first]
    assert caught.value.exit_code == 2


def test_many_that_fit_are_counted(store: RunStore) -> None:
    for number in range(12):
        put(store, f"{number:06x}", hours=number)
    with pytest.raises(UsageError, match="fits 12 runs") as caught:
        store.find("train")
    assert (caught.value.hint or "").splitlines()[-1] == "and 4 more: taorunner runs list"


def test_an_experiment_of_two_projects_is_that_of_the_project_asked_for(store: RunStore) -> None:
    here, there = put(store, "aaaaa1", project="p"), put(store, "aaaaa2", project="q", hours=1)
    assert store.find("e1") == there
    assert store.find("e1", "p") == here
    assert (store.find("p/e1"), store.find("q/e1")) == (here, there)
    assert store.find("e1", near="p") == here
    assert store.find("e1", near="empty") == there
    with pytest.raises(RunStateError, match='no run "e1" in project "empty"'):
        store.find("e1", "empty")


def test_a_name_that_is_nearly_right_is_suggested(store: RunStore) -> None:
    put(store, "eaf22b", "rtdetr_01")
    for typed, meant in (("rtdetr_10", "rtdetr_01"), ("eaf22c", "eaf22b")):
        with pytest.raises(RunStateError) as caught:
            store.find(typed)
        assert caught.value.hint == f'did you mean "{meant}"?'
        assert caught.value.exit_code == 6


def test_a_damaged_run_is_found_by_its_short_id_and_refused(store: RunStore) -> None:
    record = put(store, "f03a9d")
    store.paths(record.id).record.write_text('{\n"id": 4,\n"x"')
    with pytest.raises(DamagedRunError) as caught:
        store.find("f03a9d")
    assert caught.value.place == "record.json, line 3"
    assert list(store.listed()) == [DamagedRun(record.id, caught.value.message, caught.value.place)]


def test_each_filter_alone_and_all_together(store: RunStore) -> None:
    put(store, "000001", "rtdetr_01")
    put(store, "000002", "rtdetr_02", state=RunState.FAILED, hours=1)
    put(store, "000003", "dino_01", "dataset_convert", project="q", hours=2)
    put(store, "000004", "dino_01", state=RunState.RUNNING, project="q", hours=3)
    expected = {
        RunFilter(): "4321",
        RunFilter(project="q"): "43",
        RunFilter(experiment="dino_01"): "43",
        RunFilter(experiment="rtdetr_*"): "21",
        RunFilter(experiment="q/dino_??"): "43",
        RunFilter(experiment="p/dino_*"): "",
        RunFilter(action="convert"): "3",
        RunFilter(action="dataset_convert"): "3",
        RunFilter(states=frozenset({RunState.FAILED, RunState.RUNNING})): "42",
        RunFilter(since=AT + timedelta(hours=2)): "43",
        RunFilter(project="q", action="train", states=parse_states("running"), since=AT): "4",
    }
    for _ in range(2):  # the second time from what the first one has listed
        found = {wanted: "".join(run_id[-1] for run_id in ids_of(store, wanted)) for wanted in expected}
        assert found == expected


def test_a_filtered_list_reads_only_the_records_that_fit(store: RunStore) -> None:
    """A record that cannot be read would be listed as damaged, so what is not listed was not read."""
    for number in range(5):
        put(
            store,
            f"00000{number}",
            hours=number,
            state=RunState.FAILED if number == 2 else RunState.SUCCEEDED,
        )
    for run_id in store.run_ids():
        if "000002" not in run_id:
            store.paths(run_id).record.write_text("{")
    failed = RunFilter(states=frozenset({RunState.FAILED}))
    assert ids_of(store, failed) == ["000002"]
    assert len(ids_of(store, RunFilter(states=frozenset({RunState.DAMAGED})))) == 4
    (store.state_dir / "ended-runs.tsv").unlink()
    assert ids_of(store, failed) == ["000002"]


@pytest.mark.parametrize("text", ["", "\x00\xff", "x\n\n\t\t\t\t\t", "a\tb\tc\td\te"])
def test_a_damaged_list_of_ended_runs_loses_no_run(store: RunStore, text: str) -> None:
    put(store, "000001", state=RunState.FAILED)
    (store.state_dir / "ended-runs.tsv").write_text(text)
    assert ids_of(store, RunFilter(states=frozenset({RunState.FAILED}))) == ["000001"]
    assert ids_of(store, RunFilter(states=frozenset({RunState.SUCCEEDED}))) == []


def test_a_run_that_is_found_again_is_listed_in_its_new_state(store: RunStore) -> None:
    record = put(store, "000001", state=RunState.LOST)
    body = json.loads(store.paths(record.id).record.read_text())
    store.save(RunRecord.from_json({**body, "state": "SUCCEEDED"}))
    assert ids_of(store, RunFilter(states=parse_states("succeeded"))) == ["000001"]
    assert ids_of(store, RunFilter(states=parse_states("lost"))) == []


def test_runs_that_were_removed_are_not_listed(store: RunStore) -> None:
    from taorunner.runs.state.pruning import remove_runs

    gone, kept = put(store, "000001"), put(store, "000002", hours=1)
    remove_runs(store, [gone])
    assert ids_of(store, RunFilter(project="p")) == [kept.id[-6:]]


def test_the_list_of_ended_runs_does_not_grow_without_end(store: RunStore) -> None:
    from taorunner.runs.state.pruning import remove_runs

    gone, kept = put(store, "000001"), put(store, "000002", hours=1)
    listed = store.state_dir / "ended-runs.tsv"
    listed.write_text(listed.read_text() + "".join(f"old-{n}\tp\te\ttrain\tFAILED\n" for n in range(1100)))
    remove_runs(store, [gone])
    assert not listed.exists()
    assert ids_of(store, RunFilter(project="p")) == [kept.id[-6:]]
    assert len(listed.read_text().splitlines()) == 1


def test_states_are_words() -> None:
    assert parse_states("failed, LOST") == {RunState.FAILED, RunState.LOST}
    with pytest.raises(UsageError, match='stopped, lost or damaged, not "faild"') as caught:
        parse_states("faild")
    assert caught.value.hint == 'did you mean "failed"?'
    with pytest.raises(UsageError, match="--state takes queued, waiting"):
        parse_states("")


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("2h", 7200), ("3d", 259200), ("1w", 604800)]
)
def test_ages(text: str, seconds: int) -> None:
    assert parse_since(text, AT) == AT - timedelta(seconds=seconds)


def test_dates_are_local() -> None:
    assert parse_since("2026-11-01", AT) == datetime(2026, 11, 1).astimezone()
    assert parse_since("2026-11-01T22:30", AT) == datetime(2026, 11, 1, 22, 30).astimezone()


@pytest.mark.parametrize(
    "text", ["", "2", "h", "-2h", "2y", "yesterday", "2026-13-01", "01.11.2026", "2026-11-31", "999999w"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match="--since takes an age such as 2h or 3d, or a date such as 2026-11-01"
    ):
        parse_since(text, AT)


def test_a_time_to_come_is_refused() -> None:
    with pytest.raises(UsageError, match='"2027-01-01" is in the future'):
        parse_since("2027-01-01", AT)


def test_an_id_says_when_its_run_was_queued() -> None:
    assert queued_at("20261120-090507-e1-train-abc123") == AT
    assert queued_at("20269920-090507-e1-train-abc123") is None
    assert queued_at("by-hand") is None
