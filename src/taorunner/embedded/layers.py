"""The layers of the network, each with its forward and backward pass.

Activations have the layout ``(image, row, column, channel)``: channels of neighbouring columns are contiguous in
memory, so a convolution needs a few long copies and one matrix product. ``forward(training=True)`` stores what
``backward`` needs, which must be called next.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .arrays import Bools, Floats


class Layer(Protocol):
    """One differentiable layer. ``parameters`` are trained; ``buffers`` are stored but not trained."""

    parameters: dict[str, Floats]
    gradients: dict[str, Floats]
    buffers: dict[str, Floats]

    def forward(self, inputs: Floats, training: bool) -> Floats: ...

    def backward(self, output_gradient: Floats) -> Floats: ...


class Convolution:
    """A square convolution with padding ``size // 2``; ``weight`` is ``(size, size, inputs, outputs)``.

    ``needs_input_gradient=False`` saves the first layer a third of its work, as images have no gradient.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        stride: int,
        random: np.random.Generator,
        *,
        has_bias: bool = False,
        needs_input_gradient: bool = True,
    ) -> None:
        self.size = size
        self.stride = stride
        self.needs_input_gradient = needs_input_gradient
        scale = np.sqrt(2.0 / (size * size * inputs))
        weight = random.standard_normal((size, size, inputs, outputs)) * scale
        self.parameters: dict[str, Floats] = {"weight": weight.astype(np.float32)}
        if has_bias:
            self.parameters["bias"] = np.zeros(outputs, np.float32)
        self.gradients: dict[str, Floats] = {}
        self.buffers: dict[str, Floats] = {}
        self._patches: Floats | None = None
        self._input_shape: tuple[int, ...] = ()

    def forward(self, inputs: Floats, training: bool) -> Floats:
        weight = self.parameters["weight"]
        rows, columns = output_size(inputs.shape[1], self.stride), output_size(inputs.shape[2], self.stride)
        patches = _patches(inputs, self.size, self.stride)
        outputs = patches @ weight.reshape(-1, weight.shape[3])
        if "bias" in self.parameters:
            outputs += self.parameters["bias"]
        if training:
            self._patches, self._input_shape = patches, inputs.shape
        shaped: Floats = outputs.reshape(inputs.shape[0], rows, columns, weight.shape[3])
        return shaped

    def backward(self, output_gradient: Floats) -> Floats:
        assert self._patches is not None, "backward without a forward pass in training"
        weight = self.parameters["weight"]
        flat = output_gradient.reshape(-1, weight.shape[3])
        self.gradients["weight"] = (self._patches.T @ flat).reshape(weight.shape)
        if "bias" in self.parameters:
            self.gradients["bias"] = flat.sum(axis=0)
        self._patches = None
        if not self.needs_input_gradient:
            return np.zeros(self._input_shape, output_gradient.dtype)
        if self.stride == 1:
            return self._input_gradient_same_size(output_gradient)
        return self._input_gradient_strided(output_gradient)

    def _input_gradient_same_size(self, output_gradient: Floats) -> Floats:
        """With stride 1 the gradient is a convolution with the kernel rotated by 180 degrees."""
        weight = self.parameters["weight"]
        turned = weight[::-1, ::-1].transpose(0, 1, 3, 2).reshape(-1, weight.shape[2])
        gradient: Floats = (_patches(output_gradient, self.size, 1) @ turned).reshape(self._input_shape)
        return gradient

    def _input_gradient_strided(self, output_gradient: Floats) -> Floats:
        weight, size, stride = self.parameters["weight"], self.size, self.stride
        count, height, width, channels = self._input_shape
        rows, columns = output_gradient.shape[1:3]
        patches = output_gradient.reshape(-1, weight.shape[3]) @ weight.reshape(-1, weight.shape[3]).T
        patches = patches.reshape(count, rows, columns, size, size, channels)
        border = size // 2
        padded = np.zeros((count, height + 2 * border, width + 2 * border, channels), output_gradient.dtype)
        for row in range(size):
            for column in range(size):
                target = padded[
                    :, row : row + stride * rows : stride, column : column + stride * columns : stride
                ]
                target += patches[:, :, :, row, column]
        return padded[:, border : border + height, border : border + width]


