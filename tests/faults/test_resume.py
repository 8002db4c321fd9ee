"""A stopped training resumes in a real container from its newest full checkpoint, in the way of its network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from command_line import wait_for

SSD = """\
dssd_config { arch: "resnet" nlayers: 18 }
training_config { num_epochs: 4 checkpoint_interval: 1 pretrain_model_path: "$pretrained_model" }
"""
HEADS = {
    "pyt_7": ({"head": "dino"}, {}),
    "tf1": (
        {"head": "dssd", "release": "5.0.0", "repository": "r", "backbone": "resnet18", "model_key": "env:TAO_KEY"},
        {"specs": {"e1/train.txt": SSD}, "repositories": {"r/r_vresnet18/resnet_18.hdf5": "w"}},
    ),
}  # fmt: skip


def stop_after_an_epoch(here: Any, env: dict[str, str]) -> None:
    started = here.cli("train", "e1", "--detach", cwd=here.root, env=env)
    assert started.code == 0, started.err
    wait_for(lambda: here.events("e1", "CheckpointSaved"))
    stopped = here.cli("stop", "--all", cwd=here.root)
    assert stopped.code == 0, stopped.err
    assert here.states() == {"e1": "STOPPED"}


@pytest.mark.parametrize("generation", HEADS)
def test_a_stopped_training_goes_on_behind_its_last_epoch(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str], generation: str
) -> None:
    entry, files = HEADS[generation]
    here = place(engine, tao_image(generation), {"e1": entry}, epoch_s=0.3, gate=1, **files)
    env = {"TAO_KEY": "a-key-of-mine"}
    stop_after_an_epoch(here, env)
    first = here.records()["e1"]
    newest = max(event["epoch"] for event in here.events("e1", "CheckpointSaved"))

    refused = here.cli("train", "e1", cwd=here.root, env=env)
    assert refused.code == 3
    assert "taorunner resume e1" in refused.err and "--overwrite" in refused.err
    done = here.cli("train", "e1", "--resume", "--plain", cwd=here.root, env=env)
    assert done.code == 0, done.out + done.err
    assert f"resumes after epoch {newest}, from " in done.err, done.err

    second = here.records()["e1"]
    assert second["id"] != first["id"]
    assert (second["state"], second["resumed_from"], second["attempt"]) == ("SUCCEEDED", first["id"], 2)
    epochs = [event["epoch"] for event in here.events("e1", "EpochProgress") if event["completed"]]
    assert epochs == list(range(newest + 1, 5))
    again = here.cli("resume", "e1", cwd=here.root, env=env)
    assert again.code == 3
    assert "nothing is left to train" in again.err
    here.is_left_clean()


def test_resume_of_the_embedded_network(place: Callable[..., Any], engine: Any, tmp_path: Any) -> None:
    here = place(engine, "unused:1", {"e1": {}})
    made = here.cli(
        "quickstart", str(tmp_path / "demo"), "--epochs", "2", "--images", "40", cwd=tmp_path, timeout_s=150
    )
    assert made.code == 0, made.err
    demo = tmp_path / "demo"
    record = json.loads(here.cli("runs", "list", "--json", cwd=demo).out)
    name = next(run for run in record if run["action"] == "train")["experiment"]
    epochs = next(run for run in record if run["action"] == "train")["epochs"]
    interval = ("--set", "train.checkpoint_interval=1")
    refused = here.cli("resume", name, "--set", f"train.num_epochs={epochs}", *interval, cwd=demo)
    assert refused.code == 3
    assert "nothing is left to train" in refused.err
    longer = ("--set", f"train.num_epochs={epochs + 1}", *interval)
    more = here.cli("resume", name, *longer, "--json", cwd=demo, timeout_s=120)
    assert more.code == 0, more.err
    events = [json.loads(line) for line in more.out.splitlines()]
    done = [event["epoch"] for event in events if event["event"] == "EpochProgress" and event["completed"]]
    assert done == [epochs + 1]
