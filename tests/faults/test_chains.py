"""A chain on a real engine: its supervisor is killed, its container dies, and each action still gets what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_line import wait_for
from killing import kill_supervisors

SPEC = """\
results_dir: $results_dir
train:
  num_gpus: $num_gpus
  gpu_ids: $gpu_ids
  num_epochs: 4
  validation_interval: 1
  checkpoint_interval: 1
"""
SPECS = {"e1/train.yaml": SPEC, "e1/export.yaml": "results_dir: $results_dir\n"}


def runs(here: Any) -> dict[str, dict[str, Any]]:
    """Records by action, with the command line of each."""
    found = {}
    for path in (here.root / ".taorunner/runs").glob("*/record.json"):
        record = json.loads(path.read_text())
        argv = json.loads((path.parent / "plan.json").read_text())["argv"]
        found[record["action"]] = {**record, "argv": argv, "folder": path.parent}
    return found


def checks_chain(here: Any) -> None:
    """Every action succeeded, and the later ones read a checkpoint of the training."""
    found = runs(here)
    assert {action: one["state"] for action, one in found.items()} == dict.fromkeys(
        ("train", "evaluate", "export"), "SUCCEEDED"
    ), {action: one["reason"] for action, one in found.items()}
    read = [token for one in found.values() for token in one["argv"] if ".checkpoint=" in token]
    names = {Path(token).name.replace("\\\\", "") for token in read}
    assert len(read) == 2 and len(names) == 1
    results = here.root / "projects/example_01/models/e1"
    assert (results / "train" / names.pop()).exists()
    assert len(list((results / "export").glob("*.onnx"))) == 1
    here.is_left_clean()


def test_a_supervisor_killed_in_each_action_is_followed_by_another(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(engine, tao_image("pyt_7"), {"e1": {}}, epoch_s=1, specs=SPECS)
    words = ("train", "e1", "--then", "evaluate,export", "--detach")
    started = here.cli(*words, cwd=here.root)
    assert started.code == 0, started.err
    wait_for(lambda: runs(here)["train"]["state"] == "RUNNING")
    assert kill_supervisors(here.root) == 1
    here.cli("ps", cwd=here.root)
    wait_for(lambda: runs(here)["evaluate"]["state"] in ("STARTING", "RUNNING", "SUCCEEDED"))
    assert kill_supervisors(here.root) == 1
    wait_for(lambda: here.cli("ps", "--json", cwd=here.root).json == [])
    checks_chain(here)


def test_a_chain_goes_on_after_another_attempt_of_its_training(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(engine, tao_image("pyt_7"), {"e1": {}}, epoch_s=1, specs=SPECS)
    words = ("train", "e1", "--then", "evaluate,export", "--retries", "1", "--detach")
    assert here.cli(*words, cwd=here.root).code == 0
    wait_for(lambda: any(event["epoch"] == 1 for event in checkpoints(here)))
    (container,) = here.containers()
    assert engine.docker("kill", "-s", "KILL", container).returncode == 0
    wait_for(lambda: here.cli("ps", "--json", cwd=here.root).json == [])
    assert runs(here)["train"]["attempt"] == 2
    checks_chain(here)


def checkpoints(here: Any) -> list[dict[str, Any]]:
    """The checkpoints of the training so far, as events with an epoch."""
    lines = (runs(here)["train"]["folder"] / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "CheckpointSaved"]
