"""``networks`` and the workspace's own networks, from the command line to the plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

from taorunner.catalog.load import load_network, network_names

WITHOUT_A_RANKING_METRIC = {
    ("bpnet", "train"), ("mae", "evaluate"), ("multitask_classification", "evaluate"), ("pointpillars", "train"),
    ("unet", "train"),
}  # fmt: skip
"""These write losses only, or nothing."""

OURS = """\
title: Our head
purpose: object detection
sources: [our own trainer]
needs: [dataset]
words: {latest: our_model, key_name: key}
groups:
  model:
    family: pyt
    since: 6.0.0
    actions:
      train: {arguments: {amp: train.precision=fp16}}
"""


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    root = workspace_factory(
        "experiments:\n  ours_01: {head: our_head, dataset: d, release: 7.0.1}\n",
        specs={"ours_01/train.yaml": "train:\n  num_epochs: 2\n"},
        data={"d/": ""},
    )
    (root / "networks").mkdir()
    (root / "networks" / "our_head.yml").write_text(OURS, encoding="utf-8")
    return root


def test_all_networks_as_json(cli: Cli, tmp_path: Path) -> None:
    done = cli("networks", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert [network["name"] for network in done.json] == list(network_names())
    for network in done.json:
        known = load_network(network["name"])
        assert list(network["by_release"]) == network["releases"] == list(known.releases)
    keys = {frozenset(action) for network in done.json for action in network["actions"].values()}
    assert len(keys) == 1


def test_the_metrics_of_an_action_are_in_the_json(cli: Cli, tmp_path: Path) -> None:
    actions = cli("networks", "oneformer", "--json", cwd=tmp_path).json["actions"]
    assert actions["train"]["kpi"][0] == {
        "name": "mIoU/<set>", "pattern": "mIoU/.+", "direction": "up", "scale": "fraction", "ranks": True,
    }  # fmt: skip
    assert {
        "name": "*loss*",
        "pattern": ".*loss.*",
        "direction": "down",
        "scale": "own",
        "ranks": False,
    } in actions["train"]["kpi"]
    assert actions["export"]["kpi"] == []


def test_every_action_that_trains_or_evaluates_has_a_metric_to_rank_by(cli: Cli, tmp_path: Path) -> None:
    without = {
        (network["name"], name)
        for network in cli("networks", "--json", cwd=tmp_path).json
        for name, action in network["actions"].items()
        if name in ("train", "evaluate", "deploy.evaluate") and action["kpi"] is not None
        if not any(metric["ranks"] for metric in action["kpi"])
    }
    assert without == WITHOUT_A_RANKING_METRIC


def test_what_is_not_known_is_in_the_json(cli: Cli, tmp_path: Path) -> None:
    train = cli("networks", "dssd", "--release", "3.21.08", "--json", cwd=tmp_path).json["actions"]["train"]
    assert (train["image"], train["command"]) == ("nvcr.io/nvidia/tao/tao-toolkit-tf:v3.21.08-py3", None)
    assert list(train["unknown"]) == ["contract"]
    page = cli("networks", "dssd", "--release", "3.21.08", cwd=tmp_path)
    assert "how to run dataset_convert, train" in page.out and "not known" in page.out


def test_a_page_says_actions_images_keys_and_traps(cli: Cli, tmp_path: Path) -> None:
    page = cli("networks", "dino", cwd=tmp_path, env={"COLUMNS": "80"}).out
    assert max(map(len, page.splitlines())) <= 80
    for line in (
        "quantize              quantize.yaml        one   7.0.1-pyt     from 6.26.3",
        "5.5.0    5.5.0-pyt       5.5.0-deploy",
        "epochs               train.num_epochs",
        "  · export fails when its file already exists",
    ):
        assert line in page.splitlines()


def test_a_page_lists_the_backbones_with_their_weights(cli: Cli, tmp_path: Path) -> None:
    page = cli("networks", "rtdetr", cwd=tmp_path, env={"COLUMNS": "200"}).out
    assert (
        "backbones (--backbone)\n"
        "  · efficientvit_l2: nvidia/tao/rtdetr_2d_warehouse:trainable_efficientvit_l2_v1.0\n"
        "  · without known weights: resnet_18, resnet_34, resnet_50, "
    ) in page
    rows = cli("networks", "detectnet_v2", "--json", cwd=tmp_path).json["layout"]["backbones"]["names"]
    found = {row["name"]: row["weights"] for row in rows}
    assert found["resnet34"] == "nvidia/tao/pretrained_detectnet_v2:resnet34"
    assert found["helnet10"] is None
    assert rows[0]["named_by"] == {"model_config.arch": "resnet", "model_config.num_layers": 10}


def test_a_network_of_the_workspace_is_shown_checked_and_planned(cli: Cli, workspace: Path) -> None:
    shown = cli("networks", "our_head", "--json", cwd=workspace).json
    assert (shown["title"], shown["file"]) == ("Our head", str(workspace / "networks" / "our_head.yml"))
    assert [n["name"] for n in cli("networks", "--json", cwd=workspace).json if n["file"]] == ["our_head"]
    assert "workspace" in cli("networks", cwd=workspace, env={"COLUMNS": "200"}).out
    assert "our_head" in json.dumps(cli("schema", cwd=workspace).json)
    assert cli("validate", "--strict", "--json", cwd=workspace).json == []
    planned = cli("train", "ours_01", "--dry-run", "--json", cwd=workspace)
    assert planned.code == 0, planned.err
    assert planned.json[0]["argv"][:2] == ["our_head", "train"]
    assert planned.json[0]["argv"][-1] == "train.precision=fp16"


def test_a_broken_file_stops_what_needs_it_and_says_where(cli: Cli, workspace: Path) -> None:
    file = workspace / "networks" / "our_head.yml"
    file.write_text(OURS.replace("family: pyt", "family: pty"), encoding="utf-8")
    for command in (
        ("validate",),
        ("networks",),
        ("networks", "our_head"),
        ("train", "ours_01", "--dry-run"),
    ):
        done = cli(*command, cwd=workspace)
        assert done.code == 3, (command, done)
        assert 'our_head.yml:8:13: error: "pty" is not a family' in done.out + done.err, (command, done)
        assert "Traceback" not in done.err
    assert cli("networks", "dssd", cwd=workspace).code == 0


def test_a_release_of_which_nothing_is_known_is_refused_before_anything_starts(
    cli: Cli, workspace_factory: Callable[..., Path]
) -> None:
    root = workspace_factory(
        "experiments:\n  a: {head: yolo_v3, dataset: d, backbone: resnet18, repository: r, release: 3.21.11}\n",
        specs={"a/train.txt": "training_config { num_epochs: 2 }\n"},
        data={"d/": ""},
    )
    for command in (("validate",), ("train", "a", "--dry-run")):
        done = cli(*command, cwd=root)
        assert done.code == 3
        assert (
            "in TAO release 3.21.11 are unknown: the containers before 5.0 are closed" in done.out + done.err
        )
