"""``--checkpoint`` is read by the action, or it is an error: for every network and every action."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_layouts import put_data
from filled_in import fill_in, heads_with_images

from taorunner.catalog.load import load_network, network_names
from taorunner.contracts import Contract
from taorunner.errors import UnknownNameError, UserFilesError
from taorunner.planning.inputs.named_checkpoint import destination
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import Planned, plan_action, planned_with, planning_of
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.specs.spec_file import prepare_spec, read_value

CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
OF_EACH_KIND = ("dino", "detectnet_v2", "classification_tf2", "unet", "tinydet")
NO_START_WEIGHTS = {"nvpanoptix3d", "tinydet"}
"""Their training reads no weights but those of a training that goes on. Source: tao/catalog_pyt.json."""


def made_project(root: Path, head: str) -> tuple[Workspace, str]:
    new_project(root, root, "new", head=head, backbone=None, experiment=None, dataset="train")
    fill_in(root / "projects/new")
    put_data(head, root / "projects/new/data/train")
    workspace = Workspace(root)
    (experiment,) = load_project(workspace, "new").experiments.values()
    if experiment.repository is not None:
        name = f"{experiment.repository}_v{experiment.backbone}"
        folder = root / "repositories" / experiment.repository / name
        folder.mkdir(parents=True)
        (folder / "weights.hdf5").write_text("")
    return workspace, experiment.name


def planned(
    workspace: Workspace, experiment: str, action: str, named: str | None, **asked: object
) -> Planned:
    request = ActionRequest(action, (experiment,), checkpoint=named, dry_run=True, **asked)  # type: ignore[arg-type]
    site = Site("run", workspace.runs_dir / "run")
    return plan_action(workspace, "new", request, CALLER, lambda *_: site)


def planner(workspace: Workspace, experiment: str) -> Callable[[str, str], Planned]:
    """``planned`` for many requests: the files are read once, as a command with several actions reads them."""
    site = Site("run", workspace.runs_dir / "run")
    request = ActionRequest("train", (experiment,), dry_run=True)
    planning = planning_of(workspace, "new", request, CALLER, lambda *_: site)

    def plan(action: str, named: str) -> Planned:
        asked = ActionRequest(action, (experiment,), checkpoint=named, dry_run=True)
        return planned_with(replace(planning, request=asked, findings=[]))

    return plan


def errors(result: Planned) -> list[str]:
    return [finding.code for finding in result.findings if finding.is_error]


def named_file(workspace: Workspace, contract: Contract, action: str) -> Path:
    """Weights of another experiment, with the characters that a pruned model of TAO has in its name."""
    folder = workspace.projects_dir / "new" / "models" / "other" / "prune"
    suffixes = [*contract.checkpoints.suffixes, ".hdf5"]
    goes_to = destination(contract)
    if goes_to is not None and goes_to.argument in ("onnx_file", "engine_file"):
        suffixes = [{"onnx_file": ".onnx", "engine_file": ".engine"}[goes_to.argument]]
    is_folder = contract.checkpoints.is_directory and action != "train"
    path = folder / f"model_th=0.68_eq=union{'.tlt' if is_folder else suffixes[0]}"
    path = path.with_name(f"folder_{path.name}") if is_folder else path
    (path if is_folder else folder).mkdir(parents=True, exist_ok=True)
    if not is_folder:
        path.write_text("")
    return path


@pytest.mark.parametrize("head", heads_with_images())
def test_what_is_named_is_read_or_refused(head: str, tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, head)
    plan_of = planner(workspace, experiment)
    network = load_network(head)
    for action, contract in network.contracts().items():
        path = named_file(workspace, contract, action)
        inside = f"/workspace/projects{str(path).removeprefix(str(workspace.projects_dir))}"
        if contract.group == "embedded":
            inside = str(path)
        result = plan_of(action, str(path))
        if destination(contract) is None:
            assert "checkpoint-not-read" in errors(result), action
            continue
        assert not [code for code in errors(result) if code.startswith("checkpoint-")], (action, result)
        assert len(result.items) == 1, (action, result)
        plan = result.items[0].plan
        in_argv = [token for token in plan.argv if token.replace(r"\\=", "=").endswith(inside)]
        in_spec = False
        if plan.spec is not None and plan.contract.spec is not None:
            keys = plan.contract.spec.keys
            key = keys.get("pretrained" if action == "train" else "checkpoint")
            written = tmp_path / f"rendered{plan.spec.source.suffix}"
            written.write_text(plan.spec.text.replace("$", "$$"))
            prepared = prepare_spec(written, plan.contract.spec.format, {})
            in_spec = key is not None and read_value(prepared, key) == inside
        assert in_argv or in_spec, (action, plan.argv, plan.spec)
    assert (destination(network.contract("train")) is None) == (head in NO_START_WEIGHTS)


@pytest.mark.parametrize("head", heads_with_images())
def test_a_file_that_is_not_there_is_an_error(head: str, tmp_path: Path) -> None:
    """Every name with one network of each kind; with the others, whose names are read by the same code, one."""
    workspace, experiment = made_project(tmp_path, head)
    results = workspace.projects_dir / "new" / "models" / experiment
    plan_of = planner(workspace, experiment)
    every = ("nowhere.hdf5", "/nowhere/weights.pth", str(results / "none.tlt"), "", ".", "..", "/")
    for action in load_network(head).contracts():
        for named in every if head in OF_EACH_KIND else every[:1]:
            result = plan_of(action, named)
            refused = {"unknown-checkpoint", "checkpoint-folder", "checkpoint-not-read"}
            assert refused & set(errors(result)), (action, named)
            assert result.items == ()
            with pytest.raises(UnknownNameError):
                result.raise_for_errors(is_forced=True)


def test_each_release_of_each_network_says_where_training_reads_its_weights() -> None:
    """Where none is named the option is refused; those are all there are."""
    without = set()
    for head in network_names():
        network = load_network(head)
        for release in network.releases or (None,):
            try:
                contract = network.contract("train", release)
            except UserFilesError:
                continue
            if destination(contract) is None:
                without.add(head)
    before = {"classification_pyt", "segformer", "ssd", "dssd"}  # two before 6.0, two before 4.0
    assert without == {*NO_START_WEIGHTS, *before}


@pytest.mark.parametrize("head", ["classification_tf2", "efficientdet_tf2"])
def test_tf2_training_starts_from_the_pruned_model_that_is_named(head: str, tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, head)
    path = workspace.projects_dir / "new/models" / experiment / "prune" / "model_th=0.68_eq=union.tlt"
    path.parent.mkdir(parents=True)
    path.write_text("")
    inside = f"/workspace/projects/new/models/{experiment}/prune/{path.name}"
    for named in (str(path), f"prune/{path.name}", path.name):
        (item,) = planned(workspace, experiment, "train", named).items
        assert item.plan.spec is not None
        assert (
            f'checkpoint: "{inside}"' in item.plan.spec.text or f"checkpoint: {inside}" in item.plan.spec.text
        )


@pytest.mark.parametrize(
    ("asked", "named_key"),
    [
        ({"overrides": {"train.checkpoint": "/other"}}, "train.checkpoint"),
        ({"extra": ("train.checkpoint=/other",)}, "train.checkpoint"),
    ],
)
def test_weights_that_are_named_twice_are_refused(
    asked: dict[str, object], named_key: str, tmp_path: Path
) -> None:
    workspace, experiment = made_project(tmp_path, "classification_tf2")
    path = named_file(workspace, load_network("classification_tf2").contract("train"), "train")
    result = planned(workspace, experiment, "train", str(path), **asked)
    assert sorted(errors(result)) == ["checkpoint-twice", "not-mounted"]  # no mount covers /other
    (finding,) = [f for f in result.findings if f.code == "checkpoint-twice"]
    assert f'"{named_key}" and --checkpoint' in finding.message


def test_an_argument_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, "ssd")
    path = named_file(workspace, load_network("ssd").contract("train"), "train")
    result = planned(workspace, experiment, "train", str(path), extra=("-m", "/other.hdf5"))
    assert "checkpoint-twice" in errors(result)


@pytest.mark.parametrize(("kind", "key"), [("rgb", "rgb"), ("of", "of"), ("joint", None)])
def test_action_recognition_reads_the_key_of_its_input(kind: str, key: str | None, tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, "action_recognition")
    path = named_file(workspace, load_network("action_recognition").contract("train"), "train")
    result = planned(workspace, experiment, "train", str(path), overrides={"model.input_type": kind})
    if key is None:
        assert "checkpoint-not-read" in errors(result)
        return
    (item,) = result.items
    assert item.plan.spec is not None
    lines = [line.strip() for line in item.plan.spec.text.splitlines() if path.name in line]
    assert [line.partition(":")[0] for line in lines] == [f"{key}_pretrained_model_path"]


def test_an_exported_model_is_chosen_by_the_name_of_its_checkpoint(tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, "dino")
    export = workspace.projects_dir / "new/models" / experiment / "export"
    export.mkdir(parents=True)
    for name in ("a.onnx", "b.onnx"):
        (export / name).write_text("")
    for named in ("a", "a.pth", "a.onnx", str(export / "a.onnx")):
        (item,) = planned(workspace, experiment, "gen_trt_engine", named).items
        assert any(token.endswith("/export/a.onnx") for token in item.plan.argv)
    result = planned(workspace, experiment, "gen_trt_engine", "c")
    assert errors(result) == ["unknown-checkpoint"]
    assert [f.hint for f in result.findings if f.is_error] == ["there are: a.onnx, b.onnx"]
    near = planned(workspace, experiment, "gen_trt_engine", "b.onx")
    assert [f.hint for f in near.findings if f.is_error] == [
        'did you mean "b.onnx"? there are: a.onnx, b.onnx'
    ]


def test_a_path_may_start_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, experiment = made_project(tmp_path, "dino")
    path = named_file(workspace, load_network("dino").contract("train"), "train")
    monkeypatch.chdir(path.parent.parent)
    (item,) = planned(workspace, experiment, "train", f"prune/{path.name}").items
    assert item.plan.spec is not None and f"/models/other/prune/{path.name}" in item.plan.spec.text


def test_a_path_from_here_is_taken_before_one_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare name is looked for in the results first; a file of the current folder comes after them."""
    workspace, experiment = made_project(tmp_path, "dino")
    models = workspace.projects_dir / "new/models"
    mine, others = models / experiment / "train/a.pth", models / "other/train/a.pth"
    for path in (mine, others):
        path.parent.mkdir(parents=True)
        path.write_text("")
    monkeypatch.chdir(models / "other")
    for named, found in (("train/a.pth", others), ("./train/a.pth", others), ("a.pth", mine), ("a", mine)):
        (item,) = planned(workspace, experiment, "evaluate", named).items
        assert any(token.endswith(f"/{found.relative_to(models)}") for token in item.plan.argv), named
        assert item.plan.weights == "a.pth"
    monkeypatch.chdir(others.parent)
    mine.unlink()
    (item,) = planned(workspace, experiment, "evaluate", "a.pth").items
    assert any(token.endswith("/other/train/a.pth") for token in item.plan.argv)


