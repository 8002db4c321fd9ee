"""An experiment's own variables, and those of taorunner in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.planning.inputs.environment import model_key_mark
from taorunner.planning.inputs.values import RunValues, ValueFinder
from taorunner.planning.inputs.variables import own_values
from taorunner.planning.model.plan import GpuRequest
from taorunner.project.load import load_project
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import Workspace

KNOWN = {"dataset_raw": "/data/train", "results_dir": "/models/e1", "num_gpus": 2, "gpu_ids": [0, 1]}


@pytest.mark.parametrize(
    ("own", "value"),
    [
        ("$dataset_raw/val", "/data/train/val"),
        ("${results_dir}_2", "/models/e1_2"),
        ("$num_gpus of $gpu_ids", "2 of 0,1"),
        ("$dataset_raw_2", "$dataset_raw_2"),
        ("$pretrained_model", "$pretrained_model"),  # not known here
        ("$mine, ${a.b} and $$", "$mine, ${a.b} and $$"),
        ("${dataset_raw", "${dataset_raw"),
        ("$$dataset_raw", "$$dataset_raw"),
        (8, 8),
        (["$dataset_raw"], ["$dataset_raw"]),
        ("", ""),
    ],
)
def test_taorunners_variables_are_filled_in_and_nothing_else(own: object, value: object) -> None:
    assert own_values({"mine": own}, KNOWN) == {"mine": value}


def test_variables_of_ones_own_are_not_looked_up_in_each_other() -> None:
    assert own_values({"a": "$b", "b": "$dataset_raw"}, KNOWN) == {"a": "$b", "b": "/data/train"}


@pytest.fixture
def find(workspace_factory: Callable[..., Path]) -> Callable[..., RunValues]:
    """``find("evaluate", models={…}, key=value)``: the values of an action of dino, or of another ``head``.

    ``times`` are the ages of files in ``models``; ``named`` is ``--checkpoint``; other words are keys of the experiment.
    """

    def make(
        action: str, *, models: dict[str, str] | None = None, data: dict[str, str] | None = None,
        times: dict[str, int] | None = None, gpus: int = 1, named: str | None = None, **entry: object,
    ) -> RunValues:  # fmt: skip
        entry = {"head": "dino", "dataset": "d", **entry}
        files = {"data": {"d/": "", **(data or {})}, "models": models or {}}
        root = workspace_factory({"experiments": {"e1": entry}}, **files)
        workspace = Workspace(root)
        paths = workspace.project("example_01")
        for name, age_s in (times or {}).items():
            os.utime(paths.models_dir / name, (1_000_000 - age_s, 1_000_000 - age_s))
        experiment = load_project(workspace, "example_01").experiments["e1"]
        network = load_network(experiment.head)
        finder = ValueFinder(workspace, paths, experiment, network, Mounts.identity())
        return finder.find(network.contract(action), GpuRequest(gpus), named)

    return make


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Where ``workspace_factory`` puts it."""
    return tmp_path / "workspace" / "projects" / "example_01"


@pytest.mark.parametrize(
    ("action", "needs_weights"), [("evaluate", True), ("export", True), ("convert", False), ("train", False)]
)
def test_only_an_action_that_reads_weights_needs_a_checkpoint(
    find: Callable[..., RunValues], action: str, needs_weights: bool
) -> None:
    codes = [one.code for one in find(action).findings]
    assert ("checkpoint-missing" in codes) is needs_weights


def test_the_newest_weights_are_taken(find: Callable[..., RunValues]) -> None:
    names = ("model_epoch_001_step_00010.pth", "model_epoch_002_step_00020.pth")
    found = find("evaluate", models={f"e1/train/{name}": "weights" for name in names})
    assert str(found.arguments["checkpoint"]).endswith(f"/models/e1/train/{names[1]}")
    assert "checkpoint-missing" not in [one.code for one in found.findings]


def test_every_value_of_a_training(find: Callable[..., RunValues], project: Path) -> None:
    found = find("train", gpus=2, export_type="fp16", model_key="secret")
    dataset, results = f"{project}/data/d", f"{project}/models/e1"
    records = f"{project}/data/tfrecords_e1"
    assert found.variables == {
        "experiment": "e1", "project": "example_01", "dataset_raw": dataset, "dataset": dataset,
        "dataset_tfrecord": records, "tfrecords": records, "results_dir": results, "num_gpus": 2, "gpu_ids": [0, 1],
        "pretrained_model": "/pretrained_model",
    }  # fmt: skip
    assert found.arguments == {
        "results_dir": results, "dataset_raw": dataset, "tfrecords_prefix": f"{records}/tfrecord", "num_gpus": "2",
        "gpu_ids": ("0", "1"), "export_type": "fp16", "key": model_key_mark(),
    }  # fmt: skip
    assert (found.findings, found.weights) == ([], None)


def test_without_gpus_none_are_counted_on_the_command_line(find: Callable[..., RunValues]) -> None:
    found = find("train", gpus=0)
    assert (found.variables["num_gpus"], found.variables["gpu_ids"]) == (0, [])
    assert found.arguments.keys() == {"results_dir", "dataset_raw", "tfrecords_prefix"}