class BatchNormalisation:
    """Normalises each channel to mean 0 and deviation 1 over the batch, then applies the learned scale and shift.

    With ``training=False`` the running mean and variance replace the batch's.
    """

    MOMENTUM = 0.1
    EPSILON = 1e-5

    def __init__(self, channels: int) -> None:
        self.parameters: dict[str, Floats] = {
            "scale": np.ones(channels, np.float32),
            "shift": np.zeros(channels, np.float32),
        }
        self.gradients: dict[str, Floats] = {}
        self.buffers: dict[str, Floats] = {
            "mean": np.zeros(channels, np.float32),
            "variance": np.ones(channels, np.float32),
        }
        self._normalised: Floats | None = None
        self._inverse_deviation: Floats | None = None

    def forward(self, inputs: Floats, training: bool) -> Floats:
        scale, shift = self.parameters["scale"], self.parameters["shift"]
        flat = inputs.reshape(-1, scale.size)
        if not training:
            factor = scale / np.sqrt(self.buffers["variance"] + self.EPSILON)
            outputs: Floats = inputs * factor + (shift - self.buffers["mean"] * factor)
            return outputs
        mean = _column_sums(flat) / len(flat)
        centred = flat - mean
        variance = np.einsum("ij,ij->j", centred, centred) / len(flat)
        self._remember(mean, variance, len(flat))
        self._inverse_deviation = 1 / np.sqrt(variance + self.EPSILON)
        centred *= self._inverse_deviation
        self._normalised = centred
        outputs = centred * scale
        outputs += shift
        return outputs.reshape(inputs.shape)

    def backward(self, output_gradient: Floats) -> Floats:
        assert self._normalised is not None and self._inverse_deviation is not None
        normalised = self._normalised
        flat = output_gradient.reshape(normalised.shape)
        shift_gradient = _column_sums(flat)
        scale_gradient = np.einsum("ij,ij->j", flat, normalised)
        self.gradients = {"scale": scale_gradient, "shift": shift_gradient}
        normalised *= -scale_gradient / len(flat)
        normalised += flat
        normalised -= shift_gradient / len(flat)
        normalised *= self.parameters["scale"] * self._inverse_deviation
        self._normalised = None
        return normalised.reshape(output_gradient.shape)

    def _remember(self, mean: Floats, variance: Floats, count: int) -> None:
        unbiased = variance * (count / max(1, count - 1))
        for name, value in (("mean", mean), ("variance", unbiased)):
            self.buffers[name] = (1 - self.MOMENTUM) * self.buffers[name] + self.MOMENTUM * value


class Rectifier:
    """``max(0, x)``."""

    def __init__(self) -> None:
        self.parameters: dict[str, Floats] = {}
        self.gradients: dict[str, Floats] = {}
        self.buffers: dict[str, Floats] = {}
        self._positive: Bools | None = None

    def forward(self, inputs: Floats, training: bool) -> Floats:
        if training:
            self._positive = inputs > 0
        outputs: Floats = np.maximum(inputs, 0)
        return outputs

    def backward(self, output_gradient: Floats) -> Floats:
        assert self._positive is not None
        return output_gradient * self._positive


def output_size(size: int, stride: int) -> int:
    """Output rows or columns of a convolution with padding ``kernel // 2`` for an input of ``size``."""
    return (size - 1) // stride + 1


def _patches(inputs: Floats, size: int, stride: int) -> Floats:
    """Every input patch as one row: ``(images * rows * columns, size * size * channels)``."""
    count, height, width, channels = inputs.shape
    if size == 1 and stride == 1:
        return inputs.reshape(-1, channels)
    border = size // 2
    padded = np.zeros((count, height + 2 * border, width + 2 * border, channels), inputs.dtype)
    padded[:, border : border + height, border : border + width] = inputs
    rows, columns = output_size(height, stride), output_size(width, stride)
    by_image, by_row, by_column, by_channel = padded.strides
    # One kernel row is size * channels contiguous values, so it is handled as a single axis.
    windows = np.lib.stride_tricks.as_strided(
        padded,
        shape=(count, rows, columns, size, size * channels),
        strides=(by_image, by_row * stride, by_column * stride, by_row, by_channel),
        writeable=False,
    )
    return np.ascontiguousarray(windows).reshape(count * rows * columns, size * size * channels)


def _column_sums(matrix: Floats) -> Floats:
    """A matrix product with ones: several times faster than ``sum(axis=0)`` on tall matrices."""
    sums: Floats = np.ones(len(matrix), matrix.dtype) @ matrix
    return sums
