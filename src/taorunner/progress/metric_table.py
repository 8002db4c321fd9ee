"""Looks up the meaning of a metric in the catalog's table, by its name on the console or in status.json.

Names are compared without case and outer blanks. An exact name takes precedence over one with placeholders, and that
over one with ``*``.
Source: results.md section 2.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from taorunner.contracts import Direction, Metric, MetricScale
from taorunner.progress.epoch_position import canonical_name
from taorunner.values.value import Value

_COCO_NAMES = {
    "AP": "mAP", "AP50": "mAP50", "AP75": "mAP75", "APs": "mAP_small", "APm": "mAP_medium", "APl": "mAP_large",
    "ARmax1": "AR1", "ARmax10": "AR10", "ARmax100": "AR100", "ARs": "AR100_small", "ARm": "AR100_medium",
    "ARl": "AR100_large",
}  # fmt: skip
"""Names of pycocotools' values in the console parser, by TAO's name in status.json."""
_MASK = "mask_"


class Meaning(Value):
    """``direction`` is None when it must be guessed from the name.

    The metric with the lowest ``rank`` measures the quality of the model; metrics without a rank do not.
    """

    direction: Direction | None
    rank: int | None = None


def console_name(name: str) -> str:
    """The name that the console's table has for a value that TAO names ``name``: ``mAP50`` for ``AP50``."""
    mask = _MASK if name.startswith(_MASK) else ""
    known = _COCO_NAMES.get(name.removeprefix(mask))
    return name if known is None else mask + known


class MetricNames:
    """One name, and fractions, for values that families of networks write differently.

    ``percent_metrics`` are patterns of names whose values are written in percent.
    """

    def __init__(self, percent_metrics: Sequence[str], *, trains: bool) -> None:
        self._percent_metrics, self._trains = percent_metrics, trains

    def common(self, raw: str) -> str:
        """The common name of a metric. Keras names the training accuracy just ``acc``."""
        return "train_acc" if raw == "acc" and self._trains else canonical_name(raw)

    def in_common(self, raw: str, value: float) -> tuple[str, float]:
        """The common name, and the value as a fraction where it is written in percent."""
        name = self.common(raw)
        for pattern in self._percent_metrics:
            if fnmatchcase(raw, pattern) or fnmatchcase(name, pattern):
                return name, round(value / 100, 9)
        return name, value


class MetricTable:
    """``metrics`` are those of one action; ``guesses``: the meaning of others is guessed from their names."""

    def __init__(self, metrics: Sequence[Metric], *, guesses: bool) -> None:
        self._unknown = Meaning(None if guesses else Direction.NONE)
        self._rows = [
            (metric, re.compile("|".join(f"(?:{pattern})" for pattern in _patterns(metric)), re.IGNORECASE))
            for metric in sorted(metrics, key=_vagueness)
        ]
        ranked = [metric for metric in metrics if metric.ranks]
        ranked += [metric for metric in metrics if not metric.ranks and _may_rank(metric)]
        self._ranks = {metric.name: rank for rank, metric in enumerate(ranked)}
        self._found: dict[str, Metric | None] = {}

    def meaning(self, name: str) -> Meaning:
        metric = self.find(name)
        if metric is None:
            return self._unknown
        return Meaning(metric.direction, self._ranks.get(metric.name))

    def find(self, name: str) -> Metric | None:
        """The metric of that name, or None."""
        if name not in self._found:
            matches = (metric for metric, pattern in self._rows if pattern.fullmatch(name.strip()))
            self._found[name] = next(matches, None)
        return self._found[name]

    def name_in_status(self, name: str) -> str:
        """The name in status.json of the console metric ``name``, so that a value is not reported twice.

        Lightning's table of an evaluation omits ``test_`` or prints ``test/`` for ``val/``.
        Source: tao/real_runs.md M6, R9.
        """
        metric = self.find(name)
        if metric is not None:
            is_fraction = metric.scale is MetricScale.FRACTION
            return metric.name if is_fraction and name in _coco_names(metric.name) else name
        head, slash, rest = name.partition("test/")
        for candidate in (f"test_{name}", f"val/{rest}" if slash and not head else ""):
            if candidate and self.find(candidate) is not None:
                return candidate
        return name

    def means_nothing_there(self, name: str, value: float) -> bool:
        """True for -1, which COCO uses when there are no such objects, for other negative shares, and for a value that
        status.json has less exactly than the console."""
        metric = self.find(name)
        if metric is not None and metric.console:
            return True
        if metric is None or metric.scale is MetricScale.OWN:
            return False
        return value == (-1.0 if metric.scale is MetricScale.FRACTION else -100.0) or value == -1.0


def _patterns(metric: Metric) -> list[str]:
    name = metric.name.strip()
    spellings = (name, canonical_name(name), "_".join(name.split()), *_coco_names(name))
    return [Metric(spelling, metric.direction, metric.scale).pattern for spelling in dict.fromkeys(spellings)]


def _coco_names(name: str) -> list[str]:
    prefix = _MASK if name.startswith(_MASK) else ""
    known = _COCO_NAMES.get(name.removeprefix(prefix))
    return [] if known is None else [prefix + known]


def _vagueness(metric: Metric) -> int:
    return 2 if "*" in metric.name else 1 if "<" in metric.name else 0


def _may_rank(metric: Metric) -> bool:
    return metric.direction is not Direction.NONE and "loss" not in metric.name and _vagueness(metric) == 0
