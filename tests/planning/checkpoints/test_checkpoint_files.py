"""Which file of a training counts as a result: never untrained weights, never one that was cut off."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import load_network
from taorunner.planning.checkpoints.checkpoint_files import (
    checkpoints_of,
    find_checkpoints,
    untrained_leftovers,
)
from taorunner.planning.inputs.earlier_results import earlier_results
from taorunner.planning.inputs.resume import NoResume, find_resume_point, resumed
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, plan_action
from taorunner.progress.file_wholeness import is_torn
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import Workspace

POSE = load_network("pose_classification").contract("train", "7.0.1")
TF2 = load_network("classification_tf2").contract("train", "6.0.0")
FAILED_START = (
    '{"date": "1/1/2026", "time": "1:1:1", "status": "STARTED", "message": "Starting Training Loop."}\n'
)


def archive(weights: int = 4000, inner: bytes = b"") -> bytes:
    """A file as ``torch.save`` lays it out: stored entries, the list of them, the end record."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        file.writestr("archive/data/0", inner or bytes(weights))
        file.writestr("archive/version", b"3\n")
    return buffer.getvalue()


def epoch_record(epoch: int) -> str:
    return f'{{"date": "1/1/2026", "time": "1:1:2", "status": "RUNNING", "epoch": {epoch}, "max_epoch": 4}}\n'


@pytest.fixture
def results(tmp_path: Path) -> Callable[..., Path]:
    def make(files: dict[str, bytes | str], links: dict[str, str] | None = None) -> Path:
        for name, content in files.items():
            path = tmp_path / "results" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        for name, target in (links or {}).items():
            (tmp_path / "results" / name).symlink_to(target)
        return tmp_path / "results"

    return make


def test_weights_of_a_start_that_failed_are_no_checkpoint(results: Callable[..., Path]) -> None:
    folder = results(
        {"train/model_epoch_000_step_00000.pth": archive(), "train/status.json": FAILED_START},
        {"train/pc_model_latest.pth": "model_epoch_000_step_00000.pth"},
    )
    assert find_checkpoints(folder, POSE.checkpoints) == []
    assert find_resume_point(POSE, folder) is None
    assert checkpoints_of(folder, POSE.checkpoints).choose(None) == (
        None,
        f"there is no checkpoint in {folder}: model_epoch_000_step_00000.pth is untrained, TAO wrote it before the first step",
    )
    assert checkpoints_of(folder, POSE.checkpoints).names == ()
    for named in ("model_epoch_000_step_00000", "train/pc_model_latest.pth"):
        assert checkpoints_of(folder, POSE.checkpoints).choose(named) == (
            None, f'"{named}" holds untrained weights: TAO wrote them before the first step',
        )  # fmt: skip


def test_training_after_a_start_that_failed_moves_only_what_that_left(results: Callable[..., Path]) -> None:
    files = {"train/model_epoch_000_step_00000.pth": archive(), "train/status.json": FAILED_START}
    folder = results(files, {"train/pc_model_latest.pth": "model_epoch_000_step_00000.pth"})
    earlier = earlier_results(
        POSE, folder, {}, Mounts(()), experiment="e", overwrite=False,
        network=load_network("pose_classification"),
    )  # fmt: skip
    assert earlier.findings == ()
    assert earlier.set_aside == (
        folder / "train/model_epoch_000_step_00000.pth", folder / "train/pc_model_latest.pth",
    )  # fmt: skip


def test_untrained_weights_of_another_action_are_not_found_by_name(results: Callable[..., Path]) -> None:
    folder = results(
        {
            "train/model_epoch_001_step_00006.pth": archive(),
            "inference/model_epoch_000_step_00000.pth": archive(),
        }
    )
    assert (
        checkpoints_of(folder, POSE.checkpoints).choose(None)[0]
        == folder / "train/model_epoch_001_step_00006.pth"
    )
    assert checkpoints_of(folder, POSE.checkpoints).choose("model_epoch_000_step_00000")[0] is None
    assert untrained_leftovers(folder, POSE.checkpoints) == ()


