"""The entrypoints with real option parsers: TF1, and the deploy container's TF1 networks.

Source: tao/tensorflow.md section 2, tao/pytorch.md section 2.
"""

from __future__ import annotations

import argparse
import subprocess
from typing import Any

import launching
from generations import Generation

DEPLOY_OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "gen_trt_engine": {
        "--model_path": {"short": "-m", "required": True},
        "--key": {"short": "-k"},
        "--experiment_spec": {"short": "-e", "required": True},
        "--results_dir": {"short": "-r", "required": True},
        "--engine_file": {},
        "--data_type": {"choices": ["fp32", "fp16", "int8"], "default": "fp32"},
        "--batch_size": {"type": "int"},
        "--min_batch_size": {"type": "int", "default": 1},
        "--opt_batch_size": {"type": "int", "default": 1},
        "--max_batch_size": {"type": "int", "default": 1},
        "--max_workspace_size": {"type": "int", "default": 2},
        "--cal_image_dir": {},
        "--cal_cache_file": {},
        "--cal_data_file": {},
        "--cal_json_file": {},
    },
    "evaluate": {
        "--image_dir": {"short": "-i"},
        "--experiment_spec": {"short": "-e", "required": True},
        "--model_path": {"short": "-m", "required": True},
        "--label_dir": {"short": "-l"},
        "--batch_size": {"short": "-b", "type": "int"},
        "--results_dir": {"short": "-r", "required": True},
    },
}
DEPLOY_OPTIONS["inference"] = DEPLOY_OPTIONS["evaluate"]


def run_tf1(generation: Generation, task: str, actions: dict[str, dict[str, Any]], argv: list[str]) -> int:
    """``<task> <action> [options]``; the action is looked for at the first place only."""
    action = next((name for name in actions if argv[:1] == [name]), None)
    if action is None and argv[:1] and argv[0].startswith("-"):
        raise KeyError(action)
    parser = option_parser(task, list(actions), actions.get(action or "", {}))
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--gpu_index", type=int, nargs="+")
    parser.add_argument("--num_processes", "-np", type=int, default=-1)
    parser.add_argument("--use_amp", action="store_true")
    parser.add_argument("--log_file")
    options = vars(parser.parse_args(argv))
    ids = sorted(set(options.pop("gpu_index") or range(options["gpus"])))
    count, amp, log_file = options.pop("gpus"), options.pop("use_amp"), options.pop("log_file")
    options.pop("num_processes")
    options.pop("subtask")
    available = count_gpus()
    assert count == len(ids), "The number of GPUs must be the same as the number of GPU indices."
    assert count <= available and max(ids) < available, (
        f"{count} GPUs ({ids}) asked for, {available} present."
    )
    assert count == 1 or action == "train", f"Multi-GPU is not supported by {action}."
    assert not amp or action == "train", f"AMP is not supported by {action}."
    variables = {
        "TF_ENABLE_AUTO_MIXED_PRECISION": str(int(amp)),
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, ids)),
    }
    command = launching.through_shell(task, str(action), rebuilt(options), variables)
    return launching.run_job(generation, argv, command, log_file)


def run_deploy(generation: Generation, task: str, actions: list[str], argv: list[str]) -> int:
    """TF1 networks in the deploy container: ``--gpu_index N`` and options of its own."""
    parser = option_parser(task, actions, DEPLOY_OPTIONS.get(argv[0] if argv else "", {}))
    parser.add_argument("--gpu_index", type=int, default=0)
    parser.add_argument("--log_file")
    options = vars(parser.parse_args(argv))
    action, gpu, log_file = options.pop("subtask"), options.pop("gpu_index"), options.pop("log_file")
    command = launching.through_shell(task, action, rebuilt(options), {"CUDA_VISIBLE_DEVICES": str(gpu)})
    return launching.run_job(generation, argv, command, log_file)


def option_parser(
    task: str, actions: list[str], options: dict[str, dict[str, Any]]
) -> argparse.ArgumentParser:
    """argparse as TAO has it: prefixes accepted, exit 2 with the usage on stderr."""
    parser = argparse.ArgumentParser(prog=task)
    parser.add_argument("subtask", choices=actions)
    add_options(parser, options)
    return parser


def add_options(parser: argparse.ArgumentParser, options: dict[str, dict[str, Any]]) -> None:
    for name, about in options.items():
        names = [about["short"], name] if "short" in about else [name]
        if about.get("flag"):
            parser.add_argument(*names, action="store_true")
            continue
        parser.add_argument(
            *names,
            type={"int": int, "float": float}.get(about.get("type", ""), str),
            nargs=about.get("nargs"),
            choices=about.get("choices"),
            required=about.get("required", False),
            default=about.get("default"),
        )


def rebuilt(options: dict[str, Any]) -> list[str]:
    """The options as words for the job's command line: long names, empty values dropped, nothing quoted."""
    words: list[str] = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif isinstance(value, list):
            words += [f"--{name}", *map(str, value)]
        elif value not in (None, "", False):
            words += [f"--{name}", str(value)]
    return words


def count_gpus() -> int:
    """Lines of ``nvidia-smi -L``, which TF1 calls for every action. Raises CalledProcessError without a GPU."""
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    return len(listed.splitlines())
