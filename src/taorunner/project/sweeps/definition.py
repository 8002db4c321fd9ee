"""What a sweep is: its base, its axes, how values are chosen, and when it ends. Pure data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from taorunner.project.sweeps.constraint import Constraint
from taorunner.values.value import Value, field

AxisKind: TypeAlias = Literal["log", "float", "int", "choice"]
Sampler: TypeAlias = Literal["grid", "random", "tpe", "cmaes"]
Scalar: TypeAlias = "str | int | float | bool"
Values: TypeAlias = "Mapping[str, Scalar]"
"""The value of each axis of one trial, by spec key."""

SAMPLERS: tuple[Sampler, ...] = ("grid", "random", "tpe", "cmaes")
WITHOUT_LIBRARY: frozenset[Sampler] = frozenset({"grid", "random"})
MAX_GRID = 500
"""A grid of more cells is only run when it is asked for with ``--yes``."""


class Axis(Value):
    """The values that one spec key may have.

    ``choice`` has ``choices``; the others go from ``low`` to ``high``, both included. ``int``, and ``float`` where it
    has one, go in steps of ``step`` from ``low``. ``log`` is a float that is drawn evenly over its logarithm.
    """

    key: str
    kind: AxisKind
    low: float = 0
    high: float = 0
    step: float | None = None
    choices: tuple[Scalar, ...] = ()

    @property
    def cells(self) -> tuple[Scalar, ...] | None:
        """All values in order; None where there are too many to list or no steps."""
        if self.kind == "choice":
            return self.choices
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        if count > MAX_GRID * MAX_GRID:
            return None
        if self.kind == "int":
            return tuple(int(self.low + place * self.step) for place in range(count))
        return tuple(self.low + place * self.step for place in range(count))

    def holds(self, value: object) -> bool:
        """Whether a trial may have ``value``."""
        if self.kind == "choice":
            return any(type(one) is type(value) and one == value for one in self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high or (self.kind == "int" and not isinstance(value, int)):
            return False
        if self.step is None:
            return True
        places = (value - self.low) / self.step
        return abs(places - round(places)) < 1e-6

    def ends(self) -> tuple[Scalar, ...]:
        """The values that say whether the whole axis fits a spec key: all choices, or both ends."""
        if self.kind == "choice":
            return self.choices
        return (int(self.low), int(self.high)) if self.kind == "int" else (self.low, self.high)


class Pruner(Value):
    """How trials are ended early: ``asha`` keeps the best of ``factor`` at epochs ``first``, ``first * factor``, …;
    ``median`` ends what is worse than the median of the others, from epoch ``first`` on."""

    kind: Literal["median", "asha"]
    first: int
    factor: int = 3


class Limit(Value):
    """When no further trial starts: after ``failures`` failed trials, ``hours``, or ``no_better_for`` trials without a
    better value."""

    failures: int | None = None
    hours: float | None = None
    no_better_for: int | None = None


class Sweep(Value):
    """One usable entry. ``metric`` and ``goal`` are None where the network's ranking metric and its direction count,
    ``parallel`` and ``epochs`` where nothing is said. ``keep`` says whose checkpoints stay."""

    name: str
    base: str
    space: tuple[Axis, ...]
    trials: int
    metric: str | None = None
    goal: Literal["maximize", "minimize"] | None = None
    parallel: int | None = None
    sampler: Sampler = "tpe"
    pruner: Pruner | None = None
    epochs: int | None = None
    together: tuple[Constraint, ...] = ()
    seed: int = 0
    keep: Literal["best", "top3", "all"] = "all"
    stop: Limit = field(default_factory=Limit)
    start_with: tuple[Values, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether no result decides which values are tried, or whether a trial is trained to its end."""
        return self.sampler in WITHOUT_LIBRARY and self.pruner is None and self.stop == Limit()

    @property
    def grid_size(self) -> int | None:
        """How many cells the product of the axes has; None where an axis has no steps."""
        size = 1
        for axis in self.space:
            if axis.cells is None:
                return None
            size *= len(axis.cells)
        return size

    def body(self) -> dict[str, Any]:
        """Everything that decides about the trials, as JSON."""
        from dataclasses import asdict

        body = asdict(self)
        return {**body, "together": [one.text for one in self.together]}