@pytest.mark.parametrize(
    ("network", "left", "mark"),
    [
        ("mask_rcnn", "model.epoch-0.tlt", "file"),
        ("efficientdet_tf1", "model.epoch-0.tlt", "file"),
        ("detectnet_v2", "model.epoch-0.ckzip", "file"),
        ("unet", "model.epoch-0.tlt", "folder"),
    ],
)
def test_step_0_of_tensorflow_1_is_no_checkpoint(
    results: Callable[..., Path], network: str, left: str, mark: str
) -> None:
    contract = load_network(network).contract("train", "5.0.0")
    folder = results({f"{left}/model.ckpt-0.index" if mark == "folder" else left: archive()})
    assert find_checkpoints(folder, contract.checkpoints) == []
    assert find_resume_point(contract, folder) is None
    path, problem = checkpoints_of(folder, contract.checkpoints).choose(None)
    assert (path, problem) == (
        None, f"there is no checkpoint in {folder}: {left} is untrained, TAO wrote it before the first step",
    )  # fmt: skip
    earlier = earlier_results(
        contract, folder, {}, Mounts(()), experiment="e", overwrite=False, network=load_network(network)
    )
    assert (earlier.findings, earlier.set_aside) == ((), (folder / left,))
    trained = left.replace("epoch-0", "epoch-10")
    folder = results({f"{trained}/model.ckpt-10.index" if mark == "folder" else trained: archive()})
    point = find_resume_point(contract, folder)
    assert point is not None and (point.checkpoint, point.epoch) == (folder / trained, 10)


def test_steps_that_only_begin_with_zeros_are_trained(results: Callable[..., Path]) -> None:
    folder = results(
        {"train/model_epoch_000_step_00003.pth": archive(), "train/model_epoch_001_step_00010.pth": "w"}
    )
    assert [path.name for path in find_checkpoints(folder, POSE.checkpoints)] == [
        "model_epoch_000_step_00003.pth", "model_epoch_001_step_00010.pth",
    ]  # fmt: skip


def test_without_an_epoch_record_no_epoch_is_complete(results: Callable[..., Path]) -> None:
    """An exception in the middle of the first epoch leaves a checkpoint of that epoch."""
    folder = results({"train/model_epoch_000_step_00002.pth": archive(), "train/status.json": FAILED_START})
    point = find_resume_point(POSE, folder)
    assert point is not None and (point.epoch, point.is_partial) == (1, True)
    with (folder / "train/status.json").open("a") as file:
        file.write(epoch_record(0))
    point = find_resume_point(POSE, folder)
    assert point is not None and (point.epoch, point.is_partial) == (1, False)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.68, 0.97, 0.999])
