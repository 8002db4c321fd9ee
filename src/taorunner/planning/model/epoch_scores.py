"""How good a training was after each epoch: what ``--checkpoint best`` chooses by.

The values are in the records of runs, which planning does not read: a caller gives a function that finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class EpochScores:
    """``metric`` is the one that runs are compared by, None where no direction is known for any; ``names`` are all that
    were measured. ``values`` are those of ``metric`` by 1-based epoch, finite ones only.
    """

    metric: str | None
    is_lower_better: bool = False
    values: Mapping[int, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def best_of(self, epochs: set[int]) -> int | None:
        """The epoch with the best value among ``epochs``, the first one of several; None without a value."""
        known = sorted(epoch for epoch in self.values if epoch in epochs)
        sign = 1 if self.is_lower_better else -1
        return min(known, key=lambda epoch: sign * self.values[epoch], default=None)


Scores: TypeAlias = "Callable[[str], EpochScores | None]"
"""The scores of an experiment's training, None where no run of it is on record."""


def no_scores(_experiment: str) -> EpochScores | None:
    """For callers without records of runs."""
    return None
