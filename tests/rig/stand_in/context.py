"""What a job knows when its script starts: its options, its spec, where it writes, how it logs."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import entry_proto
import settings
import spec_values
from generations import Generation
from status import StatusFile

TOP_KEYS = {
    "results_dir", "encryption_key", "key", "model_name", "num_gpus", "gpu_ids", "gpu_id", "num_nodes", "wandb",
    "task", "train", "evaluate", "inference", "export", "prune", "quantize", "distill", "dataset", "model",
    "gen_trt_engine", "dataset_convert", "convert", "augment", "generate", "hydra", "data", "seed", "clearml",
    "verbose", "class_names",
}  # fmt: skip
TRAIN_KEYS = {
    "num_gpus", "gpu_ids", "num_nodes", "seed", "cudnn", "num_epochs", "checkpoint_interval",
    "validation_interval", "checkpoint_interval_unit", "resume_training_checkpoint_path", "results_dir",
    "freeze", "pretrained_model_path", "pretrained_checkpoint", "pretrained_model", "clip_grad_norm",
    "is_dry_run", "optim", "precision", "activation_checkpoint", "distributed_strategy", "verbose",
    "enable_ema", "ema", "optimizer", "optim_config", "loss", "tensorboard", "sync_batchnorm",
    "accum_grad_batches", "batch_size", "batch_size_per_gpu", "segment", "classify", "early_stopping",
    "checkpoint", "num_examples_per_epoch", "lr_config", "lr_schedule", "reg_config", "bn_config", "qat",
    "trainer", "n_workers", "random_seed", "image_mean", "loss_config", "moving_average_decay", "amp",
    "enable_qat", "label_smoothing", "train_config", "model_ema", "init_epoch", "optim_momentum",
    "iters_per_epoch", "num_worker", "post_processing", "metric", "exp_config", "manual_seed",
}  # fmt: skip
DEPLOY_FOLDERS = {"evaluate": "trt_evaluate", "inference": "trt_inference"}


class HydraError(Exception):
    """The configuration is not to be had; the script ends before it opens status.json."""


@dataclass
class Job:
    """``top_dir`` is the folder the caller named, ``results_dir`` the one this action writes into."""

    generation: Generation
    task: str
    action: str
    options: dict[str, Any]
    spec_path: Path | None
    spec_text: str
    settings: settings.Settings
    top_dir: Path
    results_dir: Path
    status: StatusFile
    values: dict[str, str] = field(default_factory=dict)  # dotted keys of a YAML spec, overrides applied

    @property
    def title(self) -> str:
        return "Training" if self.action == "train" else self.action.capitalize()

    def log(self, message: str, level: str = "INFO") -> None:
        """A line with TAO's prefix; in 7.x a line of status.json as well."""
        now = datetime.now().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        print(f"{now} [TAO Toolkit] [{level}] nvidia_tao.{self.task} 101: {message}", flush=True)
        if self.generation.mirrors_log:
            self.status.write("FAILURE" if level == "ERROR" else "RUNNING", message)

    def value(self, key: str, otherwise: str = "") -> str:
        """A value of the spec: a dotted key of YAML, the last part of it for protobuf text."""
        if self.values:
            return self.values.get(key) or otherwise
        return spec_values.prototxt_value(self.spec_text, key.rpartition(".")[2]) or otherwise

    @property
    def epochs(self) -> int:
        if self.settings.epochs is not None:
            return self.settings.epochs
        for key in (
            "train.num_epochs",
            "num_epochs",
            "training_config.epochs",
            "train_config.n_epochs",
            "num_epoch",
        ):
            if self.value(key).isdigit():
                return int(self.value(key))
        return 3


def from_options(
    generation: Generation, task: str, action: str, known: dict[str, dict[str, Any]] | None, words: list[str]
) -> Job:
    """A job of a script with argparse. Unknown words end it with code 2."""
    parser = entry_proto.option_parser(
        task, [action], known[action] if known else entry_proto.DEPLOY_OPTIONS[action]
    )
    options = vars(parser.parse_args([action, *words]))
    spec_path = next((Path(options[name]) for name in spec_names(action) if options.get(name)), None)
    spec_text = spec_path.read_text() if spec_path else ""
    results = options.get("results_dir") or options.get("model_dir")
    output = options.get("output_file") or options.get("output_filename") or options.get("output_dir")
    model = options.get("model_path") or options.get("model")
    top_dir = Path(
        results or (Path(output).parent if output else None) or (Path(model).parent if model else "/tmp")
    )
    has_record = action in ("train", "evaluate", "inference") or bool(results)
    mode = "w" if action == "dataset_convert" else "a"
    return Job(
        generation, task, action, options, spec_path, spec_text, settings.read(spec_text), top_dir, top_dir,
        StatusFile(top_dir / "status.json" if has_record else None, mode),
    )  # fmt: skip


