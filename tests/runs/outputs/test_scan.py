"""What a run left: found at its end, recorded, and compared with what is there later."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.outputs import scan
from taorunner.runs.outputs.recorded import Output, RunResults, recorded_results, save_results
from taorunner.runs.outputs.scan import results_folder, scan_results
from taorunner.runs.state.store import RunStore

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
Write = Callable[..., Path]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "projects/p/models/e"


@pytest.fixture
def write(results: Path) -> Write:
    """A file of the results, written an hour after the run began."""

    def make(name: str, content: bytes = b"weights", at: datetime = START + timedelta(hours=1)) -> Path:
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (at.timestamp(), at.timestamp()))
        return path

    return make


def plan(results: Path, action: str = "train", network: str = "tinydet") -> RunPlan:
    contract = load_network(network).contract(action)
    artifacts = tuple(
        glob.replace("{export_file}", "export/model.onnx").replace(
            "{engine_file}", "gen_trt_engine/model.engine"
        )
        for glob in contract.verdict.artifacts
    )
    return RunPlan(
        project="p", experiment="e", action=action, backend="local", argv=(),
        contract=replace(contract, verdict=replace(contract.verdict, artifacts=artifacts)),
        workspace=results.parents[3], results_dir=results, results_inside=str(results), run_inside="/nowhere",
    )  # fmt: skip


def shapes(found: RunResults) -> list[tuple[str, str, int]]:
    return [(one.path.name, one.kind, one.bytes) for one in found.outputs]


def test_a_training_left_its_checkpoints_and_what_is_beside_them(results: Path, write: Write) -> None:
    write("train/model_epoch_001_step_00020.npz", b"second")
    write("train/model_epoch_000_step_00010.npz", b"first")
    status = write("train/status.json", b"{}")
    write("train/experiment.yaml", b"a: 1\n")
    write("export/model.onnx")
    found = scan_results(plan(results), START)
    assert found.folder == results / "train"
    assert shapes(found) == [
        ("model_epoch_000_step_00010.npz", "checkpoint", 5),
        ("model_epoch_001_step_00020.npz", "checkpoint", 6),
        ("experiment.yaml", "spec", 5),
        ("status.json", "status", 2),
    ]
    assert [one.epoch for one in found.checkpoints] == [1, 2]
    assert [one.sha256 for one in found.checkpoints] == [None, None], "checkpoints are large: not hashed"
    assert found.outputs[3].sha256 == hashlib.sha256(status.read_bytes()).hexdigest()


def test_what_was_there_before_the_run_is_not_its_own(results: Path, write: Write) -> None:
    write("train/model_epoch_000_step_00010.npz", at=START - timedelta(hours=1))
    write("train/model_epoch_001_step_00020.npz")
    write("train/experiment.yaml", at=START - timedelta(days=1))
    assert [name for name, _, _ in shapes(scan_results(plan(results), START))] == [
        "model_epoch_001_step_00020.npz"
    ]


@pytest.mark.parametrize(
    ("action", "network", "name", "kind"),
    [
        ("export", "tinydet", "export/model.onnx", "onnx"),
        ("gen_trt_engine", "rtdetr", "gen_trt_engine/model.engine", "engine"),
    ],
)
def test_models_and_engines(
    results: Path, write: Write, action: str, network: str, name: str, kind: str
) -> None:
    written = write(name, b"model")
    found = scan_results(plan(results, action, network), START)
    digest = hashlib.sha256(b"model").hexdigest()
    expected = Output(written, kind, 5, digest, modified_ns=written.stat().st_mtime_ns)
    assert found == RunResults(results / name.split("/")[0], (expected,))


def test_annotated_images_and_labels_are_one_output_each(results: Path, write: Write) -> None:
    for number in range(3):
        write(f"inference/images_annotated/{number}.png", b"12")
        write(f"inference/labels/{number}.txt", b"1")
    found = scan_results(plan(results, "inference"), START)
    assert [(one.path.name, one.kind, one.files, one.bytes) for one in found.outputs] == [
        ("images_annotated", "images", 3, 6), ("labels", "labels", 3, 3),
    ]  # fmt: skip


def test_times_and_sizes_that_no_record_takes_lose_no_record(
    results: Path, write: Write, tmp_path: Path
) -> None:
    """On disks that take them, such as those in memory."""
    late = write("train/model_epoch_000_step_00010.npz")
    with suppress(OSError):
        os.utime(late, ns=(2**62 * 10**9, 2**62 * 10**9))
    for number in range(3):
        with suppress(OSError):
            os.truncate(write(f"train/folder/{number}"), 2**62)
    store = RunStore(tmp_path / "state")
    store.paths("r").directory.mkdir(parents=True)
    found = scan_results(plan(results), START)
    save_results(store, "r", found)
    assert recorded_results(store, "r") == found
    assert [name for name, _, _ in shapes(found)] == ["model_epoch_000_step_00010.npz", "folder"]
    assert all(one.is_there for one in found.outputs)


def test_links_pipes_and_what_leads_out_are_left_out(results: Path, write: Write, tmp_path: Path) -> None:
    secret = tmp_path.parent / f"{tmp_path.name}-secret"
    secret.mkdir()
    (secret / "model.onnx").write_bytes(b"secret")
    (secret / "status.json").write_bytes(b"secret")
    write("export/good.onnx")
    (results / "export/linked.onnx").symlink_to(secret / "model.onnx")
    (results / "export/folder").symlink_to(secret)
    os.mkfifo(results / "export/pipe.onnx")
    assert [name for name, _, _ in shapes(scan_results(plan(results, "export"), START))] == ["good.onnx"]
    (results / "train").symlink_to(secret)
    assert scan_results(plan(results), START).outputs == ()


def test_a_file_above_the_limit_is_not_hashed(results: Path, write: Write) -> None:
    write("export/a.onnx", b"12345678")
    write("export/b.onnx", b"")
    os.truncate(results / "export/b.onnx", scan.HASHED_BYTES - 7)  # with the first one more than the limit
    found = scan_results(plan(results, "export"), START)
    assert [one.sha256 is not None for one in found.outputs] == [True, False]


def test_an_action_without_a_folder_of_its_own_has_no_folders_of_others(results: Path, write: Write) -> None:
    made = plan(results, "train", "detectnet_v2")
    assert results_folder(made) == results
    write("weights/model.hdf5")
    write("status.json", b"{}")
    write("export/model.etlt")
    assert "export" not in [name for name, _, _ in shapes(scan_results(made, START))]


def test_without_results_nothing_is_found(results: Path) -> None:
    assert scan_results(plan(results), START) == RunResults(results / "train")


def test_what_was_recorded_is_read_again_and_compared(results: Path, write: Write, tmp_path: Path) -> None:
    store = RunStore(tmp_path / ".taorunner")
    strange = write(os.fsdecode(b"export/\xff.onnx"))
    model = write("export/model.onnx")
    found = scan_results(plan(results, "export"), START)
    store.paths("r").directory.mkdir(parents=True)
    save_results(store, "r", found)
    assert recorded_results(store, "r") == found and found.in_place == found
    model.write_bytes(b"WEIGHTS")  # of the same name and size, by a later run
    strange.unlink()
    assert found.in_place == RunResults(results / "export")


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"results": 5}', '{"results": null, "outputs": [{}]}'])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    store = RunStore(tmp_path / ".taorunner")
    store.paths("r").directory.mkdir(parents=True)
    store.paths("r").outputs.write_text(text)
    assert recorded_results(store, "r") is None


def test_the_shape_in_json(tmp_path: Path) -> None:
    checkpoint, model = (
        Output(tmp_path / "a.npz", "checkpoint", 3, epoch=2),
        Output(tmp_path / "m.onnx", "onnx", 4, "ab"),
    )
    assert RunResults(tmp_path, (checkpoint, model)).to_json() == {
        "results": str(tmp_path),
        "checkpoints": [{"path": str(tmp_path / "a.npz"), "epoch": 2, "bytes": 3}],
        "outputs": [
            {"path": str(tmp_path / "a.npz"), "kind": "checkpoint", "bytes": 3, "sha256": None},
            {"path": str(tmp_path / "m.onnx"), "kind": "onnx", "bytes": 4, "sha256": "ab"},
        ],
    }  # fmt: skip
