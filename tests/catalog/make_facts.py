"""Writes ``tao_facts.json`` from what was gathered from TAO's own sources.

    python tests/catalog/make_facts.py catalog_pyt.json catalog_tf.json

The options of the TensorRT containers are in neither file; they are kept as they are, with their source. Compact:
an option table is one line and is written once, tags come without the registry, empty values are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "tao_facts.json"
REGISTRY = "nvcr.io/nvidia/tao/tao-toolkit:"
PYT_KEYS = (
    "actions", "actions_6_25_10_model", "gpus_key", "gpu_ids_key", "epochs_key", "pretrained_key", "pretrained_keys_all",
    "resume_key", "encryption_key", "checkpoint_in_keys", "trt_keys", "onnx_out_key", "checkpoint_glob",
    "latest_checkpoint", "launcher", "module_fallback", "extra_checkpoints", "spec_format", "status_path",
    "status_paths", "default_specs_broken_in_model_7_0_1",
)  # fmt: skip
TF_KEYS = (
    "framework", "spec_format", "epochs_path", "batch_size_path", "checkpoint_interval_path", "pretrained_path",
    "resume_path", "pruned_path", "tfrecords_path", "image_dir_path", "label_dir_path", "auto_resume", "epoch_index",
    "multigpu_actions", "pretrained_cli", "results_flag", "last_epoch_always_saved",
)  # fmt: skip


class Tables:
    """Option tables by their text, so that each is written once."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def name(self, text: str) -> str:
        return self.names.setdefault(text, f"t{len(self.names) + 1}")

    def by_name(self) -> dict[str, str]:
        return {name: text for text, name in self.names.items()}


def option_table(options: dict[str, Any]) -> str:
    """``-o/--output! -v/--verbose~``: ``!`` required, ``~`` flag, ``+`` or ``*`` nargs."""
    return " ".join(
        (f"{facts['short']}/" if facts.get("short") else "") + name + ("!" if facts.get("required") else "")
        + ("~" if facts.get("flag") else "") + str(facts.get("nargs") or "")
        for name, facts in options.items()
    )  # fmt: skip


def tensorflow(tasks: dict[str, Any], tables: Tables) -> dict[str, Any]:
    return {
        name: {
            "actions": {
                action: tables.name(option_table(facts.get("options") or {}))
                for action, facts in task["actions"].items()
            },
            **{key: task.get(key) for key in TF_KEYS},
            "checkpoint_glob": task["checkpoint_glob"]["5.x"],
        }
        for name, task in tasks.items()
    }


def without_registry(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_registry(inner) for key, inner in value.items()}
    return value.removeprefix(REGISTRY)


def facts(pyt: dict[str, Any], tf: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    tables = Tables()
    gathered = tensorflow(tf["tasks"], tables)
    deploy = {
        name: {action: tables.name(known["option_tables"][table]) for action, table in actions.items()}
        for name, actions in known["deploy_options"].items()
    }
    return {
        "source": "tao/catalog_tf.json, tao/catalog_pyt.json; deploy_options: nvidia_tao_deploy 7.3.0 cv/*/scripts",
        "notation": "option tables: short/--long, then ! required, ~ flag, + or * nargs",
        "option_tables": tables.by_name(),
        "tf": gathered,
        "pyt": {
            name: {key: task[key] for key in PYT_KEYS if task.get(key) not in (None, {}, [])}
            for name, task in pyt["tasks"].items()
        },
        "deploy_options": deploy,
        "images": without_registry(pyt["images"]),
        "exit_code_trust": pyt["exit_code_trust"],
        "status_terminal": pyt["status_terminal"],
        "status_subdir": pyt["status_subdir"],
        "only_in_4": tf["not_in_5x"]["tf1_4.x_only"],
    }


def as_text(gathered: dict[str, Any]) -> str:
    """JSON with one line for each task, so that a difference can be read."""
    sections = []
    for name, value in gathered.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(inner)}" for key, inner in value.items())
            sections.append(f" {json.dumps(name)}: {{\n{rows}\n }}")
        else:
            sections.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


def main(paths: list[str]) -> None:
    pyt, tf = (json.loads(Path(path).read_text(encoding="utf-8")) for path in paths)
    known = json.loads(TARGET.read_text(encoding="utf-8"))
    TARGET.write_text(as_text(facts(pyt, tf, known)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