def spec_names(action: str) -> list[str]:
    if action == "dataset_convert":
        return ["dataset_export_spec", "dataset_spec", "experiment_spec_file"]
    return ["experiment_spec_file", "experiment_spec", "experiment_spec_path", "experiment_spec_filename"]


def from_hydra(generation: Generation, task: str, action: str, words: list[str]) -> Job:
    """A job of a script under Hydra: exit 2 for words it cannot read, exit 1 for keys its schema lacks."""
    spec_path = Path(words[words.index("-e") + 1]) if "-e" in words else None
    overrides = words[2:] if spec_path else words
    strange = [word for word in overrides if "=" not in word or word.startswith("-")]
    if strange:
        print(f"usage: {action}.py [--help] [--config-path CONFIG_PATH] [overrides ...]", file=sys.stderr)
        print(f"{action}.py: error: unrecognized arguments: {' '.join(strange)}", file=sys.stderr)
        sys.exit(2)
    spec_text = spec_path.read_text() if spec_path else ""
    steering = settings.read(spec_text)
    values = {key: value for key, value in spec_values.flat_yaml(spec_text).items() if value or "." in key}
    given = dict(word.split("=", 1) for word in overrides)
    try:
        check_keys(generation, {**values, **given}, steering.fail)
    except HydraError as error:
        print(f"{error}\n\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.")
        sys.exit(1)
    values.update({key: spec_values.plain(value) for key, value in given.items()})
    top = values.get("results_dir", "")
    own = values.get(f"{action}.results_dir", "")
    if not (top or own):
        raise ValueError(
            f"You need to set at least one of following fields: results_dir, {action}.results_dir"
        )
    results = results_of(generation, task, action, Path(top or own), own)
    results.mkdir(parents=True, exist_ok=True)
    if action != "default_specs":
        listed = "".join(f"{key}: {value}\n" for key, value in values.items())
        (results / "experiment.yaml").write_text(listed)
    return Job(
        generation, task, action, {}, spec_path, spec_text, steering, Path(top or own), results,
        StatusFile(results / "status.json"), values,
    )  # fmt: skip


def results_of(generation: Generation, task: str, action: str, top: Path, own: str) -> Path:
    """Where the action writes. Source: tao/pytorch.md section 3 (update_results_dir)."""
    if generation.family == "data_services" or action in ("default_specs", "convert", "dataset_convert"):
        return top
    if own:
        return Path(own)
    if generation.family == "deploy":
        return top / DEPLOY_FOLDERS.get(action, action)
    if task == "pointpillars":
        return top / "eval" if action == "evaluate" else top
    return top / action


def check_keys(generation: Generation, values: dict[str, str], fail: str) -> None:
    """Raises HydraError for a key outside the little that this schema knows."""
    if fail == "hydra_unknown_key":
        raise HydraError(unknown_key("train.num_epoch", "TrainConfig"))
    if fail == "spec_validation":
        raise HydraError("Error merging 'train.yaml' with schema\nValue 'ten' could not be converted to Integer\n"
                         "    full_key: train.num_epochs")  # fmt: skip
    if generation.family == "data_services":
        return
    for key in values:
        parts = re.split(r"[.\[]", key)
        if parts[0] not in TOP_KEYS:
            raise HydraError(unknown_key(key, "ExperimentConfig"))
        if parts[0] == "train" and len(parts) > 1 and parts[1] not in TRAIN_KEYS:
            raise HydraError(unknown_key(".".join(parts[:2]), "TrainConfig"))


def unknown_key(key: str, schema: str) -> str:
    name = key.rpartition(".")[2]
    return (
        f"Could not override '{key}'.\nTo append to your config use +{key}=…\n"
        f"Key '{name}' not in '{schema}'\n    full_key: {key}\n    object_type={schema}"
    )
