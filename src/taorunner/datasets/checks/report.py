"""What a check of a dataset gives: findings, and counts per subset. Also the formats that ``--fix`` can repair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from taorunner.errors import Finding

Progress = Callable[[int, int], None]
"""Called with ``(done, total)`` pictures."""
REPAIRED = ("coco", "voc", "yolo")
"""Formats, beside KITTI, whose own files ``--fix`` repairs."""


@dataclass(slots=True)
class SubsetReport:
    """``classes`` counts boxes, or pictures where a picture has one class."""

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
