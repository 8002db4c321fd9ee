"""The network: convolutions down to one cell per 8 pixels, and for each cell a box, an objectness and a class.

The raw output is ``(image, cell, 5 + classes)``, cells row by row, with the channels
``offset x, offset y, log width, log height, objectness, class...``. ``decode`` turns it into boxes and scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Floats, Images
from .layers import BatchNormalisation, Convolution, Layer, Rectifier

STRIDE = 8
#: Bounds of the logarithm of a box's size in cells (0.05 to 400 pixels), which keep training stable.
LOG_SIZE_RANGE = (-5.0, 6.0)
#: About one cell in fifty holds an object, so objectness starts there instead of at one half.
_OBJECTNESS_START = -4.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One convolution with normalisation and rectifier."""

    channels: int
    stride: int = 1
    size: int = 3


#: ``tiny`` needs about half of the computation of ``small``. Both have a receptive field of 71 pixels.
BACKBONES: dict[str, tuple[Stage, ...]] = {
    "tiny": (Stage(16, 4, 7), Stage(24), Stage(40, 2), Stage(40), Stage(40)),
    "small": (Stage(24, 4, 7), Stage(32), Stage(64, 2), Stage(64), Stage(64)),
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """Settings that must agree for weights to fit. Widths and heights in pixels, multiples of 8."""

    backbone: str
    input_width: int
    input_height: int
    class_names: tuple[str, ...]

    @property
    def columns(self) -> int:
        return self.input_width // STRIDE

    @property
    def rows(self) -> int:
        return self.input_height // STRIDE


@dataclass(frozen=True, slots=True)
class Normalisation:
    """``(x - mean) / std`` for red, green and blue, 0..255. No checkpoint holds it: each action reads its spec."""

    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (64.0, 64.0, 64.0)


class Network:
    """The layers in order, with named access to parameters and buffers."""

    def __init__(self, architecture: Architecture, seed: int) -> None:
        self.architecture = architecture
        random = np.random.default_rng([seed, 0x7E])
        self.layers: dict[str, Layer] = {}
        channels = 3
        for number, stage in enumerate(BACKBONES[architecture.backbone], start=1):
            self.layers[f"stage{number}.convolution"] = Convolution(
                channels, stage.channels, stage.size, stage.stride, random, needs_input_gradient=number > 1
            )
            self.layers[f"stage{number}.normalisation"] = BatchNormalisation(stage.channels)
            self.layers[f"stage{number}.rectifier"] = Rectifier()
            channels = stage.channels
        outputs = 5 + len(architecture.class_names)
        head = Convolution(channels, outputs, 1, 1, random, has_bias=True)
        head.parameters["weight"] *= 0.1
        head.parameters["bias"][4] = _OBJECTNESS_START
        self.layers["head"] = head

    def forward(self, inputs: Floats, training: bool = False) -> Floats:
        """Raw outputs for normalised images ``(count, height, width, 3)``."""
        for layer in self.layers.values():
            inputs = layer.forward(inputs, training)
        return inputs.reshape(len(inputs), -1, inputs.shape[3])

    def backward(self, output_gradient: Floats) -> None:
        """Fills every layer's ``gradients`` from the gradient of the raw outputs."""
        size = self.architecture
        gradient = output_gradient.reshape(len(output_gradient), size.rows, size.columns, -1)
        for layer in reversed(self.layers.values()):
            gradient = layer.backward(gradient)

    def parameters(self) -> dict[str, Floats]:
        return {
            f"{name}.{part}": value
            for name, layer in self.layers.items()
            for part, value in layer.parameters.items()
        }

    def gradients(self) -> dict[str, Floats]:
        return {
            f"{name}.{part}": value
            for name, layer in self.layers.items()
            for part, value in layer.gradients.items()
        }

    def state(self) -> dict[str, Floats]:
        """Parameters and buffers: all that inference needs."""
        return self.parameters() | {
            f"{name}.{part}": value
            for name, layer in self.layers.items()
            for part, value in layer.buffers.items()
        }

    def load_state(self, state: dict[str, Floats]) -> None:
        """Loads every array. Raises: KeyError or ValueError when a name or a shape does not fit."""
        for name, layer in self.layers.items():
            for values in (layer.parameters, layer.buffers):
                for part, value in values.items():
                    new = state[f"{name}.{part}"]
                    if new.shape != value.shape:
                        raise ValueError(
                            f"{name}.{part} has shape {new.shape}, the network needs {value.shape}"
                        )
                    values[part] = new.astype(value.dtype)


def normalise(pictures: Images, how: Normalisation) -> Floats:
    """0..255 to about -1..1, float32. Users of the exported graph must do the same."""
    mean, std = np.array(how.mean, np.float32), np.array(how.std, np.float32)
    normalised: Floats = (pictures.astype(np.float32) - mean) * (np.float32(1) / std)
    return normalised


def cell_centres(rows: int, columns: int) -> Floats:
    """``(cell, 2)``: x and y of each cell's centre, in cells."""
    y, x = np.mgrid[0:rows, 0:columns]
    return np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1).astype(np.float32)


def decode(raw: Floats, rows: int, columns: int) -> tuple[Floats, Floats]:
    """``(boxes, scores)``: boxes ``(image, cell, 4)`` as ``(x_min, y_min, x_max, y_max)`` in input pixels, cut at
    the image's border as labels are, scores ``(image, cell, classes)`` as objectness times class probability."""
    centre = raw[..., 0:2] + cell_centres(rows, columns)
    half = np.exp(np.clip(raw[..., 2:4], *LOG_SIZE_RANGE)) / 2
    border = np.array([columns, rows, columns, rows], raw.dtype) * STRIDE
    boxes = np.clip(np.concatenate([centre - half, centre + half], axis=-1) * STRIDE, 0, border)
    scores = sigmoid(raw[..., 4:5]) * softmax(raw[..., 5:])
    return boxes, scores


def sigmoid(values: Floats) -> Floats:
    result: Floats = 0.5 * (np.tanh(0.5 * values) + 1)
    return result


def softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result
