"""What is to become of which file? Collected before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.datasets.checks.boxes import Corners, faults_of

_SMALLEST = 2.0


@dataclass(slots=True)
class Repairs:
    """``texts`` are new contents, ``empty`` label files to make, ``names`` new file names of pictures."""

    texts: dict[Path, str] = field(default_factory=dict)
    empty: dict[Path, None] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)


class BoxRepair:
    """The boxes of one picture in their order: each once, clipped, and only those that can be learnt."""

    def __init__(self, size: tuple[int, int] | None) -> None:
        self._size = size
        self._seen: set[tuple[object, Corners]] = set()

    def of(self, name: object, corners: Corners) -> Corners | None:
        """What is left of it: None when it goes. An inverted one stays as it is, a person must say what it is."""
        key = (name, corners)
        if key in self._seen:
            return None
        self._seen.add(key)
        faults = faults_of(corners, self._size, _SMALLEST)
        if any(fault.goes for fault in faults):
            return None
        return next((fault.clipped for fault in faults if fault.clipped is not None), corners)


def differ(first: Sequence[float], second: Sequence[float]) -> bool:
    """More than rounding: half of the last decimal that is written."""
    return any(abs(a - b) > 5e-5 for a, b in zip(first, second, strict=True))
