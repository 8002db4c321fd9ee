"""Notation of spec keys: ``train.optim.lr``; one of several is ``sources.0.path`` or ``sources[0].path``."""

from __future__ import annotations

import re

_BRACKETS = re.compile(r"\[([0-9]{1,6})\]")
_INDEX = re.compile(r"[0-9]{1,6}\Z")


def dotted(key: str) -> str:
    """``a[0].b`` as ``a.0.b``; anything else as it is."""
    return _BRACKETS.sub(r".\1", key) if "[" in key else key


def is_index(step: str) -> bool:
    return step.isascii() and _INDEX.match(step) is not None


def steps_without_indices(key: str) -> tuple[str, ...]:
    """The path by which a schema knows the key."""
    return tuple(step for step in dotted(key).split(".") if step and not is_index(step))
