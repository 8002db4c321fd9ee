"""Chooses the values of the next trial: of a grid, at random, or by Optuna (``study``).

A chooser keeps nothing between calls. What it chooses follows from the definition, the seed, the number of the trial
and what is known of the trials before it, so that a sweep goes on after a crash as it would have.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Protocol

from taorunner.errors import UserFilesError
from taorunner.project.sweeps.constraint import GPUS
from taorunner.project.sweeps.definition import WITHOUT_LIBRARY, Axis, Scalar, Sweep, Values
from taorunner.sweeps.trial import Trial

MAX_DRAWS = 1000
"""Maximum number of draws until the conditions hold."""


class Chooser(Protocol):
    """``gpus`` is the number of GPUs of a trial, for the conditions."""

    def next_values(self, number: int, trials: Sequence[Trial], gpus: int) -> Values | None:
        """The values of trial ``number``, after ``trials``; None when there are no others.

        Raises:
            UserFilesError: no values were found that meet the conditions.
        """


def chooser_of(sweep: Sweep, *, maximize: bool) -> Chooser:
    """Raises MachineError where a library is missing."""
    if sweep.sampler == "grid":
        return Grid(sweep)
    if sweep.sampler in WITHOUT_LIBRARY:
        return Random(sweep)
    from taorunner.sweeps.study import Study

    return Study(sweep, maximize=maximize)


def starts(sweep: Sweep) -> tuple[Values | None, ...]:
    """What the first trials of a sweep have that is no grid: None for the base as it is, then ``start_with``."""
    return () if sweep.sampler == "grid" else (None, *sweep.start_with)


def meets(sweep: Sweep, values: Mapping[str, Scalar], gpus: int) -> bool:
    """Whether values meet all conditions."""
    known = {**values, GPUS: gpus}
    return all(constraint.holds(known) for constraint in sweep.together)


class Grid:
    """The product of the axes in the order of ``itertools.product``, without cells that break a condition."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def next_values(self, number: int, trials: Sequence[Trial], gpus: int) -> Values | None:
        keys = [axis.key for axis in self._sweep.space]
        axes = [axis.cells or () for axis in self._sweep.space]
        cells = (dict(zip(keys, cell, strict=True)) for cell in itertools.product(*axes))
        wanted = (cell for cell in cells if meets(self._sweep, cell, gpus))
        return next(itertools.islice(wanted, number, None), None)


class Random:
    """Drawn independently of all other trials."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def next_values(self, number: int, trials: Sequence[Trial], gpus: int) -> Values | None:
        generator = random.Random(f"{self._sweep.seed}/{number}")
        for _ in range(MAX_DRAWS):
            values = {axis.key: drawn(axis, generator) for axis in self._sweep.space}
            if meets(self._sweep, values, gpus):
                return values
        raise nothing_meets(self._sweep)


def nothing_meets(sweep: Sweep) -> UserFilesError:
    return UserFilesError(
        f'of {MAX_DRAWS} draws for sweep "{sweep.name}" none met its conditions',
        hint='widen the axes, or relax "together:"',
    )


def drawn(axis: Axis, generator: random.Random) -> Scalar:
    """One value of the axis."""
    if axis.kind == "choice":
        return generator.choice(axis.choices)
    if axis.kind == "log":
        return math.exp(generator.uniform(math.log(axis.low), math.log(axis.high)))
    if axis.step is None:
        return generator.uniform(axis.low, axis.high)
    place = generator.randint(0, round((axis.high - axis.low) / axis.step))
    value = axis.low + place * axis.step
    return int(value) if axis.kind == "int" else value
