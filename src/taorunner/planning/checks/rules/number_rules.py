"""Rules for numbers of a training that cannot be: sizes, batches and epochs that are not above 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from taorunner.errors import Severity
from taorunner.planning.checks.rules.dataset_rules import BATCH_KEYS
from taorunner.planning.checks.training_facts import Fault, Rule, Training


def not_above_zero(training: Training) -> Iterator[Fault]:
    """Source: tao/layouts.md (sizes of each network); a loader with batches of 0 images is refused by every framework,
    and a training of 0 epochs ends without a model.
    """
    sizes = training.layout.trained_sizes if training.layout is not None else ()
    return _not_above_zero(training, (training.role("batch_size"), *BATCH_KEYS, *sizes))


def no_epochs(training: Training) -> Iterator[Fault]:
    """By itself, because a sweep over the number of epochs changes no size."""
    return _not_above_zero(training, (training.role("epochs"),))


def _not_above_zero(training: Training, keys: Iterable[str]) -> Iterator[Fault]:
    for key in dict.fromkeys(keys):
        for index, value in enumerate(training.spec.values(key)):
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


EPOCH_RULES: tuple[Rule, ...] = (no_epochs,)
RULES: tuple[Rule, ...] = (not_above_zero,)
