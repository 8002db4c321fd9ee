"""Watches the values of a run for what makes its success doubtful: a loss that is no number, scores that are all 0."""

from __future__ import annotations

import math

from taorunner.contracts import Direction
from taorunner.progress.metric_table import Meaning


class ValueWatch:
    """``nan_epoch`` is the epoch at which a loss first became NaN or infinite, None if it is unknown."""

    def __init__(self) -> None:
        self.nan_seen = False
        self.nan_epoch: int | None = None
        self._ever_scored = False
        self._scores: dict[str, tuple[int, float]] = {}

    def take_loss(self, name: str, value: float, epoch: int | None) -> bool:
        """Whether this is the first loss that is no finite number."""
        if math.isfinite(value) or "loss" not in name or self.nan_seen:
            return False
        self.nan_seen, self.nan_epoch = True, epoch
        return True

    def take_score(self, name: str, value: float, meaning: Meaning) -> None:
        """Notes a value that ranks models, where higher is better."""
        if meaning.rank is not None and meaning.direction is Direction.UP:
            self._scores[name] = (meaning.rank, value)
            self._ever_scored = self._ever_scored or value != 0

    @property
    def zero_score(self) -> tuple[str, bool] | None:
        """The name of the most important score, if the last value of each score is 0; whether one was not 0 before."""
        if not self._scores or any(value != 0 for _, value in self._scores.values()):
            return None
        return min(self._scores, key=lambda name: self._scores[name][0]), self._ever_scored