def test_a_file_from_here_that_was_cut_off_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, experiment = made_project(tmp_path, "dino")
    monkeypatch.chdir(workspace.projects_dir)
    Path("a.pth").write_bytes(b"PK\x03\x04" + bytes(500))
    for named in ("a.pth", "./a.pth"):
        (refused,) = [
            one for one in planned(workspace, experiment, "evaluate", named).findings if one.is_error
        ]
        assert (
            refused.message == f'the checkpoint "{named}" is incomplete: it was cut off while it was written'
        )


def test_an_exported_model_that_was_cut_off_is_not_taken(tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, "dino")
    export = workspace.projects_dir / "new/models" / experiment / "export"
    export.mkdir(parents=True)
    (export / "a.onnx").write_bytes(b"\x08\x08")
    (export / "b.onnx").write_bytes(b"\x3a\x50cut off")
    os.utime(export / "a.onnx", (1, 1))
    (item,) = planned(workspace, experiment, "gen_trt_engine", None).items
    assert any(token.endswith("/export/a.onnx") for token in item.plan.argv)
    (refused,) = [
        one for one in planned(workspace, experiment, "gen_trt_engine", "b").findings if one.is_error
    ]
    assert refused.message == 'the file "b.onnx" is incomplete: it was cut off while it was written'


