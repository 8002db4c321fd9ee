"""Every layer and the loss against finite differences, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from taorunner.embedded.arrays import Floats
from taorunner.embedded.layers import BatchNormalisation, Convolution, Layer, Rectifier
from taorunner.embedded.loss import Objects, Targets, assign, detection_loss
from taorunner.embedded.network import Architecture, Network
from taorunner.embedded.optimiser import Adam, learning_rate_at

STEP = 1e-6


def numeric_gradient(function: Callable[[], float], values: Floats) -> Floats:
    """Central differences of ``function`` with respect to ``values``, which are changed in place and put back."""
    gradient = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        kept = values[index]
        values[index] = kept + STEP
        above = function()
        values[index] = kept - STEP
        below = function()
        values[index] = kept
        gradient[index] = (above - below) / (2 * STEP)
    return gradient


def check_layer(layer: Layer, inputs: Floats, *, checks_inputs: bool = True) -> None:
    for name, value in layer.parameters.items():
        layer.parameters[name] = value.astype(np.float64)
    random = np.random.default_rng(5)
    weights = random.standard_normal(layer.forward(inputs, True).shape)

    def total() -> float:
        return float((layer.forward(inputs, True) * weights).sum())

    total()
    input_gradient = layer.backward(weights.copy())
    gradients = {name: value.copy() for name, value in layer.gradients.items()}
    assert set(gradients) == set(layer.parameters)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            gradient, numeric_gradient(total, layer.parameters[name]), rtol=1e-5, atol=1e-7, err_msg=name
        )
    if checks_inputs:
        np.testing.assert_allclose(input_gradient, numeric_gradient(total, inputs), rtol=1e-5, atol=1e-7)


def random_inputs(*shape: int) -> Floats:
    return np.random.default_rng(1).standard_normal(shape)


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (7, 4)])
@pytest.mark.parametrize("has_bias", [False, True])
def test_convolution(size: int, stride: int, has_bias: bool) -> None:
    layer = Convolution(3, 2, size, stride, np.random.default_rng(0), has_bias=has_bias)
    check_layer(layer, random_inputs(2, 8, 5, 3))


def test_first_convolution_gives_the_same_weight_gradient() -> None:
    layer = Convolution(3, 2, 3, 2, np.random.default_rng(0), needs_input_gradient=False)
    check_layer(layer, random_inputs(2, 6, 6, 3), checks_inputs=False)


def test_convolution_agrees_with_its_definition() -> None:
    layer = Convolution(2, 3, 3, 2, np.random.default_rng(0), has_bias=True)
    layer.parameters["bias"] = np.array([1.0, 2.0, 3.0], np.float32)
    inputs = random_inputs(1, 5, 7, 2).astype(np.float32)
    padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.zeros((1, 3, 4, 3), np.float32)
    for row in range(3):
        for column in range(4):
            patch = padded[0, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            for channel in range(3):
                weight = layer.parameters["weight"][..., channel]
                expected[0, row, column, channel] = (patch * weight).sum() + channel + 1
    np.testing.assert_allclose(layer.forward(inputs, False), expected, rtol=1e-5, atol=1e-5)


def test_batch_normalisation() -> None:
    layer = BatchNormalisation(3)
    layer.parameters = {"scale": np.array([0.5, 1.5, -1.0]), "shift": np.array([0.1, -0.2, 0.3])}
    check_layer(layer, random_inputs(2, 3, 2, 3))


def test_batch_normalisation_in_use_takes_the_running_statistics() -> None:
    layer = BatchNormalisation(2)
    layer.buffers = {"mean": np.array([1.0, 2.0]), "variance": np.array([4.0, 9.0]) - layer.EPSILON}
    outputs = layer.forward(np.array([[[[3.0, 5.0]]]]), training=False)
    np.testing.assert_allclose(outputs, [[[[1.0, 1.0]]]])


def test_rectifier() -> None:
    check_layer(Rectifier(), random_inputs(2, 3, 4, 2))


def some_targets() -> tuple[Floats, Targets]:
    batch = [
        Objects(np.array([[1, 2, 20, 17], [10, 9, 30, 30]], np.float32), np.array([0, 2])),
        Objects(np.array([[17, 3, 22, 9]], np.float32), np.array([1])),
        Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.int64)),
    ]
    raw = np.random.default_rng(3).standard_normal((3, 16, 8)) * 0.7
    return raw, assign(batch, 4, 4)


def test_loss() -> None:
    raw, targets = some_targets()
    assert len(targets.cells) > 4
    _, gradient = detection_loss(raw, targets, 4, 4)
    expected = numeric_gradient(lambda: detection_loss(raw, targets, 4, 4)[0], raw)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_loss_of_boxes_that_do_not_meet_and_of_clipped_sizes() -> None:
    raw, targets = some_targets()
    raw[..., 0] += 9.0
    raw[:, ::2, 2] = 30.0
    _, gradient = detection_loss(raw, targets, 4, 4)
    expected = numeric_gradient(lambda: detection_loss(raw, targets, 4, 4)[0], raw)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_loss_without_any_object_pushes_objectness_down_only() -> None:
    raw = np.random.default_rng(0).standard_normal((1, 4, 7))
    targets = assign([Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))], 2, 2)
    loss, gradient = detection_loss(raw, targets, 2, 2)
    assert loss == pytest.approx(float(np.log1p(np.exp(raw[..., 4])).sum()))
    assert (gradient[..., 4] > 0).all()
    assert not np.delete(gradient, 4, axis=2).any()


def test_whole_network() -> None:
    network = Network(Architecture("tiny", 32, 32, ("a", "b")), seed=1)
    for layer in network.layers.values():
        for name, value in layer.parameters.items():
            layer.parameters[name] = value.astype(np.float64)
    inputs = random_inputs(2, 32, 32, 3)
    weights = np.random.default_rng(2).standard_normal((2, 16, 7))
    network.forward(inputs, training=True)
    network.backward(weights)
    gradients = {name: value.copy() for name, value in network.gradients().items()}
    random = np.random.default_rng(9)
    for name, values in network.parameters().items():
        index = tuple(int(random.integers(size)) for size in values.shape)
        single = values[index]
        sides = []
        for change in (STEP, -STEP):
            values[index] = single + change
            sides.append(float((network.forward(inputs, training=True) * weights).sum()))
        values[index] = single
        assert gradients[name][index] == pytest.approx(
            (sides[0] - sides[1]) / (2 * STEP), rel=1e-3, abs=1e-5
        ), name


def test_assignment_gives_a_shared_cell_to_the_smaller_object() -> None:
    boxes = np.array([[8, 8, 16, 16], [0, 0, 32, 32]], np.float32)
    targets = assign([Objects(boxes, np.array([5, 6]))], 4, 4)
    owners = dict(zip(targets.cells.tolist(), targets.classes.tolist(), strict=True))
    assert owners == {5: 5, 6: 6, 9: 6, 10: 6}


def test_assignment_never_loses_an_object_smaller_than_a_cell() -> None:
    boxes = np.array([[0.5, 0.5, 1.5, 1.5], [30, 30, 32, 32]], np.float32)
    targets = assign([Objects(boxes, np.array([0, 1]))], 4, 4)
    assert targets.cells.tolist() == [0, 15]


def test_first_step_of_adam_moves_by_the_learning_rate_against_the_gradient() -> None:
    parameters = {"bias": np.array([1.0, -1.0, 0.0])}
    Adam(parameters).step(parameters, {"bias": np.array([0.5, -2.0, 0.0])}, 0.1)
    np.testing.assert_allclose(parameters["bias"], [0.9, -0.9, 0.0], atol=1e-6)


def test_learning_rate_rises_then_falls_to_one_hundredth() -> None:
    rates = [learning_rate_at(step, 100, 1.0) for step in range(101)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)
