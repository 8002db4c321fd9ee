"""Whether lower or higher values of a metric are better, which value is the best, and which metric is the main one.

Events carry the catalog's knowledge (``Judged``). Without it, for records of 0.1.0 and for networks defined in the
workspace, the metric's name decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from taorunner.values.value import Value

_LOWER_PARTS = ("loss", "error", "latency", "perplexity")
_LOWER_WORDS = frozenset(
    ("epe", "fid", "fid50k", "rmse", "mse", "mae", "err", "cer", "wer", "rel", "nll", "time", "duration", "fpr", "fnr",
     "medr", "meanr", "bp1", "bp2", "bp3", "mate", "mase", "maoe", "mave", "maae", "cost")
)  # fmt: skip
_LOWER_ENDING = "mpe"
_NO_DIRECTION = frozenset(
    (
        "lr",
        "momentum",
        "epoch",
        "epochs",
        "step",
        "steps",
        "iter",
        "iteration",
        "count",
        "num",
        "size",
        "eta",
        "images",
        "objects",
    )
)
_KPI_ORDER: tuple[tuple[str, ...], ...] = (
    ("map",), ("mean", "average", "precision"), ("map50",), ("ap",), ("miou",), ("iou",), ("hmean",),
    ("f1",), ("mf1",), ("acc",), ("accuracy",), ("precision",), ("recall",), ("epe",), ("fid",), ("rmse",),
)  # fmt: skip
_LOSS_ORDER = ("loss", "train_loss", "training_loss", "running_average_loss", "total_loss")


class Judged(Value):
    """The catalog's knowledge of a metric from the events; see ``events.MetricReported``."""

    direction: str | None = None
    rank: int | None = None


class Best(Value):
    """The best value of a metric so far; ``epoch`` is 1-based, None outside training."""

    value: float
    epoch: int | None = None


_NO_DIRECTIONS: Mapping[str, Judged] = {}


def is_lower_better(name: str, judged: Mapping[str, Judged] = _NO_DIRECTIONS) -> bool | None:
    """True for losses, errors, distances and times; False for scores; None where neither is better (``lr``).

    ``judged`` takes precedence over the name.

    Source: metric names of tao/pytorch.md section 4 and tao/tensorflow.md section 5: ``loss``, ``val/epe``,
    ``fid50k_full``, ``val_mAP``, ``test_acc``, ``hmean``, ``mean average precision``.
    """
    said = judged.get(name, Judged()).direction
    if said is not None:
        return {"up": False, "down": True}.get(said)
    words = {*_words(name), *re.findall(r"[a-z0-9]+", name[:200].lower())}
    if _NO_DIRECTION.intersection(words) or ("learning" in words and "rate" in words):
        return None
    lower = name.lower()
    return (
        any(part in lower for part in _LOWER_PARTS)
        or bool(_LOWER_WORDS.intersection(words))
        or any(word.endswith(_LOWER_ENDING) for word in words)
    )


def kpi_name(names: Iterable[str], judged: Mapping[str, Judged] = _NO_DIRECTIONS) -> str | None:
    """The main quality metric: the one that ``judged`` ranks first.

    Without ranks the order is mAP, IoU, accuracy, each on held-out data first.
    """
    known = [(place.rank, name) for name in names if (place := judged.get(name)) and place.rank is not None]
    if known:
        return min(known)[1]
    ranked: list[tuple[int, bool, int, str]] = []
    for name in names:
        is_said = judged.get(name, Judged()).direction is not None
        if is_said or is_lower_better(name) is None or "loss" in name.lower():
            continue
        words = _words(name)
        order = [i for i, kpi in enumerate(_KPI_ORDER) if _has(words, kpi)]
        is_training = "train" in words or "training" in words
        ranked.append((order[0] if order else len(_KPI_ORDER), is_training, len(words), name))
    return min(ranked)[3] if ranked else None


def loss_name(names: Iterable[str]) -> str | None:
    """The training loss: the simplest name; a validation loss only if there is no other."""
    losses = [name for name in names if "loss" in name.lower()]

    def rank(name: str) -> tuple[bool, int, int, str]:
        lower = name.lower()
        order = _LOSS_ORDER.index(lower) if lower in _LOSS_ORDER else len(_LOSS_ORDER)
        return ("val" in lower or "test" in lower, order, len(lower), name)

    return min(losses, key=rank) if losses else None


class BestOverEpochs:
    """The best value of one metric over all epochs, by the last value of each epoch."""

    def __init__(self) -> None:
        self._before: Best | None = None
        self._best: Best | None = None
        self._epoch: int | None = None

    def begin_again(self) -> None:
        """The next value is of a process that counts its epochs from the start."""
        self._epoch = None

    def after(self, value: float, epoch: int | None, lower: bool) -> Best | None:
        """The best value after ``value`` is reported. A value without an epoch counts as a separate one."""
        if epoch is not None and (self._epoch is None or epoch > self._epoch):
            self._before, self._epoch = self._best, epoch
        base = self._before if epoch is not None and epoch == self._epoch else self._best
        candidate = Best(value, epoch) if math.isfinite(value) else None
        if base is not None and (candidate is None or not _is_better(candidate.value, base.value, lower)):
            candidate = base
        self._best = candidate
        return candidate


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z]{2})(?=[A-Z])", " ", name[:200])
    return re.findall(r"[a-z0-9]+", spaced.lower())


def _has(words: list[str], part: tuple[str, ...]) -> bool:
    return any(tuple(words[i : i + len(part)]) == part for i in range(len(words)))


def _is_better(value: float, than: float, lower: bool) -> bool:
    return value < than if lower else value > than
