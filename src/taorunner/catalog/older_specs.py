"""What older releases and NVIDIA's own files call networks. For keys of specs see ``specs/schema/key_changes``."""

from __future__ import annotations

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
