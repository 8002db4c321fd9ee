"""Finds images that are copies of one another in another size or encoding, so that a split keeps them together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.datasets.checks.near_duplicates import Fingerprint, fingerprint_of, similar_pairs
from taorunner.datasets.files.pixels import has_pillow, open_image

MOST_IMAGES = 20_000
"""Decoding takes some milliseconds for each image; above this number it would take minutes."""
_DRAFT = (256, 256)


@dataclass(frozen=True, slots=True)
class NearCopies:
    """``pairs`` of images; ``not_looked`` says why none were looked for, None where they were."""

    pairs: tuple[tuple[Path, Path], ...] = ()
    not_looked: str | None = None


def near_copies(
    paths: Sequence[Path], progress: Callable[[str, int, int], None] = lambda what, done, total: None
) -> NearCopies:
    """Compares every image with every other one. Images that cannot be decoded resemble none."""
    if not has_pillow():
        return NearCopies(not_looked="this needs Pillow: pip install 'taorunner[datasets]'")
    if len(paths) > MOST_IMAGES:
        return NearCopies(not_looked=f"there are more than {MOST_IMAGES:,} images")
    looks: list[Fingerprint] = []
    known: list[Path] = []
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for done, (path, look) in enumerate(zip(paths, pool.map(_look, paths), strict=True), 1):
            if look is not None:
                looks.append(look)
                known.append(path)
            if done % 50 == 0:
                progress("comparing", done, len(paths))
    return NearCopies(tuple((known[at], known[earlier]) for at, earlier in similar_pairs(looks)))


def _look(path: Path) -> Fingerprint | None:
    from PIL import Image

    found: Any = None
    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), open_image(path) as image:
        image.draft("L", _DRAFT)  # of a JPEG, a fraction of the work
        found = fingerprint_of(image)
    return found if isinstance(found, Fingerprint) else None
