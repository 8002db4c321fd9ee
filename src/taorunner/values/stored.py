"""Whether a value that was read from a file is what a field says: a file that was damaged may say anything."""

from __future__ import annotations

from taorunner.values.value import _Fields

LARGEST = 2**63
"""Whole numbers in files are below it: a larger one is damage, and would stop a division."""
_ANNOTATED = {"NoneType": "None", "tuple": "tuple[str, ...]", "dict": "dict[str, int]"}
_SIMPLE = frozenset({"str", "bool", "None"})


def kinds_of(cls: type[_Fields]) -> dict[str, frozenset[str]]:
    """For each field the classes of its values, as annotated: ``{"epoch": {"int", "None"}}``."""
    return {name: frozenset(str(kind).split(" | ")) for name, kind in cls._kinds.items()}


def fits(value: object, kinds: frozenset[str]) -> bool:
    """Whether ``value`` is of one of the classes, and can be worked with: times know their zone."""
    name = value.__class__.__name__
    name = _ANNOTATED.get(name, name)
    if name not in kinds:
        return name == "int" and "float" in kinds and fits(value, frozenset({"int"}))
    if name == "str":
        return isinstance(value, str) and "\0" not in value  # no path has NUL
    if name in _SIMPLE:
        return True
    if isinstance(value, int):
        return -LARGEST <= value < LARGEST
    if isinstance(value, tuple):
        return all(isinstance(one, str) and "\0" not in one for one in value)
    if isinstance(value, dict):
        return all(one.__class__ is int for one in value.values())
    # one of the first or the last year can be none in another zone
    return getattr(value, "tzinfo", True) is not None and 1 < getattr(value, "year", 2000) < 9999
