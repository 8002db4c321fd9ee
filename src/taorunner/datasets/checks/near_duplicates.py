"""Finds near-duplicate images across subsets: copies in another size or encoding, which content hashes miss.

The fingerprint of an image is its 16x16 grayscale thumbnail after the EXIF rotation. In a copy every value stays within
a few steps; in another frame of the same camera it does not, as soon as something moved. Images without contrast are
skipped.
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
_CONTRAST = 32  # gray levels between the darkest and the lightest value
_STEPS = 8  # gray levels that a value of a copy may differ
_MEAN_STEPS = 2.0
_EDGE, _BITS = 2, 40  # gray levels that make an edge; edges that may differ in a copy


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """``grays``: row by row; ``edges``: a bit for each pixel whose successor is darker; ``mean``: of all grays."""

    grays: bytes
    edges: int
    mean: float


def fingerprint_of(image: Any) -> Fingerprint | None:
    """``image`` is a decoded Pillow image. None when its contrast is too low to compare it."""
    from PIL import Image, ImageOps

    small = image.convert("RGB" if image.mode in ("P", "PA", "CMYK") else "L").convert("L")
    small = small.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    small.getexif()[0x0112] = image.getexif().get(0x0112, 1)
    grays = ImageOps.exif_transpose(small).tobytes()
    if max(grays) - min(grays) < _CONTRAST:
        return None
    edges = 0
    for at in range(len(grays) - 1):
        edges = edges << 1 | (grays[at] > grays[at + 1] + _EDGE)
    return Fingerprint(grays, edges, sum(grays) / len(grays))


def similar_findings(looks: Sequence[tuple[str, Path, Fingerprint]]) -> Iterator[Finding]:
    """One finding for each image that resembles one of an earlier subset. Identical files are reported elsewhere."""
    last = -1
    for at, earlier in similar_pairs([look for _, _, look in looks]):
        (subset, path, _), (other_subset, other_path, _) = looks[at], looks[earlier]
        if at == last or other_subset == subset:
            continue
        last = at
        if not _are_equal(path, other_path):
            message = f'nearly the same image is in "{other_subset}" ({other_path.name}) and in "{subset}"'
            hint = "if one copies the other, keep both in one subset: taorunner dataset split DATASET --merge"
            yield Finding(Severity.WARNING, "similar-image-in-subsets", message, hint, path)


def similar_pairs(looks: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Indices of every image and each earlier one that it resembles."""
    order = sorted(range(len(looks)), key=lambda at: looks[at].mean)
    means = [looks[at].mean for at in order]
    for at, look in enumerate(looks):
        for place in range(bisect_left(means, look.mean - _MEAN_STEPS), len(order)):
            if means[place] > look.mean + _MEAN_STEPS:
                break
            earlier = order[place]
            if earlier < at and _is_copy(look, looks[earlier]):
                yield at, earlier


def _is_copy(first: Fingerprint, second: Fingerprint) -> bool:
    return (first.edges ^ second.edges).bit_count() <= _BITS and all(
        abs(a - b) <= _STEPS for a, b in zip(first.grays, second.grays, strict=True)
    )


def _are_equal(first: Path, second: Path) -> bool:
    try:
        return filecmp.cmp(first, second, shallow=False)
    except OSError:
        return False
