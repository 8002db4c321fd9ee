"""The values that fill in a contract's argument list. Pure data, kept in the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArgumentValues:
    """``values`` by names of ``VALUES``, paths as the process sees them.

    ``overrides`` come from ``--set``, ``extra`` is what follows ``--``.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
