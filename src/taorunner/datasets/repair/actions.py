"""The planned repairs of a dataset, collected before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.datasets.checks.boxes import Corners, faults_of

_SMALLEST = 2.0


@dataclass(slots=True)
class Repairs:
    """``texts``: new contents of files; ``empty``: label files to create; ``names``: new file names of images."""

    texts: dict[Path, str] = field(default_factory=dict)
    empty: dict[Path, None] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)


class BoxRepair:
    """Repairs the boxes of one image in order: removes duplicates and unusable boxes, clips the rest."""

    def __init__(self, size: tuple[int, int] | None) -> None:
        self._size = size
        self._seen: set[tuple[object, Corners]] = set()

    def of(self, name: object, corners: Corners) -> Corners | None:
        """The repaired box, None when it is removed. A box with swapped corners is kept for a person to correct."""
        key = (name, corners)
        if key in self._seen:
            return None
        self._seen.add(key)
        faults = faults_of(corners, self._size, _SMALLEST)
        if any(fault.is_removed for fault in faults):
            return None
        return next((fault.clipped for fault in faults if fault.clipped is not None), corners)


def differ(first: Sequence[float], second: Sequence[float]) -> bool:
    """True when they differ by more than rounding (half of the last decimal written)."""
    return any(abs(a - b) > 5e-5 for a, b in zip(first, second, strict=True))
