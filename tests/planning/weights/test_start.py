"""What a new experiment starts from: every backbone of every network, written into its specs and read again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taorunner.catalog.backbones import Backbones
from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.load import Catalog
from taorunner.errors import UsageError
from taorunner.planning.new_project import new_project
from taorunner.planning.validate import validate_projects
from taorunner.planning.weights.choice import start_weights
from taorunner.planning.weights.spec_lines import Start, named_backbone, start_of
from taorunner.project.load import load_project
from taorunner.project.scaffold import scaffold_heads, spec_files
from taorunner.project.workspace import Workspace
from taorunner.specs.editing import prototxt_edit, yaml_edit

CHOOSING = [head for head in scaffold_heads() if Catalog().layout(head).backbones]  # type: ignore[union-attr]
OF_DATA = {
    "not-made-yet",
    "empty-dataset",
    "missing-dataset",
    "fill-in",
    "pretrained-missing",
    "missing-file",
}
"""What a project without data and weights is told in any case."""


def layout_of(head: str) -> DataLayout:
    layout = Catalog().layout(head)
    assert layout is not None
    return layout


def backbones_of(head: str) -> Backbones:
    backbones = layout_of(head).backbones
    assert backbones is not None
    return backbones


def started(head: str, wanted: str | None = None, *, use_weights: bool = True) -> Start:
    return start_of(head, layout_of(head), spec_files(head), wanted, use_weights=use_weights)


def read(file: str, text: str, key: str) -> object:
    if file.endswith(".txt"):
        return prototxt_edit.read_value(re.sub(r"(?<= )\$FILL_IN\b", "1", text), key)
    return yaml_edit.read_value(text, key)


@pytest.mark.parametrize("head", CHOOSING)
def test_every_backbone_is_written_into_every_spec_that_names_one(head: str) -> None:
    backbones = backbones_of(head)
    naming = [
        file for file, text in spec_files(head).items()
        if file != "vars.yml" and read(file, text, backbones.keys[0]) is not None
    ]  # fmt: skip
    assert any(file.startswith("train.") for file in naming)
    for one in backbones.all:
        start = started(head, one.name)
        assert start.backbone == one.name
        for file in naming:
            values = {key: read(file, start.specs[file], key) for key in backbones.keys}
            assert backbones.named_in(values) == one, (file, one.name)
            if len(one.named_by) == 1 and len(backbones.keys) == 2:
                assert values[backbones.keys[1]] is None  # no layers left of another architecture
            for key, value in one.sets.items():
                assert read(file, start.specs[file], key) == value


@pytest.mark.parametrize("head", CHOOSING)
def test_a_project_with_every_backbone_fits_the_schema_and_trains_it(head: str, tmp_path: Path) -> None:
    names = {}
    for number, one in enumerate(backbones_of(head).all):
        names[f"p{number}"] = one
        new_project(
            tmp_path, tmp_path, f"p{number}", head=head, backbone=one.name, experiment=None, dataset="train"
        )
    workspace = Workspace(tmp_path)
    found = validate_projects(workspace, (), {})
    assert {finding.code for finding in found} <= OF_DATA, [f for f in found if f.code not in OF_DATA][:3]
    for project, one in names.items():
        (experiment,) = load_project(workspace, project).experiments.values()
        specs = {path.name: path.read_text() for path in experiment.spec_dirs[0].iterdir()}
        assert named_backbone(backbones_of(head), specs) == one


@pytest.mark.parametrize("head", CHOOSING)
def test_an_unknown_backbone_is_refused_with_the_list(head: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        new_project(
            tmp_path, tmp_path, "p", head=head, backbone="resnet1999", experiment=None, dataset="train"
        )
    assert refused.value.message == f'"{head}" has no backbone "resnet1999"'
    assert refused.value.hint is not None
    assert all(name in refused.value.hint for name in backbones_of(head).names)
    assert list(tmp_path.iterdir()) == []


def test_the_nearest_name_is_said_and_a_network_without_a_choice_says_so() -> None:
    with pytest.raises(UsageError) as refused:
        started("dino", "resnet_51")
    assert (refused.value.hint or "").startswith('did you mean "resnet_50"')
    with pytest.raises(UsageError) as none:
        started("pointpillars", "resnet18")
    assert none.value.message == '"pointpillars" has no choice of backbones'


@pytest.mark.parametrize("written", ["resnet18", "resnet_18", "resnet-18", "ResNet18", "resnet:18"])
@pytest.mark.parametrize("head", ["rtdetr", "detectnet_v2", "classification_tf2", "faster_rcnn", "unet"])
def test_one_backbone_has_many_spellings(head: str, written: str) -> None:
    (name,) = {one.name for one in backbones_of(head).all if one.name in ("resnet18", "resnet_18")}
    assert started(head, written).backbone == name


def test_resnet18_is_never_another_network() -> None:
    """``--backbone resnet18`` once trained ResNet-50 without a word."""
    for head in CHOOSING:
        if backbones_of(head).find("resnet18") is None:
            with pytest.raises(UsageError):
                started(head, "resnet18")
            continue
        specs = started(head, "resnet18").specs
        text = next(text for file, text in specs.items() if file.startswith("train."))
        assert re.search(r"(?i)resnet[_:]?18|arch: \"resnet\"", text), head


@pytest.mark.parametrize("head", scaffold_heads())
def test_without_a_choice_there_are_start_weights_or_it_is_said(head: str) -> None:
    start = started(head)
    some = [row for row in layout_of(head).weights if row.only is None]
    assert (start.weights is not None) == bool(some)
    if start.weights is None:
        assert "random values" in start.says or "fetch" in start.says
        assert start.keys == {}
        return
    assert start.says == start.weights.model
    assert start.keys == {"backbone": start.weights.version, "repository": start.weights.repository}
    assert start.weights == start_weights(layout_of(head), start.backbone)
    for file, text in start.specs.items():
        if file.startswith("train.") and not start.weights.is_argument:
            assert read(file, text, start.weights.key) == "$pretrained_model"
            for key, value in (start.weights.sets or {}).items():
                assert read(file, text, key) == value


def test_rtdetr_starts_with_the_backbone_that_has_weights() -> None:
    start = started("rtdetr")
    assert (start.backbone, start.label) == ("efficientvit_l2", None)
    assert start.keys == {"backbone": "trainable_efficientvit_l2_v1.0", "repository": "rtdetr_2d_warehouse"}
    specs = {file: text for file, text in start.specs.items() if file != "vars.yml"}
    assert {read(file, text, "model.backbone") for file, text in specs.items()} == {"efficientvit_l2"}
    chosen = started("rtdetr", "resnet_50")
    assert (chosen.weights, chosen.keys) == (None, {"backbone": "resnet_50"})
    assert chosen.says == "none known for backbone resnet_50: starts from random values"
    assert chosen.hint == "taorunner networks rtdetr: backbones with weights"


@pytest.mark.parametrize("head", scaffold_heads())
def test_without_weights_neither_the_specs_nor_experiments_yml_use_any(head: str, tmp_path: Path) -> None:
    made = new_project(
        tmp_path, tmp_path, "p", head=head, backbone=None, experiment=None, dataset="train", use_weights=False
    )
    assert made.start.weights is None and "random values" in made.start.says
    workspace = Workspace(tmp_path)
    (experiment,) = load_project(workspace, "p").experiments.values()
    assert (experiment.repository, experiment.backbone) == (None, None)
    for path in experiment.spec_dirs[0].iterdir():
        assert "$pretrained_model" not in re.sub(r"(?m)#.*$", "", path.read_text()), path.name
    codes = {finding.code for finding in validate_projects(workspace, ("p",), {})}
    assert codes <= OF_DATA - {"pretrained-missing"}


def test_another_version_of_the_same_weights_is_taken_for_its_backbone() -> None:
    start = started("detectnet_v2", "mobilenet-v2")
    assert start.keys == {"backbone": "mobilenet_v2", "repository": "pretrained_detectnet_v2"}
    assert start.label == "mobilenet_v2"
    assert 'arch: "mobilenet_v2"' in start.specs["train.txt"]
    assert "num_layers" not in start.specs["train.txt"]


def test_weights_behind_an_entitled_key_are_never_taken_unasked() -> None:
    for head in scaffold_heads():
        start = started(head)
        assert start.weights is None or not start.weights.needs_entitled_key
