"""A trial of a sweep, as ``trials.jsonl`` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from taorunner.values.value import Value, field

Ending: TypeAlias = Literal["succeeded", "failed", "pruned", "stopped", "lost", "same"]
"""How a trial ended. ``same``: another trial had its values, and its value counts here too; nothing was run."""
Curve: TypeAlias = "Mapping[int, float]"
"""The metric by epoch, from 1."""


class Trial(Value):
    """``values`` are those of the axes; of the base's own trial those that its spec has, as far as they are known.

    ``run`` is None until its run has an id, ``pruning`` until its run is told to end early (the reason), ``ending``
    until it is over. ``value`` is the best one of its curve, with its ``epoch``; None where there is none.
    ``is_base``: its spec is that of the base, nothing is set. ``attempt`` is 2 once its first run was lost with the
    machine. ``is_waiting``: its run has not begun, as far as a view has asked (``SweepFolder.seen_trials``).
    """

    number: int
    values: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    is_base: bool = False
    run: str | None = None
    attempt: int = 1
    pruning: str | None = None
    ending: Ending | None = None
    value: float | None = None
    epoch: int | None = None
    reason: str | None = None
    curve: Mapping[int, float] = field(default_factory=dict)
    is_waiting: bool = False

    @property
    def name(self) -> str:
        """As people see it, ``t007``."""
        return f"t{self.number:03d}"

    @property
    def place(self) -> str:
        """The name of its folder of results."""
        return self.name if self.attempt == 1 else f"{self.name}.{self.attempt}"

    @property
    def is_over(self) -> bool:
        return self.ending is not None

    @property
    def counts(self) -> bool:
        """Whether its value says something about its values: it trained, to the end or until it was pruned."""
        return self.value is not None and self.ending in ("succeeded", "pruned", "same")
