"""A chain is planned as a whole: what each action takes from those before it, and what of the request holds for which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataset_layouts import put_data
from filled_in import fill_in
from launch_workspaces import good_workspace

from taorunner.errors import Severity, UnknownNameError, UserFilesError
from taorunner.planning.chain import plan_chain
from taorunner.planning.inputs.awaited import filled
from taorunner.planning.model.knobs import Knobs
from taorunner.planning.model.plan import Awaited, RunPlan
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import Planned
from taorunner.project.workspace import Workspace

CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
RESULTS = "/workspace/projects/p/models/e1"
CHECKPOINT = f"{RESULTS}/CHECKPOINT-OF-THE-CHAIN"


def planned(root: Path, action: str, *then: str, **wishes: Any) -> Planned:
    return plan_chain(
        Workspace(root), "p", ActionRequest(action, ("e1",), then=tuple(then), **wishes), CALLER
    )


def plans(root: Path, action: str, *then: str, **wishes: Any) -> list[RunPlan]:
    found = planned(root, action, *then, **wishes)
    assert [one for one in found.findings if one.is_error] == []
    return [item.plan for item in found.items]


@pytest.fixture
def rtdetr(tmp_path: Path) -> Path:
    return good_workspace(tmp_path / "ws", "rtdetr")


def test_each_action_takes_the_newest_model_of_its_chain(rtdetr: Path) -> None:
    chain = plans(rtdetr, "train", "evaluate", "export", "gen_trt_engine", "deploy.evaluate")
    assert [plan.contract.action for plan in chain] == [
        "train", "evaluate", "export", "gen_trt_engine", "evaluate",
    ]  # fmt: skip
    from_train = Awaited("train", CHECKPOINT, "checkpoint")
    onnx = f"{RESULTS}/export/EXPORT-OF-THE-CHAIN.onnx"
    engine = f"{RESULTS}/gen_trt_engine/ENGINE-OF-THE-CHAIN.engine"
    assert [plan.awaits for plan in chain] == [
        (),
        (from_train,),
        (from_train,),
        (Awaited("export", onnx, "onnx_file"),),
        (Awaited("gen_trt_engine", engine, "engine_file"),),
    ]
    assert f"gen_trt_engine.onnx_file={onnx}" in chain[3].argv
    assert [plan.after is None for plan in chain] == [True, False, False, False, False]


def test_earlier_checkpoints_and_export_model_do_not_count(rtdetr: Path) -> None:
    old = rtdetr / "projects/p/models/e1/train"
    old.mkdir(parents=True)
    (old / "model_epoch_009.pth").write_bytes(b"old")
    _, evaluate = plans(rtdetr, "train", "evaluate", overwrite=True)
    assert f"evaluate.checkpoint={CHECKPOINT}" in evaluate.argv
    (evaluate, export) = plans(rtdetr, "evaluate", "export", checkpoint="model_epoch_009.pth")
    assert [plan.awaits for plan in (evaluate, export)] == [(), ()]
    assert any(
        token.endswith("export.checkpoint=" + f"{RESULTS}/train/model_epoch_009.pth") for token in export.argv
    )


@pytest.mark.parametrize("has_old_engine", [False, True])
def test_a_checkpoint_that_is_named_is_not_for_what_reads_a_model_of_the_chain(
    rtdetr: Path, has_old_engine: bool
) -> None:
    results = rtdetr / "projects/p/models/e1"
    (results / "train").mkdir(parents=True)
    (results / "train/model_epoch_009.pth").write_bytes(b"weights")
    if has_old_engine:
        (results / "gen_trt_engine").mkdir()
        (results / "gen_trt_engine/model_epoch_009.engine").write_bytes(b"old")
    export, _, on_engine, evaluate = plans(
        rtdetr, "export", "gen_trt_engine", "deploy.evaluate", "evaluate", checkpoint="model_epoch_009.pth"
    )
    engine = f"{RESULTS}/gen_trt_engine/ENGINE-OF-THE-CHAIN.engine"
    named = f"{RESULTS}/train/model_epoch_009.pth"
    assert f"export.checkpoint={named}" in export.argv
    assert on_engine.awaits == (Awaited("gen_trt_engine", engine, "engine_file"),)
    assert f"evaluate.trt_engine={engine}" in on_engine.argv
    assert evaluate.awaits == () and f"evaluate.checkpoint={named}" in evaluate.argv


@pytest.mark.parametrize(
    ("chain", "message", "hint"),
    [
        (
            ("train", "gen_trt_engine"),
            '"gen_trt_engine" reads what export makes, and the chain has no export before it',
            "add export after train: --then export,gen_trt_engine",
        ),
        (
            ("train", "export", "deploy.evaluate"),
            '"deploy.evaluate" reads what gen_trt_engine makes, and the chain has no gen_trt_engine before it',
            "add gen_trt_engine after export: --then gen_trt_engine,deploy.evaluate",
        ),
        (
            ("export", "train", "gen_trt_engine"),
            '"gen_trt_engine" reads what export makes, and the chain has no export before it',
            "add export after train: --then export,gen_trt_engine",
        ),
    ],
)
def test_a_missing_link_is_an_error_also_where_an_old_model_is_there(
    rtdetr: Path, chain: tuple[str, ...], message: str, hint: str
) -> None:
    for name in ("train/model_epoch_001.pth", "export/old.onnx", "gen_trt_engine/old.engine"):
        path = rtdetr / "projects/p/models/e1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"old")
    found = planned(rtdetr, *chain, overwrite=True)
    errors = [one for one in found.findings if one.is_error]
    assert [(one.code, one.message, one.hint) for one in errors] == [("chain", message, hint)]
    with pytest.raises(UnknownNameError):
        found.raise_for_errors()


def test_options_of_the_first_action_and_of_all(rtdetr: Path) -> None:
    train, evaluate, _, engine = plans(
        rtdetr, "train", "evaluate", "export", "gen_trt_engine", image="mine:1", env={"A": "1"}, extra=("train.seed=7",),
        overrides={"train.num_epochs": "5", "model.num_queries": "100"}, dry_run=True,
    )  # fmt: skip
    assert [plan.env["A"] for plan in (train, evaluate, engine)] == ["1", "1", "1"]
    assert [plan.image == "mine:1" for plan in (train, evaluate, engine)] == [True, True, False]
    assert {"train.num_epochs=5", "model.num_queries=100", "train.seed=7"} <= set(train.argv)
    assert "model.num_queries=100" in evaluate.argv
    assert not {"train.num_epochs=5", "train.seed=7"} & {*evaluate.argv, *engine.argv}


def test_what_an_earlier_action_makes_is_a_note(tmp_path: Path) -> None:
    root = good_workspace(tmp_path / "ws", "detectnet_v2")
    for path in (root / "projects/p/data/tfrecords_e1").iterdir():
        path.unlink()
    alone = [one.severity for one in planned(root, "train").findings if one.code == "not-made-yet"]
    chained = [
        one.severity for one in planned(root, "convert", "train").findings if one.code == "not-made-yet"
    ]
    assert {*alone} == {Severity.ERROR}
    assert {*chained} == {Severity.INFO}
    without = [
        one.severity for one in planned(root, "export", "train").findings if one.code == "not-made-yet"
    ]
    assert Severity.ERROR in without


def test_each_group_of_a_network_reads_files_of_its_own(workspace_factory: Callable[..., Path]) -> None:
    """The inference of ocrnet opens the list of characters, that of its engine does not; the spec is the same."""
    entry = {"head": "ocrnet", "dataset": "d"}
    text = "dataset:\n  character_list_file: $dataset_raw/characters.txt\n"
    root = workspace_factory(
        {"experiments": {"e1": entry}}, data={"d/a.txt": "a"}, specs={"e1/inference.yaml": text}
    )
    found = []
    for action, then in (("inference", ()), ("deploy.inference", ("inference",)), ("deploy.inference", ())):
        request = ActionRequest(action, ("e1",), then=then, dry_run=True)
        findings = plan_chain(Workspace(root), "example_01", request, CALLER).findings
        found.append([one.message for one in findings if one.code == "missing-input"])
    missing = ["no such file: data/d/characters.txt"]
    assert found == [missing, missing, []]


def test_the_files_are_filled_in_everywhere(rtdetr: Path) -> None:
    _, export, engine = plans(rtdetr, "train", "export", "gen_trt_engine")
    results = rtdetr / "projects/p/models/e1"
    checkpoint = results / "train/model_epoch_007.pth"
    ready = filled(export, {CHECKPOINT: checkpoint})
    assert f"export.checkpoint={RESULTS}/train/model_epoch_007.pth" in ready.argv
    assert f"export.onnx_file={RESULTS}/export/model_epoch_007.onnx" in ready.argv
    assert ready.contract.verdict.artifacts == ("export/model_epoch_007.onnx",)
    assert ready.awaits == ()
    assert "OF-THE-CHAIN" not in str(ready.to_json())
    stand_in = f"{RESULTS}/export/EXPORT-OF-THE-CHAIN.onnx"
    last = filled(engine, {stand_in: results / "export/model_epoch_007.onnx"})
    assert f"gen_trt_engine.onnx_file={RESULTS}/export/model_epoch_007.onnx" in last.argv
    assert last.contract.verdict.artifacts == ("gen_trt_engine/model_epoch_007.engine",)
    assert "OF-THE-CHAIN" not in str(last.to_json())


def test_what_would_be_written_is_there_already(rtdetr: Path) -> None:
    _, export = plans(rtdetr, "train", "export")
    results = rtdetr / "projects/p/models/e1"
    there = results / "export/model_epoch_007.onnx"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"onnx")
    with pytest.raises(UserFilesError, match=r"model_epoch_007\.onnx exists") as refused:
        filled(export, {CHECKPOINT: results / "train/model_epoch_007.pth"})
    assert refused.value.hint is not None and "--overwrite" in refused.value.hint
    _, export = plans(rtdetr, "train", "export", overwrite=True)
    assert filled(export, {CHECKPOINT: results / "train/model_epoch_007.pth"}).set_aside == (there,)


def test_a_plan_of_a_chain_comes_back_whole(rtdetr: Path) -> None:
    _, evaluate = plans(rtdetr, "train", "evaluate")
    assert RunPlan.from_json(evaluate.to_json()) == evaluate


def _coco_records(root: Path) -> Path:
    """A workspace with data in two subsets, for a network that converts one a run; no records yet."""
    good_workspace(root, "efficientdet_tf2")
    for path in (root / "projects/p/models/e1/dataset_convert").iterdir():
        path.unlink()
    return root


def test_epochs_are_those_of_the_training_behind_a_conversion(tmp_path: Path) -> None:
    root = _coco_records(tmp_path / "ws")
    first, second, train = plans(root, "convert", "train", knobs=Knobs(epochs=3, batch_size=2, lr=0.02))
    assert (first.knobs, second.knobs) == ((), ())
    assert {"train.num_epochs=3", "train.batch_size=2"} <= set(train.argv)


def test_both_subsets_are_converted_where_a_run_takes_one(tmp_path: Path) -> None:
    root = _coco_records(tmp_path / "ws")
    first, second, train = plans(root, "convert", "train")
    val = "/workspace/projects/p/data/parts/val"

    assert [plan.contract.action for plan in (first, second, train)] == ["dataset_convert"] * 2 + ["train"]
    assert (first.after, second.after is None, train.after is None) == (None, False, False)
    assert "dataset_convert.tag=val" not in first.argv
    assert {
        "dataset_convert.tag=val",
        f"dataset_convert.image_dir={val}/images",
        f"dataset_convert.annotations_file={val}/annotations.json",
    } <= set(second.argv)


def test_words_of_a_conversion_are_all_that_is_converted(tmp_path: Path) -> None:
    root = _coco_records(tmp_path / "ws")
    assert len(plans(root, "convert", "train", overrides={"dataset_convert.tag": "train"})) == 2
    assert len(plans(root, "convert", "train", extra=("dataset_convert.tag=train",))) == 2
    assert len(plans(root, "convert")) == 1


def test_a_dataset_without_a_second_subset_is_converted_once(tmp_path: Path) -> None:
    root = _coco_records(tmp_path / "ws")
    (root / "projects/p/data/parts/val").rename(root / "projects/p/data/parts/test")
    found = planned(root, "convert", "train")
    assert [item.plan.contract.action for item in found.items] == ["dataset_convert"]
    assert {one.code for one in found.findings if one.is_error} == {"missing-input"}


@pytest.mark.parametrize("head", ["efficientdet_tf1", "mask_rcnn"])
def test_words_for_tao_are_those_of_the_second_conversion_alone(head: str, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    new_project(root, root, "p", head=head, backbone=None, experiment="e1", dataset="set", use_weights=False)
    fill_in(root / "projects/p")
    put_data(head, root / "projects/p/data/set")
    request = ActionRequest("convert", ("e1",), then=("train",), force=True)
    convert, again, train = [
        item.plan.argv for item in plan_chain(Workspace(root), "p", request, CALLER).items
    ]

    val = "/workspace/projects/p/data/set/val"
    assert again[-4:] == ("-i", f"{val}/images", "-a", f"{val}/annotations.json")
    assert again[again.index("-t") + 1] == "val" and convert[convert.index("-t") + 1] == "train"
    assert val not in " ".join([*convert, *train])
