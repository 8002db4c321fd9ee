"""How good a training was after each epoch: what ``--checkpoint best`` chooses by.

The values are in the records of runs, which planning does not read: a caller gives a function that finds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from taorunner.values.value import Value, field


class EpochScores(Value):
    """``metric`` is the one that runs are compared by, None where no direction is known for any; ``names`` are all that
    were measured. ``values`` are those of ``metric`` by 1-based epoch, finite ones only.
    """

    metric: str | None
    is_lower_better: bool = False
    values: Mapping[int, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def ranked(self, epochs: Collection[int]) -> list[int]:
        """Those of ``epochs`` that have a value, the best first; of equal ones the earlier."""
        known = [epoch for epoch in epochs if math.isfinite(self.values.get(epoch, math.nan))]
        sign = 1 if self.is_lower_better else -1
        return sorted(known, key=lambda epoch: (sign * self.values[epoch], epoch))

    def best_of(self, epochs: Collection[int]) -> int | None:
        """The epoch with the best value among ``epochs``, the first one of several; None without a value."""
        return next(iter(self.ranked(epochs)), None)


Scores: TypeAlias = "Callable[[str], EpochScores | None]"
"""The scores of an experiment's training, None where no run of it is on record."""


def no_scores(_experiment: str) -> EpochScores | None:
    """For callers without records of runs."""
    return None
