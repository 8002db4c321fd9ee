"""What older releases and NVIDIA's own files call otherwise: networks, keys of specs, and values of another meaning.

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


OLD_NETWORKS: dict[str, tuple[str, ...]] = {
    "classification": ("classification_tf1", "classification_pyt", "classification_tf2"),
    "image_classification": ("classification_pyt",), "makenet": ("classification_tf1",),
    "efficientdet": ("efficientdet_tf1", "efficientdet_tf2"), "maskrcnn": ("mask_rcnn",), "frcnn": ("faster_rcnn",),
    "fasterrcnn": ("faster_rcnn",), "detectnet": ("detectnet_v2",), "facenet": ("detectnet_v2",),
    "mclassification": ("multitask_classification",), "emotionnet": ("multitask_classification",),
    "heartratenet": ("multitask_classification",), "gazenet": ("fpenet",), "yolov3": ("yolo_v3",),
    "yolov4": ("yolo_v4",), "yolov4_tiny": ("yolo_v4_tiny",), "action_recognition_net": ("action_recognition",),
    "pose_classification_net": ("pose_classification",), "re_identification_net": ("re_identification",),
    "metric_learning_recognition": ("ml_recog",), "retail_object_detection": ("dino",),
    "retail_object_recognition": ("ml_recog",),
}  # fmt: skip
"""Names of networks in older launchers, model cards, and NVIDIA's folders and files. First the network that the name
meant up to TAO 4, or is nearest to. Source: tao/tensorflow.md section 1, tao_tutorials, tao_tensorflow1_backend."""
