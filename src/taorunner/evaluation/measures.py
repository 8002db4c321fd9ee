"""The figures of an evaluation on the host: which there are, which values are better, and on which scale they are.

Source: cocodataset.org/#detection-eval for AP and AR; the usual definitions of precision, recall, F1 and IoU.
"""

from __future__ import annotations

from collections.abc import Mapping

from taorunner.contracts import Direction, MetricScale
from taorunner.values.value import Value

BOXES, MASKS, CLASSES, PIXELS = "boxes", "masks", "classes", "pixels"
"""What is compared: the tasks of ``Evaluation``."""
BEST_F1 = "best_f1"


class Measure(Value):
    """``ranks``: runs are compared by it. ``by_class``: each class has one of its own among the metrics."""

    ranks: bool = False
    by_class: bool = False
    direction: Direction = Direction.UP
    scale: MetricScale = MetricScale.FRACTION


_PLAIN, _OF_CLASS = Measure(), Measure(by_class=True)
_RANKS = Measure(ranks=True, by_class=True)
_COCO: Mapping[str, Measure] = {
    "AP50": _RANKS, "AP": _OF_CLASS, "AP75": _PLAIN, "APs": _PLAIN, "APm": _PLAIN, "APl": _PLAIN, "AR100": _PLAIN,
}  # fmt: skip
MEASURES: Mapping[str, Mapping[str, Measure]] = {
    BOXES: _COCO,
    MASKS: _COCO,
    CLASSES: {
        "accuracy": Measure(ranks=True), "top5": _PLAIN, "F1": _OF_CLASS, "precision": _OF_CLASS, "recall": _OF_CLASS,
    },
    PIXELS: {
        "mIoU": Measure(ranks=True), "IoU": _OF_CLASS, "F1": _OF_CLASS, "accuracy": _PLAIN, "precision": _PLAIN,
        "recall": _PLAIN,
    },
}  # fmt: skip
"""By task and name; fractions, the more the better. ``mIoU`` is the mean of ``IoU``, which only classes have."""
PREFIXES: Mapping[str, str] = {
    BOXES: "host/", MASKS: "host/mask_", CLASSES: "host/", PIXELS: "host/",
}  # fmt: skip
"""Before the name of a figure where it stands among the metrics of a run. Masks overlap otherwise than boxes."""
