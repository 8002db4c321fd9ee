"""Figures of a failure that its own lines give, in one sentence: how full the memory of a GPU was.

The texts are those of PyTorch's allocator. Source: pytorch c10/cuda/CUDACachingAllocator.cpp (2.1 and later, and 1.x).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from taorunner.text import size

_UNITS = {"bytes": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_AMOUNT = r"([\d.]{1,12}) (bytes|[KMGT]iB)"
_MEMORY = (
    re.compile(
        rf"Tried to allocate {_AMOUNT}\. GPU\s?\d* has a total capacity of {_AMOUNT} of which {_AMOUNT} is free"
    ),
    re.compile(
        rf"Tried to allocate {_AMOUNT} \(GPU \d+; {_AMOUNT} total capacity; .{{0,80}}?; {_AMOUNT} free"
    ),
)


def memory_text(lines: Iterable[str]) -> str | None:
    """``78.9 of 80.0 GiB in use, 2.5 GiB more asked``; None where no line says it."""
    for line in lines:
        for pattern in _MEMORY:
            found = pattern.search(line)
            if found is not None:
                asked, total, free = (_bytes(*found.groups()[at : at + 2]) for at in (0, 2, 4))
                if 0 <= free <= total:
                    return f"{_of(total - free, total)} in use, {size(asked)} more asked"
    return None


def _bytes(number: str, unit: str) -> int:
    try:
        return int(float(number) * _UNITS[unit])
    except ValueError:  # 1.2.3
        return 0


def _of(used: int, total: int) -> str:
    """Both in one unit, which is named once."""
    first, second = size(used), size(total)
    number, _, unit = first.partition(" ")
    return f"{number} of {second}" if unit == second.partition(" ")[2] else f"{first} of {second}"
