"""The first word of a command line in the stand-in: which of TAO's commands is it, and which entrypoint reads it?"""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import entry_hydra
import entry_proto
import generations
import gpus


def main(argv: list[str]) -> int:
    """Gives the container's exit code."""
    task = Path(argv[0]).name
    if task == "nvidia-smi":
        return gpus.nvidia_smi(argv[1:])
    generation = generations.current()
    facts = tasks()
    proto_tasks = {name for name, about in facts["tf"].items() if about["framework"] == "tf1"}
    try:
        if generation.family == "tf1" and task in proto_tasks:
            return entry_proto.run_tf1(generation, task, facts["tf"][task]["actions"], argv[1:])
        if generation.family == "tf2" and task in facts["tf"] and task not in proto_tasks:
            return entry_hydra.run_tf2(generation, task, list(facts["tf"][task]["actions"]), argv[1:])
        actions = actions_of(generation.name, facts["hydra"].get(task, {}))
        if actions and facts["hydra"][task]["style"] == "proto_argparse":
            return entry_proto.run_deploy(generation, task, actions, argv[1:])
        if actions:
            return entry_hydra.run_yaml(generation, task, actions, argv[1:])
    except Exception:
        traceback.print_exc()
        return 1
    print(f"/bin/bash: line 1: {task}: command not found")
    return 127


def actions_of(generation: str, about: dict[str, Any]) -> list[str]:
    """The actions a task has in this generation's image; none when the image lacks the task."""
    if generation.startswith("deploy"):
        return list(about.get("deploy", []))
    if generation == "data_services":
        return list(about.get("dataset", []))
    if generation == "pyt_7":
        return list(about.get("model", []))
    if generation == "pyt_6":
        return list(about.get("model_6", []))
    newer = {"quantize"} if generation == "pyt_5.5" else {"quantize", "distill"}
    return [action for action in about.get("model_6", []) if action not in newer]


def tasks() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(Path(__file__).with_name("tasks.json").read_text())
    return facts
