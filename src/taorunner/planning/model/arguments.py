"""The values that fill in a contract's argument list. Pure data, kept in the plan."""

from __future__ import annotations

from collections.abc import Mapping

from taorunner.values.value import Value, field

ArgumentValue = str | tuple[str, ...]


class ArgumentValues(Value):
    """``values`` by names of ``VALUES``, paths as the process sees them.

    ``overrides`` come from ``--set``, ``extra`` is what follows ``--``.
    """

    values: Mapping[str, ArgumentValue] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
