"""``run.lock``: what a plan names is found and hashed, secrets are left out, and what a container wrote is bounded."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.container_options import Mount
from taorunner.events import RunState
from taorunner.planning.model.plan import RenderedSpec, RunPlan
from taorunner.runs.inputs.file_list import changes, listed, remove_unused_lists, save_list, saved_list
from taorunner.runs.inputs.run_lock import RunLock, read_lock
from taorunner.runs.inputs.taking import complete_lock, lock_of, take_lock
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

RUN = "20261120-100000-e-train-aaaaa1"
SPEC = """results_dir: /workspace/projects/example_01/models/e
encryption_key: s3cret-value
dataset:
  train: {image_dir: /workspace/projects/example_01/data/d/train, json_file: /workspace/projects/example_01/data/d/a.json}
  val: ["/workspace/projects/example_01/data/d/val/*.tfrecord", /workspace/projects/example_01/data/d/train/deep]
model: {pretrained_backbone_path: /workspace/repositories/r/r_v1/w.pth, out: /workspace/projects/example_01/models/e/x.onnx}
train: {seed: 7, note: "has s3cret-value in it"}
"""


@pytest.fixture
def planned(workspace_factory: Callable[..., Path], plan_of: Callable[[Path], RunPlan]) -> RunPlan:
    root = workspace_factory(
        {"experiments": {"e": {"head": "dino", "dataset": "d"}}},
        data={"d/train/1.jpg": "a", "d/train/deep/2.jpg": "bb", "d/a.json": "{}", "d/val/x.tfrecord": "c", "d/other/3.jpg": "z"},
    )  # fmt: skip
    weights = root / "repositories/r/r_v1/w.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    return plan_of(root)


@pytest.fixture
def plan_of() -> Callable[[Path], RunPlan]:
    from taorunner.catalog.load import load_network

    def plan(root: Path) -> RunPlan:
        project = root / "projects/example_01"
        contract = load_network("dino").contract("train")
        inside = "/workspace/projects/example_01/models/e"
        return RunPlan(
            project="example_01", experiment="e", action="train", backend="docker", contract=contract,
            argv=("dino", "train", "-e", "/run/spec.yaml", "train.optim.lr=0.0001", "encryption_key=@TAORUNNER_SECRET_k@"),
            workspace=root, results_dir=project / "models/e", results_inside=inside, run_inside="/run",
            mounts=(Mount(root / "projects", "/workspace/projects"), Mount(root / "repositories", "/workspace/repositories")),
            spec=RenderedSpec(project / "specs/e/train.yaml", "train.yaml", SPEC, "/run/train.yaml"),
        )  # fmt: skip

    return plan


def test_a_lock_has_what_the_plan_names(planned: RunPlan) -> None:
    store = RunStore(planned.workspace / ".taorunner")
    lock = lock_of(store, planned)
    (data,), (weights,) = lock.data, lock.weights
    assert (data.name, data.paths, data.files, data.images) == ("d", ("a.json", "train", "val"), 4, 2)
    assert (weights.path, weights.bytes) == ("repositories/r/r_v1/w.pth", 7)
    assert (
        weights.sha256 == "9a129a1ddd9b3ef6cb3d6e2ed4f9cca1d2ab7ff4ff2cc4a4df3fbc4b17c8fe4d"
        or len(weights.sha256 or "") == 64
    )
    assert (lock.seed, lock.spec["train.optim.lr"], lock.spec["results_dir"]) == ("7", 0.0001, "$results_dir")
    assert lock.spec["model.out"] == "$results_dir/x.onnx"
    assert "encryption_key" not in lock.spec
    kept = saved_list(store, data.fingerprint)
    assert kept is not None and [row[0] for row in kept.rows] == [
        "a.json",
        "train/1.jpg",
        "train/deep/2.jpg",
        "val/x.tfrecord",
    ]


def test_each_change_of_the_data_is_found(planned: RunPlan) -> None:
    folder = planned.workspace / "projects/example_01/data/d"
    before = listed(folder, ["a.json", "train"])
    (folder / "train/1.jpg").write_text("changed")
    (folder / "train/new.jpg").write_text("n")
    (folder / "train/deep/2.jpg").unlink()
    os.utime(folder / "a.json", (1, 1))  # compared by its content
    found = changes(before, listed(folder, ["a.json", "train"]))
    assert (found.added, found.removed, found.changed, found.as_before) == (
        ("train/new.jpg",), ("train/deep/2.jpg",), ("train/1.jpg",), 1,
    )  # fmt: skip
    (folder / "a.json").write_text("[]")
    assert changes(before, listed(folder, ["a.json"])).changed == ("a.json",)


def test_links_and_odd_files_of_a_dataset_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/1.jpg").write_text("x")
    data = tmp_path / "d"
    data.mkdir()
    (data / "folder").symlink_to(tmp_path / "outside")
    (data / "2.jpg").symlink_to(tmp_path / "outside/1.jpg")
    (data / "gone").symlink_to("nowhere")
    (data / "loop").symlink_to(".")
    os.mkfifo(data / "pipe")
    paths = [row[0] for row in listed(data, ["."]).rows]
    assert paths == ["2.jpg", f"folder -> {tmp_path / 'outside'}", "loop -> ."]
    assert [row[0] for row in listed(data, ["folder"]).rows] == ["folder/1.jpg"]  # named, so it is followed


ANOTHER_LIST = gzip.compress(b'["2.jpg",1,0,null]\n', mtime=0)


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", b"\x1f\x8b\x08\x00", pytest.param(ANOTHER_LIST, id="another list")]
)
def test_a_damaged_list_counts_as_none(tmp_path: Path, content: bytes) -> None:
    store = RunStore(tmp_path / ".taorunner")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/1.jpg").write_text("x")
    fingerprint = save_list(store, listed(tmp_path / "d", ["."]))
    assert saved_list(store, fingerprint) is not None
    (tmp_path / f".taorunner/file-lists/{fingerprint}.gz").write_bytes(content)
    assert saved_list(store, fingerprint) is None
    assert saved_list(store, "../../etc") is None


def test_the_first_attempt_has_the_inputs_and_the_end_completes_them(planned: RunPlan) -> None:
    store = RunStore(planned.workspace / ".taorunner")
    store.paths(RUN).directory.mkdir(parents=True)
    take_lock(store, RUN, planned)
    first = read_lock(store, RUN)
    take_lock(store, RUN, replace(planned, argv=("dino", "train", "resumed=true")))
    assert read_lock(store, RUN) == first
    now = datetime.now(timezone.utc)
    record = RunRecord(
        id=RUN, batch="b", project="example_01", experiment="e", action="train", backend="docker",
        state=RunState.SUCCEEDED, queued_at=now - timedelta(minutes=1), started_at=now - timedelta(minutes=1),
        launched_at=now - timedelta(minutes=1), image_digest="sha256:ab", gpu_models=("H100",), driver="570.86",
    )  # fmt: skip
    written = planned.results_dir / "train/experiment.yaml"
    written.parent.mkdir(parents=True)
    written.write_text(
        "encryption_key: s3cret-value\ntrain: {lr: 0.1, note: has s3cret-value in it}\nmodel: {n: 3}\n"
    )
    complete_lock(store, record, planned, ["s3cret-value"])
    lock = read_lock(store, RUN)
    assert lock is not None
    assert (lock.resolved, lock.image_digest, lock.gpus, lock.driver) == (
        {"train.lr": 0.1, "model.n": 3}, "sha256:ab", ("H100",), "570.86",
    )  # fmt: skip
    assert "s3cret-value in" not in json.dumps(lock.resolved)


@pytest.mark.parametrize("kind", ["link", "large", "old", "no yaml", "pipe"])
def test_what_tao_wrote_down_is_read_only_as_a_file_of_this_run(planned: RunPlan, kind: str) -> None:
    store = RunStore(planned.workspace / ".taorunner")
    store.paths(RUN).directory.mkdir(parents=True)
    take_lock(store, RUN, planned)
    now = datetime.now(timezone.utc)
    record = RunRecord(
        id=RUN, batch="b", project="example_01", experiment="e", action="train", backend="docker",
        state=RunState.SUCCEEDED, queued_at=now, started_at=now, launched_at=now,
    )  # fmt: skip
    written = planned.results_dir / "train/experiment.yaml"
    written.parent.mkdir(parents=True)
    if kind == "link":
        (planned.workspace / "secret.yaml").write_text("a: 1\n")
        written.symlink_to(planned.workspace / "secret.yaml")
    elif kind == "pipe":
        os.mkfifo(written)
    else:
        written.write_text({"large": "a: 1\n" * 300_000, "old": "a: 1\n"}.get(kind, "{["))
    if kind == "old":
        os.utime(written, (1, 1))
    complete_lock(store, record, planned, [])
    lock = read_lock(store, RUN)
    assert lock is not None and lock.resolved is None


@pytest.mark.parametrize(
    "text",
    ["".join(f"k{number}: *a\n" for number in range(500)), "b: [" + "*a, " * 500 + "*a]"],
    ids=["keys", "list"],
)
def test_what_tao_wrote_down_is_left_out_where_it_would_fill_the_disk(planned: RunPlan, text: str) -> None:
    assert completed(planned, f"a: &a {'x' * 9000}\n{text}", []).resolved is None


def test_a_text_with_many_anchors_is_read_in_no_time(planned: RunPlan) -> None:
    began_s = time.process_time()
    assert completed(planned, "".join(f"key{number}: &x{number} 1\n" for number in range(9000)), []).resolved
    assert time.process_time() - began_s < 5  # it was 16 s: each searched all others for its end


def test_what_tao_wrote_down_holds_a_secret_in_no_form(planned: RunPlan) -> None:
    secret = "s3cret/value+15"
    coded = b64encode(f"user:{secret}".encode()).decode()
    text = f"a: {coded}\nb: {secret.encode().hex()}\nc_{secret.encode().hex()}: 1\nd: [x, {coded}]\ne: 5\n"
    assert completed(planned, text, [secret]).resolved == {"e": 5}


def completed(planned: RunPlan, written: str, secrets: list[str]) -> RunLock:
    """The lock of an ended run that wrote this as its specification."""
    store = RunStore(planned.workspace / ".taorunner")
    store.paths(RUN).directory.mkdir(parents=True)
    take_lock(store, RUN, planned)
    now = datetime.now(timezone.utc)
    record = RunRecord(
        id=RUN, batch="b", project="example_01", experiment="e", action="train", backend="docker",
        state=RunState.SUCCEEDED, queued_at=now, started_at=now, launched_at=now,
    )  # fmt: skip
    path = planned.results_dir / "train/experiment.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(written)
    complete_lock(store, record, planned, secrets)
    lock = read_lock(store, RUN)
    assert lock is not None
    return lock


def test_lists_that_no_run_names_are_removed_after_an_hour(planned: RunPlan) -> None:
    store = RunStore(planned.workspace / ".taorunner")
    store.paths(RUN).directory.mkdir(parents=True)
    take_lock(store, RUN, planned)
    lock = read_lock(store, RUN)
    unused = save_list(store, listed(planned.workspace, ["projects"]))
    assert lock is not None and unused is not None
    now_s = time.time()
    assert remove_unused_lists(store, now_s) == 0
    assert remove_unused_lists(store, now_s + 4000) == 1
    assert saved_list(store, unused) is None
    assert saved_list(store, lock.data[0].fingerprint) is not None
    shutil.rmtree(store.paths(RUN).directory)
    assert remove_unused_lists(store, now_s + 4000) == 1
