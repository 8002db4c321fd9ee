"""``$FILL_IN``: one finding for each mark, at its place, which hides nothing and has no consequences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest

from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.schema import experiments_schema
from taorunner.project.workspace import Workspace
from taorunner.yaml_reader import read_yaml

RULE = (
    "largest category_id of train and val, plus 1 (with contiguous ids from 1: classes + 1; from 0: classes)"
)
REFRESH = "taorunner -p p specs refresh {} computes it once the data is there"
EXPERIMENT = """\
experiments:
  e:
    head: {head}
    dataset: d
    gpus: 0
{more}"""
CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})


def workspace_of(root: Path, head: str, specs: Mapping[str, str], more: str = "") -> Workspace:
    project = root / "projects/p"
    for name, text in specs.items():
        path = project / "specs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in ("data/d", "models"):
        (project / folder).mkdir(parents=True)
    (project / "data/d/x").touch()
    if head in ("ssd", "detectnet_v2", "unet"):
        more = f"    model_key: env:K\n{more}"
    (project / "experiments.yml").write_text(EXPERIMENT.format(head=head, more=more))
    (project / "experiments.yml").chmod(0o600)
    return Workspace(root)


def found(workspace: Workspace) -> list[tuple[str, int | None, int | None, str]]:
    return [
        (one.file.name if one.file else "", one.line, one.column, one.code)
        for one in validate_projects(workspace, ["p"], {})
    ]


def planned(
    workspace: Workspace, name: str = "e", action: str = "train", **more: object
) -> list[tuple[str, int | None, str]]:
    request = ActionRequest(action, (name,), **more)  # type: ignore[arg-type]
    site = Site("run", workspace.runs_dir / "run")
    plan = plan_action(workspace, "p", request, CALLER, lambda *_: site)
    return sorted(
        (one.file.name if one.file else "", one.line, one.code) for one in plan.findings if one.is_error
    )


YAML = """\
dataset:
  num_classes: $FILL_IN  # the classes
  batch_size: four
  workers: 2
train:
  num_epochs: $FILL_IN
  precision: "$FILL_IN"
  num_epoch: 3
model: $FILL_IN
inference:
  color_map: {$FILL_IN: green}
  conf_threshold: [$FILL_IN]
