"""Weights are asked for where a training reads them, and nowhere else: the same in validate and before a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.errors import Finding
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.planning.weights.needed import needed_weights
from taorunner.project.workspace import Workspace

CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
CODES = {"pretrained-missing", "pretrained-unnamed", "pretrained-unused", "backbone-differs", "missing-key"}


class Place:
    """A new project, whose files a test changes."""

    def __init__(
        self, root: Path, head: str, backbone: str | None = None, *, use_weights: bool = True
    ) -> None:
        new_project(
            root, root, "p", head=head, backbone=backbone, experiment="e", dataset="train", use_weights=use_weights
        )  # fmt: skip
        self.workspace = Workspace(root)
        self.experiments = root / "projects/p/experiments.yml"
        (self.spec,) = (root / "projects/p/specs/e").glob("train.*")

    def change(self, file: Path, old: str, new: str) -> None:
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def without(self, file: Path, *starts: str) -> None:
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.strip().startswith(starts)))

    def add(self, text: str) -> None:
        self.change(self.experiments, "    dataset: train", f"{text}    dataset: train")

    def put(self, repository: str, version: str) -> None:
        folder = self.workspace.repositories_dir / repository / f"{repository}_v{version}"
        folder.mkdir(parents=True)
        (folder / "weights.hdf5").write_text("x")

    def validated(self) -> list[Finding]:
        return [one for one in validate_projects(self.workspace, ("p",), {}) if one.code in CODES]

    def planned(self, action: str = "train", **sets: str) -> list[Finding]:
        request = ActionRequest(action, ("e",), overrides=sets)
        return [
            one for one in plan_action(self.workspace, "p", request, CALLER).findings if one.code in CODES
        ]

    def verdict(self) -> list[str]:
        """The findings as severity and code; the same of both."""
        both = [
            [f"{one.severity.value} {one.code}" for one in found]
            for found in (self.validated(), self.planned())
        ]
        assert both[0] == both[1]
        assert self.validated() == self.planned()
        return both[0]


def test_missing_weights_that_a_spec_uses_are_an_error_everywhere(tmp_path: Path) -> None:
    place = Place(tmp_path, "yolo_v4")
    assert place.verdict() == ["error pretrained-missing"]
    (finding,) = place.validated()
    assert finding.hint == "taorunner -p p pretrained pull, or correct repository and backbone"
    assert finding.line is not None
    assert [one.repository for one in needed_weights(place.workspace, "p")] == ["pretrained_object_detection"]
    assert [one.severity.value for one in place.planned("evaluate")] == ["info"]
    place.put("pretrained_object_detection", "resnet18")
    assert place.verdict() == []


@pytest.mark.parametrize("head", ["ssd", "dssd"])
def test_weights_of_the_command_line_count_as_used(head: str, tmp_path: Path) -> None:
    place = Place(tmp_path, head)
    assert place.verdict() == ["error pretrained-missing"]


def test_a_path_of_its_own_in_the_spec_needs_no_repository(tmp_path: Path) -> None:
    place = Place(tmp_path, "yolo_v4")
    (tmp_path / "repositories/mine").mkdir(parents=True)
    (tmp_path / "repositories/mine/resnet_18.hdf5").write_text("x")
    place.change(place.spec, "$pretrained_model", "/workspace/repositories/mine/resnet_18.hdf5")
    assert place.verdict() == ["warning pretrained-unused"]
    assert needed_weights(place.workspace, "p") == []
    place.without(place.experiments, "repository:", "backbone:")
    assert place.verdict() == []


def test_a_retrain_from_a_pruned_model_needs_none(tmp_path: Path) -> None:
    place = Place(tmp_path, "yolo_v4")
    place.change(
        place.spec, 'pretrain_model_path: "$pretrained_model"', 'pruned_model_path: "$results_dir/p.hdf5"'
    )
    place.without(place.experiments, "repository:", "backbone:")
    assert place.verdict() == []


@pytest.mark.parametrize("head", ["rtdetr", "detectnet_v2"])
def test_of_a_spec_that_cannot_be_read_nothing_is_said(head: str, tmp_path: Path) -> None:
    place = Place(tmp_path, head)
    place.spec.write_text(place.spec.read_text() + "\n{ not: [closed\n")
    assert place.verdict() == []


def test_training_from_scratch_needs_neither_repository_nor_backbone(tmp_path: Path) -> None:
    place = Place(tmp_path, "detectnet_v2")
    place.without(place.spec, "pretrained_model_file")
    assert place.verdict() == ["warning pretrained-unused"]
    (finding,) = place.validated()
    assert "model_config.pretrained_model_file" in str(finding.hint)
    place.without(place.experiments, "repository:", "backbone:")
    assert place.verdict() == []


def test_a_spec_that_uses_weights_which_nothing_names(tmp_path: Path) -> None:
    place = Place(tmp_path, "detectnet_v2")
    place.without(place.experiments, "repository:")
    assert place.verdict() == ["error pretrained-unnamed"]
    (finding,) = place.validated()
    assert "taorunner networks detectnet_v2" in str(finding.hint)


def test_overrides_and_variables_decide_what_is_used(tmp_path: Path) -> None:
    place = Place(tmp_path, "dino")
    assert place.verdict() == ["error pretrained-missing"]
    replaced = {"model.pretrained_backbone_path": "/workspace/repositories/own.pth"}
    assert [one.code for one in place.planned(**replaced)] == ["pretrained-unused"]
    place.add("    overrides: {model.pretrained_backbone_path: /workspace/repositories/own.pth}\n")
    assert place.verdict() == ["warning pretrained-unused"]
    place.change(place.experiments, "model.pretrained_backbone_path: /workspace/repositories/own.pth",
                 "train.pretrained_model_path: $pretrained_model, model.pretrained_backbone_path: null")  # fmt: skip
    assert place.verdict() == ["error pretrained-missing"]


def test_weights_behind_a_variable_of_ones_own_are_used(tmp_path: Path) -> None:
    place = Place(tmp_path, "dino")
    place.change(
        place.spec, "pretrained_backbone_path: $pretrained_model", "pretrained_backbone_path: $start"
    )
    place.add("    vars: {start: $pretrained_model}\n")
    assert place.verdict() == ["error pretrained-missing"]


def test_a_backbone_that_the_spec_does_not_train_is_found(tmp_path: Path) -> None:
    place = Place(tmp_path, "detectnet_v2")
    place.put("pretrained_detectnet_v2", "resnet34")
    place.change(place.experiments, "backbone: resnet18", "backbone: resnet34")
    assert place.verdict() == ["error backbone-differs"]
    (finding,) = place.validated()
    assert (
        finding.message
        == '"backbone" stands for weights of resnet34, and "model_config.arch" of train is "resnet:18"'
    )
    place.change(place.spec, "num_layers: 18", "num_layers: 34")
    assert place.verdict() == []


def test_a_version_of_weights_stands_for_its_backbone(tmp_path: Path) -> None:
    place = Place(tmp_path, "rtdetr")
    place.put("rtdetr_2d_warehouse", "trainable_efficientvit_l2_v1.0")
    assert place.verdict() == []
    place.change(place.spec, "backbone: efficientvit_l2", "backbone: resnet_50")
    assert place.verdict() == ["error backbone-differs"]
    assert [one.code for one in place.planned(**{"model.backbone": "efficientvit_l2"})] == []


def test_without_weights_another_backbone_is_a_warning(tmp_path: Path) -> None:
    place = Place(tmp_path, "dino", "resnet_34", use_weights=False)
    assert place.verdict() == []
    place.change(place.experiments, "backbone: resnet_34", "backbone: fan_small")
    assert place.verdict() == ["warning backbone-differs"]
    place.change(place.experiments, "backbone: fan_small", "backbone: my_own")
    assert place.verdict() == []