@pytest.mark.parametrize("action", ["evaluate", "export", "inference"])
def test_which_one_is_meant_may_be_said_for_every_action(action: str, tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, "dino")
    train = workspace.projects_dir / "new/models" / experiment / "train"
    train.mkdir(parents=True)
    for number in range(3):
        (train / f"model_epoch_00{number}_step_00010.pth").write_text("")
    found = planned(workspace, experiment, action, "epoch=2")
    (item,) = found.items
    path = "/train/model_epoch_001_step_00010.pth"
    text = item.plan.spec.text if item.plan.spec is not None else ""
    assert any(token.endswith(path) for token in item.plan.argv) or path in text
    assert item.plan.weights == "model_epoch_001_step_00010.pth: epoch 2"


def test_a_training_does_not_start_from_what_overwrite_moves(tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, "dino")
    train = workspace.projects_dir / "new/models" / experiment / "train"
    train.mkdir(parents=True)
    (train / "model_epoch_000_step_00010.pth").write_text("")
    found = planned(workspace, experiment, "train", "epoch=1", overwrite=True)
    assert "checkpoint-moved" in errors(found)
    (train / "model_epoch_000_step_00010.pth").rename(tmp_path / "projects/new/models/start.pth")
    found = planned(
        workspace, experiment, "train", str(tmp_path / "projects/new/models/start.pth"), overwrite=True
    )
    assert "checkpoint-moved" not in errors(found)


def test_an_engine_is_made_of_the_model_of_that_epoch(tmp_path: Path) -> None:
    workspace, experiment = made_project(tmp_path, "dino")
    results = workspace.projects_dir / "new/models" / experiment
    for folder, suffix in (("train", "pth"), ("export", "onnx")):
        (results / folder).mkdir(parents=True)
        for number in range(2):
            (results / folder / f"model_epoch_00{number}_step_00010.{suffix}").write_text("")
    (item,) = planned(workspace, experiment, "gen_trt_engine", "epoch=1").items
    assert any(token.endswith("/export/model_epoch_000_step_00010.onnx") for token in item.plan.argv)


def test_a_file_that_no_mount_covers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    workspace, experiment = made_project(tmp_path / "w", "dino")
    (tmp_path / "weights.pth").write_text("")
    assert "not-mounted" in errors(planned(workspace, experiment, "train", str(tmp_path / "weights.pth")))
