"""No text in a record, a batch or a list of runs leads outside of its own folder, and no link does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.errors import RunStateError
from taorunner.events import RunFinished, RunState
from taorunner.runs.control.recovery import adopt, mark_lost
from taorunner.runs.state.batch_lock import owning
from taorunner.runs.state.folders import remove_folder
from taorunner.runs.state.pruning import prunable, remove_runs
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import DamagedRun, DamagedRunError, RunStore

AT = datetime(2026, 6, 30, tzinfo=timezone.utc)
OTHER = "20260620-000000-e-train-other"
OURS = "20260621-000000-e-train-ours"


def make(store: RunStore, run_id: str, state: RunState = RunState.SUCCEEDED, batch: str = "b") -> RunRecord:
    record = RunRecord(
        id=run_id, batch=batch, project="p", experiment="e", action="train", backend="local",
        state=state, queued_at=AT, finished_at=AT if state.is_final else None,
    )  # fmt: skip
    store.paths(run_id).input_dir.mkdir(parents=True)
    store.save(record)
    return record


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """Two runs; outside of the runs and outside of the workspace lies what must stay."""
    store = RunStore(tmp_path / "w" / ".taorunner")
    for run_id in (OTHER, OURS):
        make(store, run_id)
    for folder in (tmp_path / "precious", tmp_path / "w" / "precious", store.state_dir / "precious"):
        folder.mkdir()
        (folder / "weights.pth").write_text("weights")
    return store


def everything(store: RunStore) -> dict[str, str]:
    root = store.state_dir.parent.parent
    return {
        str(path.relative_to(root)): path.read_text() if path.is_file() else ""
        for path in root.rglob("*")
        if not path.is_symlink()
    }


HOSTILE: list[object] = [
    "../precious", "../../precious", "../../../precious", "..", ".", "", "/", OTHER, f"../runs/{OTHER}",
    f"{OURS}/", f"./{OURS}", f"{OURS}/input", "x\0y", None, 7, ["../../precious"],
]  # fmt: skip


@pytest.mark.parametrize("given", [*HOSTILE, "ABSOLUTE"])
def test_an_id_that_is_not_the_folders_name_removes_nothing(store: RunStore, given: object) -> None:
    written_id = str(store.state_dir.parent.parent / "precious") if given == "ABSOLUTE" else given
    rewrite(store.paths(OURS).record, id=written_id)
    before = everything(store)
    assert [item.record.id for item in prunable(store, keep=0, older=None, at=AT)] == [OTHER]
    with pytest.raises(DamagedRunError) as refused:
        store.find(OURS)
    assert f'the record of run "{OURS}" is damaged: it says "id": ' in refused.value.message
    assert refused.value.hint is not None and f'ls -la "{store.paths(OURS).directory}"' in refused.value.hint
    assert [run.id for run in store.listed()] == [OURS, OTHER]
    assert isinstance(next(store.listed()), DamagedRun)
    assert everything(store) == before


@pytest.mark.parametrize("written_id", [*(text for text in HOSTILE if text != OTHER), "/tmp"])
def test_a_batch_that_is_no_name_is_damage_too(store: RunStore, written_id: object) -> None:
    rewrite(store.paths(OURS).record, batch=written_id, state="RUNNING")
    before = everything(store)
    with pytest.raises(DamagedRunError):
        store.load(OURS)
    assert everything(store) == before


@pytest.mark.parametrize("key", ["project", "experiment"])
@pytest.mark.parametrize("written", [*(text for text in HOSTILE if text != OTHER), "/tmp"])
def test_nor_is_a_project_or_an_experiment_that_is_no_name_believed(
    store: RunStore, key: str, written: object
) -> None:
    rewrite(store.paths(OURS).record, **{key: written})
    with pytest.raises(DamagedRunError) as refused:
        store.load(OURS)
    assert f'is damaged: it says "{key}": ' in refused.value.message


def test_a_nul_in_any_text_is_damage(store: RunStore) -> None:
    for changes in ({"reason": "x\0y"}, {"results_dir": "/w\0"}, {"gpus": ["0", "\0"]}):
        rewrite(
            store.paths(OTHER).record,
            **{**json.loads(store.paths(OURS).record.read_text()), "id": OTHER, **changes},
        )
        with pytest.raises(DamagedRunError):
            store.load(OTHER)


def test_a_damaged_run_of_a_batch_that_is_not_over_is_known(store: RunStore) -> None:
    make(store, running := "20260625-000000-e-train-runs", RunState.RUNNING)
    store.open_batches.begin("b", [OURS, running, "gone"])
    rewrite(store.paths(OURS).record, id=OTHER)
    assert [run.id for run in store.open_runs()[1]] == [OURS]
    assert [record.id for record in store.unfinished()] == [running]


def test_a_record_that_was_changed_after_it_was_looked_at_is_not_believed(store: RunStore) -> None:
    record = store.load(OURS)
    rewrite(store.paths(OURS).record, id="../../precious")
    before = everything(store)
    with pytest.raises(DamagedRunError):
        remove_runs(store, [record])
    assert everything(store) == before


def test_a_run_folder_that_is_a_link_is_listed_as_damaged_and_left_alone(store: RunStore) -> None:
    real = store.state_dir / "elsewhere" / OURS
    real.parent.mkdir()
    store.paths(OURS).directory.rename(real)
    store.paths(OURS).directory.symlink_to(real)
    (dangling := store.runs_dir / "20260622-000000-e-train-gone").symlink_to("nowhere")
    before = everything(store)
    assert list(store.listed())[:2] == [
        DamagedRun(
            name,
            f'the record of run "{name}" cannot be read: "{store.runs_dir / name}" is a link, and links are not followed here',
        )
        for name in (dangling.name, OURS)
    ]
    with pytest.raises(DamagedRunError):
        store.find(OURS)
    with pytest.raises(RunStateError, match="is a symbolic link"):
        remove_folder(store.runs_dir, OURS)
    assert everything(store) == before and store.paths(OURS).directory.is_symlink()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_record_that_is_no_file_is_not_followed(store: RunStore, kind: str) -> None:
    path = store.paths(OURS).record
    path.rename(target := store.state_dir / "record.json")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(DamagedRunError if kind == "link" else RunStateError):
        store.load(OURS)


def test_links_inside_a_run_go_and_what_they_lead_to_stays(store: RunStore) -> None:
    precious = store.state_dir / "precious"
    folder = store.paths(OURS).directory
    (folder / "input" / "to_folder").symlink_to(precious)
    (folder / "to_file").symlink_to(precious / "weights.pth")
    (folder / "up").symlink_to("../..")
    (folder / "other").symlink_to(f"../{OTHER}")
    record = store.load(OURS)
    before = {path: text for path, text in everything(store).items() if OURS not in path}
    remove_runs(store, [record])
    assert everything(store) == before


def test_nothing_is_removed_through_a_runs_folder_that_is_a_link(store: RunStore) -> None:
    record = store.load(OURS)
    store.runs_dir.rename(moved := store.state_dir / "precious" / "runs")
    store.runs_dir.symlink_to(moved)
    before = everything(store)
    with pytest.raises(RunStateError, match="is a symbolic link"):
        remove_runs(store, [record])
    assert everything(store) == before


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/tmp", "a/b", ".hidden", "x\0"])
def test_no_path_is_made_of_what_is_no_name(store: RunStore, name: str) -> None:
    steps: list[Callable[[], object]] = [
        lambda: store.paths(name),
        lambda: store.batch_paths(name),
        lambda: store.load(name),
        lambda: remove_folder(store.runs_dir, name),
        lambda: store.open_batches.end(name),
    ]
    before = everything(store)
    for step in steps:
        with pytest.raises(RunStateError):
            step()
    assert everything(store) == before


@pytest.mark.parametrize("runs", [[""], ["."], [".."], ["../precious"], ["/tmp"], [OURS], "x", {"": 1}, 5])
def test_an_interrupted_batch_undoes_only_what_is_its_own(store: RunStore, runs: object) -> None:
    """``.taorunner/open/<batch>`` names the runs to undo: also the empty name, which would be the folder of all runs."""
    store.save(
        RunRecord(
            id=OURS, batch="another", project="p", experiment="e", action="train", backend="local",
            state=RunState.RUNNING, queued_at=AT,
        )
    )  # fmt: skip
    store.open_batches.begin("b1", [])
    store.open_batches.handed_over("b1")
    (store.state_dir / "open" / "b1").write_text(json.dumps(runs))
    before = {path: text for path, text in everything(store).items() if not path.endswith("open/b1")}
    assert adopt(store, "b1") is False
    assert everything(store) == before


def test_half_a_run_of_an_interrupted_batch_goes_without_following_a_link(store: RunStore) -> None:
    half, linked = "20260623-000000-e-train-half", "20260624-000000-e-train-link"
    store.paths(half).input_dir.mkdir(parents=True)
    store.paths(linked).directory.symlink_to(store.state_dir / "precious")
    store.open_batches.begin("b1", [half, linked])
    store.open_batches.handed_over("b1")
    assert adopt(store, "b1") is False
    assert not store.paths(half).directory.exists()
    assert (store.state_dir / "precious" / "weights.pth").read_text() == "weights"


@pytest.mark.parametrize(
    "body",
    [
        {"id": "../../precious", "runs": [OURS]}, {"id": "b2", "runs": [OURS]}, {"runs": [OURS]},
        {"id": "b", "runs": ["../../precious"]}, {"id": "b", "runs": [""]}, {"id": "b", "runs": "x"}, [], "b", None,
    ],
)  # fmt: skip
def test_a_damaged_batch_is_left_alone_and_its_runs_are_not_ended(store: RunStore, body: object) -> None:
    make(store, running := "20260625-000000-e-train-runs", RunState.RUNNING)
    store.open_batches.begin("b", [running])
    store.open_batches.handed_over("b")
    store.batch_paths("b").directory.mkdir(parents=True)
    store.batch_paths("b").batch.write_text(json.dumps(body))
    before = everything(store)
    with pytest.raises(ValueError, match="is damaged"):
        store.load_batch("b")
    assert adopt(store, "b") is False
    remove_runs(store, [store.load(OTHER)])
    after = {path: text for path, text in before.items() if OTHER not in path}
    assert everything(store) == after
    assert [record.id for record in store.unfinished()] == [running]


def test_a_batch_folder_that_is_a_link_is_not_removed(store: RunStore) -> None:
    store.batches_dir.mkdir()
    elsewhere = store.state_dir / "precious"
    (elsewhere / "batch.json").write_text(json.dumps({"id": "b", "runs": [OTHER, OURS]}))
    store.batch_paths("b").directory.symlink_to(elsewhere)
    remove_runs(store, [store.load(OTHER), store.load(OURS)])
    assert sorted(path.name for path in elsewhere.iterdir()) == ["batch.json", "weights.pth"]


def test_a_lock_that_is_a_link_is_not_opened(store: RunStore) -> None:
    """Taking it would have cut the file behind it to nothing."""
    weights = store.state_dir / "precious" / "weights.pth"
    store.batch_paths("b").directory.mkdir(parents=True)
    store.batch_paths("b").lock.symlink_to(weights)
    record = make(store, "20260625-000000-e-train-runs", RunState.RUNNING)
    for step in (lambda: mark_lost(store, record), lambda: owning(store.batch_paths("b")).__enter__()):
        with pytest.raises(Exception, match="cannot be opened"):
            step()
    assert weights.read_text() == "weights"


def test_events_are_not_written_through_a_link(store: RunStore) -> None:
    weights = store.state_dir / "precious" / "weights.pth"
    store.paths(OURS).events.symlink_to(weights)
    store.repair_events(OURS)
    finished = RunFinished(run=OURS, at=AT + timedelta(seconds=1), state=RunState.LOST, reason="x")
    with pytest.raises(OSError, match="is a link"):
        store.append_events(OURS, [finished])
    assert weights.read_text() == "weights"