@pytest.mark.parametrize(
    ("contract", "name"), [(POSE, "train/model_epoch_00{}_step_00009.pth"), (TF2, "train/b0_00{}.tlt")]
)
def test_a_newest_checkpoint_that_was_cut_off_is_not_chosen(
    contract: Any, name: str, share: float, results: Callable[..., Path]
) -> None:
    whole = archive(inner=archive())  # the end record of an archive in the archive is not the end
    folder = results(
        {name.format(1): whole, name.format(2): whole, name.format(3): whole[: int(len(whole) * share)]}
    )
    assert is_torn(folder / name.format(3)) or not share
    assert checkpoints_of(folder, contract.checkpoints).choose(None)[0] == folder / name.format(2)
    point = find_resume_point(contract, folder)
    assert point is not None and point.checkpoint == folder / name.format(2)
    if not share:  # an empty file is of no format
        return
    path, problem = checkpoints_of(folder, contract.checkpoints).choose(Path(name.format(3)).name)
    assert path is None
    assert (
        problem
        == f'the checkpoint "{Path(name.format(3)).name}" is incomplete: it was cut off while it was written'
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.pth", archive()),
        ("small.pth", archive(1)),
        ("legacy.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(500)),  # torch.save before 1.6
        ("weights.hdf5", b"\x89HDF\r\n\x1a\n" + bytes(500)),
        ("encrypted.tlt", bytes(range(1, 256))),
        ("points.pth", b"PK" + bytes(500)),
        ("saved_model.bin", archive()[:-30]),  # not ours to judge
    ],
)
def test_what_is_whole_or_of_another_format_is_not_called_torn(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert not is_torn(tmp_path / name)


def test_an_archive_with_a_comment_or_in_zip64_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(archive())
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"PK\x05\x06 " * 40
    assert not is_torn(path)
    end = archive()[-22:]
    path.write_bytes(archive()[:-22] + b"PK\x06\x07" + bytes(16) + end[:12] + b"\xff" * 8 + end[20:])
    assert not is_torn(path)


def test_a_small_whole_archive_is_as_good_as_a_large_one(results: Callable[..., Path]) -> None:
    folder = results(
        {f"train/model_epoch_00{n}_step_0000{n + 1}.pth": archive(9000 if n < 2 else 100) for n in range(3)}
    )
    chosen = checkpoints_of(folder, POSE.checkpoints).choose(None)[0]
    assert chosen == folder / "train/model_epoch_002_step_00003.pth"


def test_the_link_is_followed_when_it_points_at_a_whole_one(results: Callable[..., Path]) -> None:
    files = {f"train/model_epoch_00{n}_step_0000{n + 1}.pth": archive() for n in range(3)}
    folder = results(files, {"train/pc_model_latest.pth": "model_epoch_001_step_00002.pth"})
    assert (
        checkpoints_of(folder, POSE.checkpoints).choose(None)[0]
        == folder / "train/model_epoch_001_step_00002.pth"
    )
    (folder / "train/model_epoch_001_step_00002.pth").write_bytes(archive()[:-40])
    assert (
        checkpoints_of(folder, POSE.checkpoints).choose(None)[0]
        == folder / "train/model_epoch_002_step_00003.pth"
    )


def test_where_every_checkpoint_is_torn_it_is_said(results: Callable[..., Path]) -> None:
    folder = results({"train/model_epoch_000_step_00003.pth": archive()[:2000]})
    torn = folder / "train/model_epoch_000_step_00003.pth"
    assert checkpoints_of(folder, POSE.checkpoints).choose(None) == (
        None, f"{torn} is incomplete: it was cut off while it was written",
    )  # fmt: skip


SPEC = "results_dir: $results_dir\ntrain:\n  num_epochs: 4\nevaluate:\n  checkpoint: x\n"


@pytest.fixture
def plan(workspace_factory: Callable[..., Path]) -> Callable[..., Planned]:
    def make(action: str, files: dict[str, bytes], links: dict[str, str], **wishes: Any) -> Planned:
        entry = {"head": "pose_classification", "dataset": "d", "release": "7.0.1"}
        ws = Workspace(
            workspace_factory(
                {"experiments": {"e1": entry}},
                specs={"e1/train.yaml": SPEC, "e1/evaluate.yaml": SPEC, "e1/export.yaml": SPEC},
                data={"d/": ""},
            )
        )
        folder = ws.root / "projects/example_01/models/e1"
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        for name, target in links.items():
            (folder / name).symlink_to(target)
        caller = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
        request = ActionRequest(action, ("e1",), **wishes)
        return plan_action(ws, "example_01", request, caller, lambda n, _a: Site(f"run-{n}", ws.runs_dir / n))

    return make


def said(planned: Planned) -> list[tuple[str, str, str | None]]:
    return [(f.code, f.message, f.hint) for f in planned.findings if f.code.startswith("checkpoint-")]


@pytest.mark.parametrize(
    ("action", "wishes"), [("evaluate", {}), ("export", {}), ("train", {"resume": True})]
)
def test_evaluate_export_and_resume_say_which_one_was_cut_off(
    action: str, wishes: dict[str, Any], plan: Callable[..., Planned]
) -> None:
    files = {
        "train/model_epoch_000_step_00003.pth": archive(),
        "train/model_epoch_001_step_00006.pth": archive()[:3000],
    }
    planned = plan(action, files, {"train/pc_model_latest.pth": "model_epoch_000_step_00003.pth"}, **wishes)
    assert any("model_epoch_000_step_00003.pth" in token for token in planned.items[0].plan.argv)
    assert said(planned) == [
        (
            "checkpoint-torn",
            'the checkpoint "model_epoch_001_step_00006.pth" is incomplete: it was cut off while it was written',
            "model_epoch_000_step_00003.pth is used instead; the disk may have been full",
        )
    ]


def test_resume_after_a_start_that_failed_says_why_not(plan: Callable[..., Planned]) -> None:
    left = "model_epoch_000_step_00000.pth"
    planned = plan("train", {f"train/{left}": archive()}, {"train/pc_model_latest.pth": left}, resume=True)
    ((code, message, hint),) = [(f.code, f.message, f.hint) for f in planned.findings if f.is_error]
    assert code == "nothing-to-resume" and message.endswith(
        f"/train/{left} is untrained, TAO wrote it before the first step"
    )
    assert hint == "taorunner train e1 starts from the beginning"
    started = plan("train", {}, {})
    assert [f for f in started.findings if f.is_error] == []
    made = started.items[0].plan
    assert [path.name for path in made.set_aside] == [left, "pc_model_latest.pth"]
    refused = resumed(replace(made, set_aside=()))
    assert isinstance(refused, NoResume) and isinstance(made, RunPlan)