def test_pretrained_weights_have_their_folder_until_they_are_there(
    find: Callable[..., RunValues], project: Path
) -> None:
    found = find("train", head="dssd", repository="r", backbone="b")
    folder = project.parents[1] / "repositories" / "r" / "r_vb"
    assert found.variables["pretrained_model"] == found.arguments["pretrained"] == str(folder)
    assert found.findings == []
    for key in ("repository", "backbone"):
        assert "pretrained" not in find("train", head="dssd", **{key: "x"}).arguments


MODELS = {
    "e1/export/a/b.onnx": "",
    "e1/export/c.onnx": "",
    "e1/export/d.txt": "",
    "e1/gen_trt_engine/x.engine": "",
}


@pytest.mark.parametrize(
    ("times", "export_model", "chosen"),
    [
        ({"e1/export/a/b.onnx": 1, "e1/export/c.onnx": 2}, None, "a/b.onnx"),
        ({"e1/export/a/b.onnx": 2, "e1/export/c.onnx": 1}, None, "c.onnx"),
        ({"e1/export/a/b.onnx": 2, "e1/export/c.onnx": 1}, "b", "a/b.onnx"),
        ({"e1/export/a/b.onnx": 1, "e1/export/c.onnx": 2}, "none", "a/b.onnx"),
    ],
)
def test_the_newest_exported_model_or_that_of_the_name(
    times: dict[str, int],
    export_model: str | None,
    chosen: str,
    find: Callable[..., RunValues],
    project: Path,
) -> None:
    entry = {} if export_model is None else {"export_model": export_model}
    found = find("gen_trt_engine", models=MODELS, times={**times, "e1/export/d.txt": 0}, **entry)
    assert found.arguments["onnx_file"] == f"{project}/models/e1/export/{chosen}"
    assert "engine_file" not in found.arguments  # this action writes it
    built = find("deploy.inference", models=MODELS)
    assert built.arguments["engine_file"] == f"{project}/models/e1/gen_trt_engine/x.engine"


@pytest.mark.parametrize(
    ("names", "hint"),
    [((), "taorunner train e1"), (("a.txt",), "taorunner train e1")],
)
def test_a_checkpoint_that_is_missing_says_what_there_is(
    names: tuple[str, ...], hint: str, find: Callable[..., RunValues]
) -> None:
    (missing,) = find("evaluate", models={f"e1/train/{name}": "" for name in names}).findings
    assert (missing.code, missing.hint) == ("checkpoint-missing", hint)


def test_of_many_checkpoints_the_last_five_are_named(find: Callable[..., RunValues]) -> None:
    names = [f"model_epoch_{number:03}_step_00010.pth" for number in range(7)]
    models = {f"e1/train/{name}": "weights" for name in names}
    (missing,) = find("evaluate", models=models, export_model="other").findings
    assert missing.code == "checkpoint-missing"
    assert missing.hint is not None and missing.hint.startswith("there are: ")
    assert [Path(one).stem for one in missing.hint.removeprefix("there are: ").split(", ")] == [
        Path(name).stem for name in names[-5:]
    ]


@pytest.mark.parametrize(
    ("data", "own", "images", "labels"),
    [
        ({"d/image_2/": ""}, {}, "d/image_2", None),
        ({"d/images/": "", "d/labels/": ""}, {}, "d/images", "d/labels"),
        ({"d/images/": "", "d/image_2/": "", "d/label_2/": ""}, {}, "d/image_2", "d/label_2"),
        ({"d/images/": ""}, {"image_dir": "/mine"}, "/mine", None),
        ({"d/image_2": "a file"}, {}, None, None),
    ],
)
def test_the_images_of_an_inference_are_those_of_the_dataset(
    data: dict[str, str], own: dict[str, str], images: str | None, labels: str | None,
    find: Callable[..., RunValues], project: Path,
) -> None:  # fmt: skip
    found = find("inference", head="dssd", data=data, vars=own)

    def place(name: str | None) -> str | None:
        return None if name is None else name if name.startswith("/") else f"{project}/data/{name}"

    assert found.arguments.get("image_dir") == place(images)
    assert found.arguments.get("label_dir") == place(labels)


def test_what_a_training_writes_is_no_argument_of_it(find: Callable[..., RunValues], project: Path) -> None:
    own = {"image_dir": "$results_dir/images"}
    assert "image_dir" not in find("train", head="dssd", vars=own).arguments
    found = find("inference", head="dssd", vars=own)
    assert found.arguments["image_dir"] == f"{project}/models/e1/images"
    assert found.variables["image_dir"] == f"{project}/models/e1/images"


@pytest.mark.parametrize(
    ("value", "named", "hint"),
    [
        ("$result_dir/x", "result_dir", 'did you mean "results_dir"?'),
        ("a${zzz9}b", "zzz9", None),
        ("$$results", None, None),
        ("5$", None, None),
    ],
)
def test_a_variable_that_nothing_replaces_is_reported(
    value: str, named: str | None, hint: str | None, find: Callable[..., RunValues]
) -> None:
    found = find("inference", head="dssd", vars={"image_dir": value})
    left = [one for one in found.findings if one.code == "unknown-variable"]
    if named is None:
        assert left == [] and found.arguments["image_dir"] == value
        return
    message = f'"image_dir" in vars has "${named}", which is not a variable of this experiment'
    assert [one.message for one in left] == [message]
    assert left[0].hint == (hint or f"known: {', '.join(sorted(found.variables))}")
    assert "$" not in str(found.arguments["image_dir"])
