"""An experiment's own variables, and those of taorunner in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.planning.inputs.values import RunValues, ValueFinder, own_values
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
    """``find("evaluate", models={…})``: the values of an action of dino."""

    def make(action: str, **files: dict[str, str]) -> RunValues:
        entry = {"experiments": {"e1": {"head": "dino", "dataset": "d"}}}
        workspace = Workspace(workspace_factory(entry, data={"d/": ""}, **files))
        experiment = load_project(workspace, "example_01").experiments["e1"]
        network = load_network("dino")
        finder = ValueFinder(
            workspace, workspace.project("example_01"), experiment, network, Mounts.identity()
        )
        return finder.find(network.contract(action), GpuRequest(1), None)

    return make


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
