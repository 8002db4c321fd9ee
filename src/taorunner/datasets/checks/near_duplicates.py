"""Is a picture in train, encoded anew or in another size, also in val? Content hashes do not see that.

A picture is known by sixteen times sixteen means of gray, as it is seen. A copy keeps each of them within a few steps;
another frame of the same camera does not, as soon as something moved. Pictures without contrast say nothing.
"""

from __future__ import annotations

import filecmp
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.errors import Finding, Severity

_SIDE = 16
_CONTRAST = 32  # steps of gray between the darkest and the lightest mean
_STEPS = 8  # that a mean of a copy may differ
_MEAN_STEPS = 2.0
_EDGE, _BITS = 2, 40  # steps that make an edge, and edges that a copy may gain or lose


@dataclass(frozen=True, slots=True)
class Look:
    """``grays`` are row by row, ``edges`` says where the next one is darker, ``mean`` is of all."""

    grays: bytes
    edges: int
    mean: float


def look_of(picture: Any) -> Look | None:
    """``picture`` is a decoded one of Pillow; None when it is too flat to be told from others."""
    from PIL import Image, ImageOps

    small = picture.convert("RGB" if picture.mode in ("P", "PA", "CMYK") else "L").convert("L")
    small = small.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    small.getexif()[0x0112] = picture.getexif().get(0x0112, 1)
    grays = ImageOps.exif_transpose(small).tobytes()
    if max(grays) - min(grays) < _CONTRAST:
        return None
    edges = 0
    for at in range(len(grays) - 1):
        edges = edges << 1 | (grays[at] > grays[at + 1] + _EDGE)
    return Look(grays, edges, sum(grays) / len(grays))


def similar_findings(looks: Sequence[tuple[str, Path, Look]]) -> Iterator[Finding]:
    """One for each picture that looks like one of a subset before its own; equal files are told elsewhere."""
    order = sorted(range(len(looks)), key=lambda at: looks[at][2].mean)
    means = [looks[at][2].mean for at in order]
    for at, (subset, path, look) in enumerate(looks):
        for place in range(bisect_left(means, look.mean - _MEAN_STEPS), len(order)):
            if means[place] > look.mean + _MEAN_STEPS:
                break
            other_subset, other_path, other = looks[order[place]]
            if order[place] >= at or other_subset == subset or not _is_copy(look, other):
                continue
            if not _are_equal(path, other_path):
                message = (
                    f'nearly the same picture is in "{other_subset}" ({other_path.name}) and in "{subset}"'
                )
                hint = "a copy in another size or quality? keep both in one subset: dataset split --group"
                yield Finding(Severity.WARNING, "similar-image-in-subsets", message, hint, path)
            break


def _is_copy(first: Look, second: Look) -> bool:
    return (first.edges ^ second.edges).bit_count() <= _BITS and all(
        abs(a - b) <= _STEPS for a, b in zip(first.grays, second.grays, strict=True)
    )


def _are_equal(first: Path, second: Path) -> bool:
    try:
        return filecmp.cmp(first, second, shallow=False)
    except OSError:
        return False
