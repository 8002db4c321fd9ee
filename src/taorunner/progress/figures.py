"""Figures that a run leaves in files besides status.json, for the tracker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from taorunner.progress.event_files import Scalar

_EPOCH = "epoch"
_MOST_WAITING = 100
_MOST_EPOCHS = 10**9
"""A logged number can be infinite."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with the name that TAO gives it. ``epoch`` is 1-based, None for the result of an evaluation."""

    name: str
    value: float
    epoch: int | None = None


class EpochFigures:
    """Turns scalars of event files, which are logged by step, into figures of epochs.

    Lightning logs a scalar ``epoch``, counted from 0, with every group of others at the same step. ``names`` are the
    patterns of the tags to take. Not thread-safe.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._epochs: dict[int, int] = {}
        self._waiting: list[Scalar] = []

    def of(self, scalars: Iterable[Scalar]) -> list[Figure]:
        """The figures of these scalars, in their order. Those whose epoch is not yet written come with a later call."""
        wanted, self._waiting = self._waiting, []
        for scalar in scalars:
            if scalar.tag == _EPOCH and 0 <= scalar.value < _MOST_EPOCHS:
                self._epochs[scalar.step] = int(scalar.value) + 1
            elif any(fnmatchcase(scalar.tag, name) for name in self._names):
                wanted.append(scalar)
        figures: list[Figure] = []
        for scalar in wanted:
            epoch = self._epochs.get(scalar.step)
            if epoch is not None:
                figures.append(Figure(scalar.tag, scalar.value, epoch))
            else:
                self._waiting.append(scalar)
        del self._waiting[:-_MOST_WAITING]
        newest = max(self._epochs, default=0)
        self._epochs = {step: epoch for step, epoch in self._epochs.items() if step == newest}
        return figures
