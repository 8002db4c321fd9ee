"""Records, checkpoints and other results of earlier actions: a note until the start, which names the command to run first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from launch_workspaces import good_workspace

from taorunner.errors import Finding, Severity
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace

CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})


def started(root: Path, action: str = "train", *, dry_run: bool = False) -> list[Finding]:
    request = ActionRequest(action, ("e1",), dry_run=dry_run)
    return list(plan_action(Workspace(root), "p", request, CALLER).findings)


def validated(root: Path) -> list[Finding]:
    return validate_projects(Workspace(root), ["p"], {"HOME": "/nowhere"})


def clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("head", "records", "shown"),
    [
        ("detectnet_v2", "data/tfrecords_e1", "data/tfrecords_e1/tfrecord-fold*"),
        ("ssd", "data/tfrecords_e1", "data/tfrecords_e1/tfrecord-fold*"),
        ("efficientdet_tf2", "models/e1/dataset_convert", "models/e1/dataset_convert/train-*"),
    ],
)
def test_records_that_are_not_there_are_a_note_until_the_start(
    head: str, records: str, shown: str, tmp_path: Path
) -> None:
    root = good_workspace(tmp_path / "ws", head)
    clear(root / "projects/p" / records)
    for findings in (validated(root), started(root, dry_run=True)):
        notes = [one for one in findings if one.code == "not-made-yet"]
        assert notes and {one.severity for one in notes} == {Severity.INFO}
        assert notes[0].message == f"{shown} is not there yet: dataset_convert makes it"
        assert not any(one.is_error for one in findings)
    refused = [one for one in started(root) if one.is_error]
    assert {one.code for one in refused} == {"not-made-yet"}
    assert refused[0].hint == "taorunner convert e1 --then train" and refused[0].line is not None


def test_a_folder_of_records_without_any_is_no_note_of_another_network(tmp_path: Path) -> None:
    root = good_workspace(tmp_path / "ws", "rtdetr")
    assert validated(root) == started(root) == []


def test_some_records_may_be_empty_and_not_all(tmp_path: Path) -> None:
    """A conversion of fewer images than shards leaves empty ones."""
    root = good_workspace(tmp_path / "ws", "detectnet_v2")
    first, *rest = sorted((root / "projects/p/data/tfrecords_e1").iterdir())
    first.write_bytes(b"")
    assert not any(one.is_error for one in started(root))
    for path in rest:
        path.write_bytes(b"")
    (finding,) = [one for one in started(root) if one.is_error]
    assert (finding.code, finding.hint) == ("empty-input", "taorunner convert e1 --overwrite")


def test_a_conversion_looks_at_the_labels_first(tmp_path: Path) -> None:
    root = good_workspace(tmp_path / "ws", "detectnet_v2")
    label = root / "projects/p/data/parts/train/labels/000.txt"
    label.write_text("bolt 0.00 0 0.00 200.00 10.00 100.00 110.00 0 0 0 0 0 0 0\n")
    found = [started(root, action) for action in ("convert", "train")]
    assert [[one.code for one in each if one.is_error] for each in found] == [
        ["box-inverted", "output-exists"],
        ["box-inverted"],
    ]


def test_the_same_path_in_two_specs_is_reported_once(tmp_path: Path) -> None:
    root = good_workspace(tmp_path / "ws", "detectnet_v2")
    clear(root / "projects/p/data/tfrecords_e1")
    for name in ("train.txt", "convert.txt"):
        spec = root / "projects/p/specs/e1" / name
        spec.write_text(spec.read_text().replace('"$dataset_raw"', '"$dataset_raw/all"'))
    found = [one for one in validated(root) if one.code == "missing-input"]
    assert [one.file.name for one in found if one.file is not None] == ["train.txt"]


def test_one_unknown_variable_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    wanted = {"unknown-variable", "unknown-key", "too-few-classes"}
    root = good_workspace(tmp_path / "ws", "rtdetr")
    spec = root / "projects/p/specs/e1/train.yaml"
    spec.write_text(
        spec.read_text()
        .replace("backbone: resnet_50", "backbone: $bakbone\n  bckbone: 1")
        .replace(": 3", ": 1")
    )
    for findings in (validated(root), started(root), started(root, dry_run=True)):
        assert {one.code for one in findings if one.is_error} == wanted


def test_one_unknown_variable_in_protobuf_text(tmp_path: Path) -> None:
    root = good_workspace(tmp_path / "ws", "unet")
    spec = root / "projects/p/specs/e1/train.txt"
    text = spec.read_text().replace("num_layers: 18", "num_layers: $layers\n  layrs: 1")
    spec.write_text(text.replace("batch_size: 4", 'batch_size: "four"'))
    for findings in (validated(root), started(root)):
        assert {one.code for one in findings if one.is_error} == {
            "unknown-variable",
            "unknown-key",
            "wrong-type",
        }


def test_what_force_passed_is_in_the_record(tmp_path: Path) -> None:
    from taorunner.events import now
    from taorunner.runs.state.batch_creation import create_batch
    from taorunner.runs.state.store import RunStore

    root = good_workspace(tmp_path / "ws", "rtdetr")
    spec = root / "projects/p/specs/e1/train.yaml"
    spec.write_text(spec.read_text().replace(": 3", ": 1"))
    request = ActionRequest("train", ("e1",), force=True)
    planned = plan_action(Workspace(root), "p", request, CALLER)
    (item,) = planned.items
    store = RunStore(root / ".taorunner")
    create_batch(store, [(item.site.run_id, item.plan)], now(), environ={})
    record = json.loads((item.site.run_dir / "record.json").read_text())
    assert record["forced"] == ["too-few-classes"]
    assert store.load(item.site.run_id).forced == ("too-few-classes",)


def test_a_checkpoint_of_no_training_yet_is_a_note_until_the_start(tmp_path: Path) -> None:
    root = good_workspace(tmp_path / "ws", "detectnet_v2")
    shown = [one for one in started(root, "evaluate", dry_run=True) if one.code == "checkpoint-missing"]
    refused = [one for one in started(root, "evaluate") if one.code == "checkpoint-missing"]
    assert [one.severity for one in (*shown, *refused)] == [Severity.INFO, Severity.ERROR]
    assert shown[0].hint == refused[0].hint == "taorunner train e1"
    request = ActionRequest("evaluate", ("e1",), dry_run=True)
    (item,) = plan_action(Workspace(root), "p", request, CALLER).items
    assert "/workspace/projects/p/models/e1/CHECKPOINT-OF-THE-TRAINING" in item.plan.argv


def test_an_evaluation_of_an_untouched_project_names_the_conversion_first(tmp_path: Path) -> None:
    root = good_workspace(tmp_path / "ws", "detectnet_v2")
    missing = [one for one in started(root, "evaluate") if one.code == "checkpoint-missing"]
    assert [one.hint for one in missing] == ["taorunner train e1"]  # its records are there
    clear(root / "projects/p/data/tfrecords_e1")
    refused = {one.code: one.hint for one in started(root, "evaluate")}
    assert refused["checkpoint-missing"] == refused["not-made-yet"] == "taorunner convert e1 --then train"


def test_records_elsewhere_that_are_not_there_name_the_conversion(tmp_path: Path) -> None:
    """As in a spec that came from TAO's launcher."""
    root = good_workspace(tmp_path / "ws", "detectnet_v2")
    spec = root / "projects/p/specs/e1/train.txt"
    spec.write_text(spec.read_text().replace("$tfrecords/", "/workspace/projects/p/data/old/"))
    (finding,) = [one for one in started(root) if one.code == "missing-input"]
    assert finding.hint is not None and finding.hint.endswith(
        "; taorunner convert e1 makes those of the experiment below $dataset_tfrecord"
    )
