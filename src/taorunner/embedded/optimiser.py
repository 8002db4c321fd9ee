"""Adam with decoupled weight decay and gradient clipping, and the learning rate schedule.

Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import Floats

MAXIMAL_GRADIENT_NORM = 10.0
_WARM_UP_SHARE = 0.05
_FINAL_SHARE = 0.01


class Adam:
    """Updates parameters in place. ``state`` and ``load_state`` save and restore it."""

    FIRST, SECOND, EPSILON, WEIGHT_DECAY = 0.9, 0.99, 1e-8, 1e-3

    def __init__(self, parameters: dict[str, Floats]) -> None:
        self.steps = 0
        self._first = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._second = {name: np.zeros_like(value) for name, value in parameters.items()}

    def step(self, parameters: dict[str, Floats], gradients: dict[str, Floats], learning_rate: float) -> None:
        self.steps += 1
        norm = math.sqrt(sum(float(np.vdot(value, value)) for value in gradients.values()))
        shrink = min(1.0, MAXIMAL_GRADIENT_NORM / (norm + 1e-12))
        first_scale = 1 - self.FIRST**self.steps
        second_scale = 1 - self.SECOND**self.steps
        for name, value in parameters.items():
            gradient = gradients[name] * shrink
            first, second = self._first[name], self._second[name]
            first += (1 - self.FIRST) * (gradient - first)
            second += (1 - self.SECOND) * (gradient * gradient - second)
            if value.ndim > 1:  # convolution kernels only: weight decay harms scales and biases
                value *= 1 - learning_rate * self.WEIGHT_DECAY
            value -= (learning_rate / first_scale) * first / (np.sqrt(second / second_scale) + self.EPSILON)

    def state(self) -> dict[str, Floats]:
        first = {f"first.{name}": value for name, value in self._first.items()}
        return first | {f"second.{name}": value for name, value in self._second.items()}

    def load_state(self, state: dict[str, Floats], steps: int) -> None:
        self.steps = steps
        for name in self._first:
            self._first[name][...] = state[f"first.{name}"]
            self._second[name][...] = state[f"second.{name}"]


def learning_rate_at(step: int, total_steps: int, peak: float) -> float:
    """Linear warm-up during the first twentieth, then cosine decay to one hundredth of ``peak``."""
    warm_up = max(1, round(total_steps * _WARM_UP_SHARE))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    share = min(1.0, (step - warm_up) / max(1, total_steps - warm_up))
    return peak * (_FINAL_SHARE + (1 - _FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * share)))