"""


def test_a_mark_in_yaml_hides_nothing_and_has_no_consequences(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, "dino", {"e/train.yaml": YAML})
    marks = [
        ("train.yaml", *place, "fill-in") for place in ((2, 16), (6, 15), (7, 15), (9, 8), (11, 15), (12, 20))
    ]
    others = [("train.yaml", 3, 15, "wrong-type"), ("train.yaml", 8, 3, "unknown-key")]
    assert sorted(one for one in found(workspace) if one not in marks and one[3] != "missing-value") == [
        *others, ("train.yaml", 12, 19, "wrong-type")
    ]  # fmt: skip
    assert [one for one in found(workspace) if one[3] == "fill-in"] == marks
    refused = planned(workspace)
    assert {code for _, _, code in refused} == {"fill-in", "wrong-type", "unknown-key"}


TF1 = """\
dataset_config {
  data_sources { tfrecords_path: "$FILL_IN/x" image_directory_path: "$dataset_raw" }
  image_extension: $FILL_IN
  target_class_mapping { key: "$FILL_IN" value: "$FILL_IN" }  # one line for each class
  validation_fold: $FILL_IN
}
training_config {
  batch_size_per_gpu: many
  num_epochs: $FILL_IN
  enable_qat: $FILL_IN
  num_epoch: 3
  regularizer: $FILL_IN
}
augmentation_config { preprocessing { crop_right: "$FILL_IN" } }
"""


def test_a_mark_in_protobuf_text_hides_nothing_and_has_no_consequences(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, "detectnet_v2", {"e/train.txt": TF1})
    marks = [
        ("train.txt", line, column, "fill-in")
        for line, column in ((2, 35), (3, 20), (4, 32), (5, 20), (9, 15), (10, 15), (12, 16), (14, 52))
    ]
    others = [
        ("train.txt", 8, 23, "wrong-type"), ("train.txt", 11, 3, "unknown-key"), ("train.txt", 14, 51, "wrong-type"),
    ]  # fmt: skip
    assert sorted(found(workspace)) == sorted(marks + others)
    assert {code for _, _, code in planned(workspace)} == {"fill-in", "wrong-type", "unknown-key"}


def test_the_protobuf_library_reads_what_is_around_a_mark(tmp_path: Path) -> None:
    """A mark of each kind of value, and a mistake that the library alone finds: a text that is not UTF-8."""
    text = (
        TF1.replace("  batch_size_per_gpu: many\n", "")
        .replace("  num_epoch: 3\n", "")
        .split("augmentation")[0]
    )
    workspace = workspace_of(tmp_path, "detectnet_v2", {"e/train.txt": text})
    assert {code for *_, code in found(workspace)} == {"fill-in"}
    bad = f'{text}model_config {{ num_layers: $FILL_IN arch: "\\xff" }}\n'
    (tmp_path / "projects/p/specs/e/train.txt").write_text(bad)
    assert [one for one in found(workspace) if one[3] != "fill-in"] == [
        ("train.txt", 12, 43, "protobuf-refuses")
    ]


def test_the_message_says_what_belongs_there(tmp_path: Path) -> None:
    text = "dataset:\n  num_classes: $FILL_IN  # the classes\n  batch_size: $FILL_IN  # what fits\ntrain:\n  num_epochs: $FILL_IN\n"
    workspace = workspace_of(tmp_path, "dino", {"e/train.yaml": text})
    said = [
        (one.message, one.hint) for one in validate_projects(workspace, ["p"], {}) if one.code == "fill-in"
    ]
    assert said == [
        (f"fill in dataset.num_classes: {RULE}", REFRESH.format("e")),
        (
            "fill in dataset.batch_size: at most the images to train on: a larger batch stops the training",
            REFRESH.format("e"),
        ),
        ("fill in train.num_epochs", "write it in place of $FILL_IN"),
    ]


def test_a_variable_is_reported_once_where_it_is_written(tmp_path: Path) -> None:
    specs = {
        "e/train.yaml": "dataset:\n  num_classes: $num_classes\n  workers: many\n",
        "e/distill.yaml": "dataset:\n  num_classes: $num_classes\nmodel:\n  num_queries: $num_classes\n",
    }
    more = (
        "    vars:\n      num_classes: $FILL_IN  # how many\n      other: $FILL_IN\n  two:\n    extends: e\n"
    )
    workspace = workspace_of(tmp_path, "dino", specs, more)
    assert [one for one in found(workspace) if one[3] != "missing-value"] == [
        ("experiments.yml", 7, 20, "fill-in"), ("train.yaml", 3, 12, "wrong-type"),
    ]  # fmt: skip
    (mark,) = [one for one in validate_projects(workspace, ["p"], {}) if one.code == "fill-in"]
    assert (mark.message, mark.hint) == (f"fill in num_classes: {RULE}", REFRESH.format("e"))
    assert planned(workspace, "two") == [("experiments.yml", 7, "fill-in"), ("train.yaml", 3, "wrong-type")]


def test_a_variable_of_a_command_line_is_reported(tmp_path: Path) -> None:
    more = "    vars:\n      image_dir: $FILL_IN  # the images\n"
    workspace = workspace_of(tmp_path, "ssd", {"e/train.txt": "random_seed: 1\n"}, more)
    assert [one for one in found(workspace) if one[3] == "fill-in"] == [("experiments.yml", 8, 18, "fill-in")]
    assert "fill-in" in {code for _, _, code in planned(workspace, action="inference")}


@pytest.mark.parametrize("how", ["override", "set"])
def test_a_value_that_takes_the_place_of_a_mark_is_enough(how: str, tmp_path: Path) -> None:
    text = "dataset:\n  num_classes: $FILL_IN\ninference:\n  color_map: $FILL_IN\n"
    overrides = "    overrides:\n      dataset.num_classes: 3\n      inference.color_map: {car: green}\n"
    workspace = workspace_of(tmp_path, "dino", {"e/train.yaml": text}, overrides if how == "override" else "")
    sets = {} if how == "override" else {"dataset.num_classes": "3", "inference.color_map": "{car: green}"}
    assert [one for one in planned(workspace, overrides=sets) if one[2] == "fill-in"] == []
    marks = [line for _, line, _, code in found(workspace) if code == "fill-in"]
    assert marks == ([] if how == "override" else [2, 4])


@pytest.mark.parametrize("value", ["$FILL_IN", "$num_classes"])
def test_a_mark_in_an_override_is_reported_there(value: str, tmp_path: Path) -> None:
    more = f"    vars: {{num_classes: $FILL_IN}}\n    overrides:\n      dataset.num_classes: {value}\n"
    workspace = workspace_of(tmp_path, "dino", {"e/train.yaml": "dataset:\n  num_classes: 3\n"}, more)
    assert [one for one in found(workspace) if one[3] != "missing-value"] == [
        ("experiments.yml", 8, 28, "fill-in")
    ]


@pytest.mark.parametrize("name", ["train", "dataset", "results_dir"])
def test_a_mark_in_place_of_a_section_is_one_finding(name: str, tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, "dino", {"e/train.yaml": f"{name}: $FILL_IN\n"})
    codes = [code for *_, code in found(workspace)]
    assert codes.count("fill-in") == 1 and not set(codes) & {"wrong-type", "unknown-key"}
    assert name != "train" or codes == ["fill-in"]


def test_rules_about_the_dataset_say_nothing_of_a_mark(tmp_path: Path) -> None:
    text = (
        "dataset:\n  num_classes: $FILL_IN\n  train_data_sources:\n    - image_dir: $dataset_raw\n"
        "      json_file: $dataset_raw/a.json\ninference:\n  color_map: $FILL_IN\n"
    )
    workspace = workspace_of(tmp_path, "dino", {"e/train.yaml": text})
    annotations = {"images": [], "annotations": [], "categories": [{"id": 7, "name": "bolt"}]}
    (tmp_path / "projects/p/data/d/a.json").write_text(json.dumps(annotations))
    assert not {code for *_, code in found(workspace)} & {"too-few-classes", "class-without-colour"}


def test_editors_take_the_mark() -> None:
    text = EXPERIMENT.format(head="dino", more="    vars:\n      num_classes: $FILL_IN\n")
    jsonschema.validate(read_yaml(text).value, experiments_schema(["dino"]), jsonschema.Draft202012Validator)
