"""What a bundle is made of: plain values that its writers share."""

from __future__ import annotations

from enum import Enum

from taorunner.catalog.handover import HandoverFacts
from taorunner.handover.onnx_header import OnnxHeader, Tensor
from taorunner.values.value import Value

MODEL, LABELS, CALIBRATION = "model.onnx", "labels.txt", "calibration.cal"


class Use(str, Enum):
    """What a bundle is for."""

    ONNX = "onnx"
    TRITON = "triton"
    DEEPSTREAM = "deepstream"


class Preprocessing(Value):
    """``(x - mean) / std`` of red, green and blue, 0..255. ``where``: what the numbers come from."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    is_rgb: bool
    where: str

    @property
    def factor(self) -> float:
        """The one factor that DeepStream has in the place of three deviations."""
        return 1.0 / (sum(self.std) / 3)

    @property
    def as_deepstream_has_it(self) -> Preprocessing:
        mean = 1.0 / self.factor
        return Preprocessing(self.mean, (mean, mean, mean), self.is_rgb, self.where)


class Contents(Value):
    """What the files of a bundle say. ``labels`` is empty where the classes are not known; ``thresholds`` is the score
    of the best F1 by class name; ``precision`` is that of the engine that was built of the model."""

    name: str
    network: str
    header: OnnxHeader
    facts: HandoverFacts | None
    preprocessing: Preprocessing | None
    labels: tuple[str, ...]
    thresholds: dict[str, float]
    precision: str = "fp32"
    has_calibration: bool = False

    @property
    def picture(self) -> Tensor:
        """The input that takes images."""
        return next((one for one in self.header.inputs if len(one.shape) == 4), self.header.inputs[0])

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the input; None where it leaves them open, or has another order than N, C, H, W."""
        shape = self.picture.shape
        if len(shape) != 4 or shape[1] not in (1, 3) or shape[2] is None or shape[3] is None:
            return None
        return shape[3], shape[2]
