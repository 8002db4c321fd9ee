"""The entrypoints that hand a YAML spec and ``key=value`` words to Hydra: TF2, PyTorch, deploy, data services.

Source: tao/pytorch.md section 2, tao/tensorflow.md section 3.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

import gpus
import launching
import nodes
import spec_values
from generations import Generation

TORCHRUN = {"bevfusion", "pointpillars", "rtdetr"}
TORCHRUN_5_5 = {"classification_pyt", "bevfusion", "segformer", "pointpillars"}
MULTI_GPU_ACTIONS = {"train", "evaluate", "inference", "distill"}
GPUS_FLAG_5_2 = {"dino", "deformable_detr", "classification_pyt", "mal", "ocdnet", "optical_inspection",
                 "segformer", "visual_changenet", "pointpillars", "centerpose"}  # fmt: skip
NO_KEY_5_2 = {"classification_pyt", "mal", "ml_recog", "ocdnet", "segformer"}


def run_tf2(generation: Generation, task: str, actions: list[str], argv: list[str]) -> int:
    """``<task> <action> -e /abs/spec.yaml [key=value …]``, through a shell."""
    is_old = generation.name == "tf2_5.0"
    parser = action_parser(task, actions)
    parser.add_argument("-e", "--experiment_spec" if is_old else "--experiment_spec_file", dest="spec")
    if is_old:
        parser.add_argument("-g", "--gpus", type=int, default=1)
        parser.add_argument("--gpu_index", type=int, nargs="+")
    options, rest = parser.parse_known_args(argv)
    if not options.spec or not Path(options.spec).is_file():
        raise FileNotFoundError(f"No such spec file: {options.spec}")
    if is_old:
        ids = sorted(set(options.gpu_index or range(options.gpus)))
        assert len(ids) == options.gpus, "The number of GPUs must be the same as the number of GPU indices."
    else:
        ids = gpu_ids("", Path(options.spec).read_text(), rest)
    variables = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, ids))}
    command = launching.through_shell(task, options.subtask, ["-e", options.spec, *rest], variables)
    return launching.run_job(generation, argv, command)


def run_yaml(generation: Generation, task: str, actions: list[str], argv: list[str]) -> int:
    """PyTorch, deploy and data-services tasks."""
    parser = action_parser(task, actions)
    parser.add_argument("-e", "--experiment_spec_file", dest="spec")
    if generation.name == "pyt_5.2":
        parser.add_argument("-r", "--results_dir")
        if task not in NO_KEY_5_2:
            parser.add_argument("-k", "--key")
        if task in GPUS_FLAG_5_2:
            parser.add_argument("--gpus", type=int)
    options, rest = parser.parse_known_args(argv)
    if options.subtask == "default_specs":
        return launching.run_job(generation, argv, launching.without_shell(task, options.subtask, rest))
    if not options.spec or not Path(options.spec).is_file():
        raise FileNotFoundError(f"The spec file '{options.spec}' does not exist.")
    require_log_folder()
    rest += translated_flags(options)
    nodes.override(generation, Path(options.spec))
    spec_text = Path(options.spec).read_text()
    words = ["-e", options.spec, *rest]
    if generation.family == "deploy":
        gpu = str(max(gpu_ids(options.subtask, spec_text, rest)))
        command = launching.through_shell(task, options.subtask, words, {"CUDA_VISIBLE_DEVICES": gpu})
        return launching.run_job(generation, argv, command)
    ids = gpu_ids(options.subtask if generation.family == "pyt" else "", spec_text, rest)
    if generation.family == "data_services" and options.subtask == "generate":
        assert len(ids) <= len(gpus.visible()), f"{len(ids)} GPUs asked for, {len(gpus.visible())} present."
    listed = ",".join(map(str, ids))
    torchrun = TORCHRUN_5_5 if generation.name == "pyt_5.5" else TORCHRUN
    variables = {"TAO_VISIBLE_DEVICES": listed}
    if task in torchrun and generation.family == "pyt":
        variables["CUDA_VISIBLE_DEVICES"] = listed
    return launching.run_job(
        generation, argv, launching.without_shell(task, options.subtask, words), **variables
    )


def action_parser(task: str, actions: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=task)
    parser.add_argument("subtask", choices=actions)
    return parser


def translated_flags(options: argparse.Namespace) -> list[str]:
    """What 5.0 to 5.3 make of ``-r``, ``-k`` and ``--gpus``."""
    given = vars(options)
    words = []
    if given.get("results_dir"):
        words.append(f"results_dir={given['results_dir']}")
    if given.get("key"):
        words.append(f"encryption_key={given['key']}")
    if given.get("gpus"):
        words.append(f"{options.subtask}.num_gpus={given['gpus']}")
    return words


def gpu_ids(action: str, spec_text: str, overrides: Sequence[str]) -> list[int]:
    """The ids a job gets: the command line's alone when it names any, else the spec's; a mismatch is widened."""
    text = " ".join(overrides)
    if re.search(r"num_gpus|gpu_ids|cuda_blocking", text):
        count_text = re.search(r"num_gpus=(\d+)", text)
        ids_text = re.search(r"gpu_ids=\[?([\d,\s]*)", text)
        count, listed = count_text[1] if count_text else "", ids_text[1] if ids_text else ""
    else:
        section = "train" if action == "distill" else action
        prefix = f"{section}." if section in MULTI_GPU_ACTIONS else ""
        values = spec_values.flat_yaml(spec_text)
        count, listed = values.get(f"{prefix}num_gpus", ""), values.get(f"{prefix}gpu_ids", "")
    ids = [int(word) for word in re.findall(r"\d+", listed)]
    wanted = int(count) if count.isdigit() else max(len(ids), 1)
    if not ids:
        return list(range(wanted))
    return ids if len(ids) == wanted else list(range(max(wanted, len(ids))))


def require_log_folder() -> None:
    """With JOB_ID the entrypoint appends to a log whose folder must be there."""
    if os.environ.get("JOB_ID"):
        folder = Path(os.environ.get("TAO_MICROSERVICES_TTY_LOG", "/results")) / os.environ["JOB_ID"]
        (folder / "microservices_log.txt").open("a").close()
