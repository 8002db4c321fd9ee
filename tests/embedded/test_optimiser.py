"""One step of Adam and the learning rate, against the formulas of their paper, written down again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taorunner.embedded.optimiser import MAXIMAL_GRADIENT_NORM, Adam, learning_rate_at


@pytest.mark.parametrize(
    ("step", "total", "rate"),
    [
        (0, 100, 0.2), (1, 100, 0.4), (4, 100, 1.0), (5, 100, 1.0),
        (5 + 95 // 5 * 5, 100, 0.01), (1000, 100, 0.01), (0, 1, 1.0), (1, 1, 1.0), (1, 2, 1.0), (2, 2, 0.01),
    ],
)  # fmt: skip
def test_the_rate_rises_for_a_twentieth_and_falls_to_a_hundredth(step: int, total: int, rate: float) -> None:
    assert learning_rate_at(step, total, 3.0) == pytest.approx(3.0 * rate)


def test_the_rate_falls_as_a_cosine() -> None:
    for step in range(10, 201):
        wanted = 0.01 + 0.99 * (1 + math.cos(math.pi * (step - 10) / 190)) / 2
        assert learning_rate_at(step, 200, 1.0) == pytest.approx(wanted)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_steps_are_those_of_the_paper(scale: float) -> None:
    """Gradients longer than the limit are shortened together; only kernels decay."""
    random = np.random.default_rng(3)
    parameters = {"kernel": random.normal(size=(2, 3)), "bias": random.normal(size=3)}
    wanted = {name: value.copy() for name, value in parameters.items()}
    first = {name: np.zeros_like(value) for name, value in parameters.items()}
    second = {name: np.zeros_like(value) for name, value in parameters.items()}
    adam = Adam(parameters)
    for number in (1, 2, 3):
        gradients = {name: scale * random.normal(size=value.shape) for name, value in parameters.items()}
        adam.step(parameters, gradients, 0.1)
        norm = math.sqrt(sum((value**2).sum() for value in gradients.values()))
        shrink = MAXIMAL_GRADIENT_NORM / norm if norm > MAXIMAL_GRADIENT_NORM else 1.0
        for name, value in wanted.items():
            gradient = gradients[name] * shrink
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.99 * second[name] + 0.01 * gradient**2
            step = first[name] / (1 - 0.9**number) / (np.sqrt(second[name] / (1 - 0.99**number)) + 1e-8)
            wanted[name] = value * (1 - 0.1 * 1e-3 if name == "kernel" else 1.0) - 0.1 * step
        for name, value in parameters.items():
            np.testing.assert_allclose(value, wanted[name], rtol=1e-9)
    assert adam.steps == 3


def test_a_saved_state_goes_on_as_if_it_was_never_saved() -> None:
    gradients = {"bias": np.array([1.0, -2.0])}
    one = {"bias": np.array([1.0, 2.0])}
    adam = Adam(one)
    adam.step(one, gradients, 0.1)
    two = {"bias": one["bias"].copy()}
    again = Adam(two)
    again.load_state({name: value.copy() for name, value in adam.state().items()}, adam.steps)
    assert adam.state().keys() == {"first.bias", "second.bias"}
    for optimiser, parameters in ((adam, one), (again, two)):
        optimiser.step(parameters, gradients, 0.1)
    np.testing.assert_array_equal(one["bias"], two["bias"])
