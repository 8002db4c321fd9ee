"""The result of a dataset check: findings, and counts per subset. Also lists the formats that ``--fix`` repairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from taorunner.errors import Finding

Progress = Callable[[int, int], None]
"""Called with ``(done, total)`` images."""
REPAIRED = ("coco", "voc", "yolo")
"""Formats other than KITTI whose files ``--fix`` repairs in place."""


@dataclass(slots=True)
class SubsetReport:
    """``classes`` counts boxes; in classification datasets, images."""

    name: str
    images: int = 0
    backgrounds: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)


@dataclass(slots=True)
class CheckReport:
    kind: str
    findings: list[Finding] = field(default_factory=list)
    subsets: list[SubsetReport] = field(default_factory=list)

    @property
    def images(self) -> int:
        """Of all subsets."""
        return sum(part.images for part in self.subsets)
