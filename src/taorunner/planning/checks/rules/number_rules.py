"""Rules for numbers of a training that cannot be: sizes, batches and epochs that are not above 0."""

from __future__ import annotations

import re
from collections.abc import Iterator

from taorunner.catalog.layouts import ComputedValue
from taorunner.errors import Severity
from taorunner.planning.checks.rules.dataset_rules import BATCH_KEYS
from taorunner.planning.checks.rules.held_out_rules import ACTIONS
from taorunner.planning.checks.training_facts import Fault, Rule, Training

_OTHERS = frozenset({*ACTIONS, "export", "gen_trt_engine", "prune"}) - {"train"}
"""Sections of a spec that other actions read."""
_SIZE = re.compile(r"(?:^|\.)(?!min_)(?:\w*_)?(?:size|width|height)\Z")
"""Not of the smallest box that is taken, which may be 0."""


def not_above_zero(training: Training) -> Iterator[Fault]:
    """Source: tao/layouts.md (sizes of each network); a loader with batches of 0 images is refused by every framework,
    and a training of 0 epochs ends without a model.
    """
    for key in dict.fromkeys(_keys(training)):
        values = training.spec.values(key) if key in training.spec else ()
        for index, value in enumerate(values):
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 0:
                hint = training.refreshed(key, "write a number above 0")
                yield Fault(
                    Severity.ERROR,
                    "not-above-zero",
                    f'"{key}" is {value:g}, and has to be above 0',
                    hint,
                    key,
                    index,
                )
                break


RULES: tuple[Rule, ...] = (not_above_zero,)


def _keys(training: Training) -> Iterator[str]:
    """Those of which the catalog says that they are epochs, a batch size or a size of images."""
    yield from (training.role("epochs"), training.role("batch_size"), *BATCH_KEYS)
    for row in training.layout.computed if training.layout is not None else ():
        is_size = row.value is ComputedValue.SIZE or row.multiple_of is not None or row.source == "sizes"
        for key in row.keys:
            if (is_size or _SIZE.search(key)) and key.partition(".")[0] not in _OTHERS:
                yield key
