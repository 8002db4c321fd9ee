"""What specs of older releases call otherwise, and values that meant something else there.

Source: specs of TAO 3.21.11 to 4.0.1 in NVIDIA-AI-IOT/nvidia-tao and NVIDIA-AI-IOT/tao_toolkit_recipes, compared with
those of tao_tutorials v5.1.0: action_recognition, pose_classification, detectnet_v2.
"""

from __future__ import annotations

from collections.abc import Collection

RENAMED_KEYS = {
    ("model_config",): "model", ("train_config",): "train", ("dataset_config",): "dataset",
    ("export_config",): "export", ("inference_config",): "inference", ("eval_config",): "evaluate",
    ("output_dir",): "results_dir", ("train_config", "epochs"): "num_epochs", ("train", "epochs"): "num_epochs",
}  # fmt: skip
"""Keys of YAML specs of TAO 3 and 4, and their last name since TAO 5."""

WAS_FRACTION = {"dbscan_min_samples": 1}
"""Keys of protobuf specs that took a fraction before TAO 5.0 and take a whole number since: the one that NVIDIA's own
specs have, in place of 0.05."""


def name_since(path: tuple[str, ...], known: Collection[str]) -> str | None:
    """The name since TAO 5 of a key of TAO 3 or 4, if the section at hand has it."""
    new = RENAMED_KEYS.get(path)
    return new if new in known else None
