"""The values of ``--epochs``, ``--batch-size``, ``--lr``, ``--seed`` and ``--min-score``, and the settings of the spec
they become."""

from __future__ import annotations

import math

from taorunner.errors import UsageError
from taorunner.values.value import Value


class Knobs(Value):
    """None: not given. ``batch_size`` counts the images that one GPU takes at once. ``min_score`` is a fraction;
    ``may_lack_score``: nobody typed it, and an action without a key for it is planned without."""

    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seed: int | None = None
    min_score: float | None = None
    may_lack_score: bool = False

    def given(self) -> dict[str, int | float]:
        """The knobs that have a value, by name, in the order of the fields."""
        values = {
            "epochs": self.epochs, "batch_size": self.batch_size, "lr": self.lr, "seed": self.seed,
            "min_score": self.min_score,
        }  # fmt: skip
        return {name: value for name, value in values.items() if value is not None}


NO_KNOBS = Knobs()


QUOTE = "'"
"""Around a value that is a text although it looks like a list."""


class KnobSetting(Value):
    """``key`` of the spec is set to ``value`` because of ``option`` (``--epochs 12``); both are texts.

    ``was`` is the value of a key that is changed along with those that the option names, None for those themselves.
    """

    option: str
    key: str
    value: str
    was: str | None = None

    @property
    def text(self) -> str:
        """``--epochs 12 → train.num_epochs = 12``"""
        before = f" (was {self.was})" if self.was is not None else ""
        return f"{self.option} → {self.key} = {self.value.strip(QUOTE)}{before}"


def read_knobs(
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int | None,
    min_score: float | None = None,
) -> Knobs:
    """The knobs as they are typed.

    Raises:
        UsageError: a value that no training can have.
    """
    for option, count, least in (
        ("--epochs", epochs, 1),
        ("--batch-size", batch_size, 1),
        ("--seed", seed, 0),
    ):
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < least):
            raise UsageError(
                f'{option} must be a whole number of at least {least}, not "{count}"',
                hint=f"for example {option} 8",
            )
    if lr is not None:
        if isinstance(lr, bool) or not isinstance(lr, (int, float)) or not math.isfinite(lr) or lr <= 0:
            shown = f"{lr:g}" if isinstance(lr, (int, float)) else lr
            raise UsageError(f'--lr must be a number above 0, not "{shown}"', hint="for example --lr 1e-4")
        lr = float(lr)
    if min_score is not None:
        if isinstance(min_score, bool) or not isinstance(min_score, (int, float)) or not 0 <= min_score <= 1:
            raise UsageError(
                f'--min-score must be from 0 to 1, not "{min_score}"', hint="for example --min-score 0.001"
            )
        min_score = float(min_score)
    return Knobs(epochs, batch_size, lr, seed, min_score)


def number_text(value: int | float) -> str:
    """A number as YAML, protobuf text and Hydra read it alike: ``1.0e-05``, because YAML reads 1e-05 as a word."""
    if isinstance(value, int):
        return str(value)
    text = repr(float(f"{value:.6g}"))
    mantissa, exponent, rest = text.partition("e")
    return text if not exponent or "." in mantissa else f"{mantissa}.0e{rest}"
