"""Gives every image of a dataset a subset that a training needs: a split of its own is kept, else one is made.

Images that are the same, or nearly the same, come into one subset; classes are balanced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taorunner.datasets.model.annotations import ImageEntry
from taorunner.datasets.transform.near_copies import NearCopies, near_copies
from taorunner.datasets.transform.split_parts import Request, parted
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.text import amount, printable

TRAIN, VAL, TEST = "train", "val", "test"
SEED = 42
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Arranged:
    """``images`` with their subsets. ``is_made``: the split is new, and each of ``copies`` groups of the same or nearly
    the same images is in one subset."""

    images: tuple[ImageEntry, ...]
    is_made: bool
    copies: int
    findings: tuple[Finding, ...]


def arranged(
    images: Sequence[ImageEntry], source: Path, val: float, progress: Progress, *, together: bool = True
) -> Arranged:
    """``together``: images that are nearly the same come into one subset; identical ones always do. ``val`` is the
    share of the images that validate, above 0 and below 1, where the dataset has no such subset.

    Raises UserFilesError when there are too few images for two subsets.
    """
    subsets = {image.subset for image in images}
    if VAL in subsets and subsets - {VAL, TEST}:
        named = tuple(_named(image, TRAIN) for image in images)
        return Arranged(named, is_made=False, copies=0, findings=())
    if VAL in subsets:  # nothing trains: this is the whole dataset
        images = [replace(image, subset="") if image.subset == VAL else image for image in images]
    open_images = [image.path for image in images if image.subset != TEST]
    near = near_copies(sorted(open_images), progress) if together else NearCopies()
    request = Request({TRAIN: 1 - val, VAL: val}, SEED, together=near.pairs)
    made = parted(images, source, request)
    if empty := [part.name for part in made.parts if not part.images]:
        message = f'{amount(len(open_images), "image")} in "{printable(str(source))}" '
        raise UserFilesError(
            f"{message}{'is' if len(open_images) == 1 else 'are'} too few: none is left for {' and '.join(empty)}",
            hint="add images, or keep copies of one image out; train and val need one image each",
        )
    findings = [one for one in made.findings if one.code != "subsets-kept"]  # test, as is wanted
    if near.not_looked is not None:
        message = f"not looked for: nearly the same images in train and val, because {near.not_looked}"
        findings.append(Finding(Severity.INFO, "not-checked", message, None, source))
    placed = tuple(replace(image, subset=part.name) for part in made.parts for image in part.images)
    return Arranged(placed, is_made=True, copies=made.copies, findings=tuple(findings))


def _named(image: ImageEntry, other: str) -> ImageEntry:
    return image if image.subset in (VAL, TEST, other) else replace(image, subset=other)
