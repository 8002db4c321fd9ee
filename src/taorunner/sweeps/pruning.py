"""Which trial ends early: the median rule, and ASHA (successive halving that waits for nobody).

ASHA: Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020, algorithm 2. Both judge a trial by its
best value up to an epoch, as the value of a trial is its best one.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from taorunner.project.sweeps.definition import Pruner

MIN_OTHERS = 3
"""With fewer others a median says nothing."""


def reason_to_prune(
    pruner: Pruner, curve: Mapping[int, float], others: Iterable[Mapping[int, float]], *, maximize: bool
) -> str | None:
    """Why the trial with ``curve`` ends now; None when it goes on.

    ``others`` are the curves of the trials that ran or run, without failed ones. Epochs count from 1; only those with a
    value are judged.
    """
    if not curve:
        return None
    newest = max(curve)
    if newest < pruner.first:
        return None
    epoch = newest if pruner.kind == "median" else _rung(pruner, curve)
    own = _best(curve, epoch, maximize)
    if own is None:
        return None
    rivals = [
        best
        for other in others
        if other and max(other) >= epoch and (best := _best(other, epoch, maximize)) is not None
    ]
    rank = 1 + sum(_is_better(rival, own, maximize) for rival in rivals)
    if not _is_out(pruner, own, rank, rivals, maximize):
        return None
    return f"pruned at epoch {newest}: {own:.4g}, {_ordinal(rank)} of {len(rivals) + 1}"


def _rung(pruner: Pruner, curve: Mapping[int, float]) -> int:
    """The epoch of the highest rung that was reached: the first one from there on that has a value."""
    rung, newest = pruner.first, max(curve)
    while rung * pruner.factor <= newest:
        rung *= pruner.factor
    return min(epoch for epoch in curve if epoch >= rung)


def _is_out(pruner: Pruner, own: float, rank: int, rivals: Sequence[float], maximize: bool) -> bool:
    if pruner.kind == "median":
        return len(rivals) >= MIN_OTHERS and _is_better(statistics.median(rivals), own, maximize)
    goes_on = max(1, (len(rivals) + 1) // pruner.factor)
    return len(rivals) + 1 >= pruner.factor and rank > goes_on


def _best(curve: Mapping[int, float], until: int, maximize: bool) -> float | None:
    values = [value for epoch, value in curve.items() if epoch <= until and value == value]
    if not values:
        return None
    return max(values) if maximize else min(values)


def _is_better(one: float, other: float, maximize: bool) -> bool:
    return one > other if maximize else one < other


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number % 10, 'th')}"
