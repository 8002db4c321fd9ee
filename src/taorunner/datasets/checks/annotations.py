"""Checks of datasets in other formats than KITTI: boxes, and what TAO requires of COCO files.

Source: tao/datasets.md A2: category ids are label indices, and every annotation needs ``area``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from taorunner.datasets.checks.boxes import are_sound, faults_of
from taorunner.datasets.checks.classes import ClassNeeds
from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.datasets.model.boxes import Box, Corners, columns_of, corners_of, names_of
from taorunner.errors import Finding, Severity
from taorunner.text import printable

_HINTS = {
    "box-inverted": "correct it: x_min y_min x_max y_max",
    "box-tiny": "too small to learn from; check whether it is a mistake",
}
_REWRITTEN = "taorunner dataset convert DATASET --to coco writes it as TAO reads it"
_CLIPPED = "box-beyond-edge"


def box_findings(image: ImageEntry, needs: Sequence[ClassNeeds], *, is_repaired: bool) -> Iterator[Finding]:
    """``is_repaired``: ``--fix`` can repair this format."""
    size = (image.width, image.height)
    smallest = max([2.0, *(need.smallest_box(size) for need in needs)])
    place = image.source or image.path
    columns = columns_of(image.boxes)
    if are_sound(columns, size, smallest) and not _has_equal(image.boxes, columns[0]):
        return
    seen: set[Corners] = set()
    for index, box in enumerate(corners_of(image.boxes)):
        name, *corners = box
        named, line = f'{image.path.name}, "{name}": ', image.boxes[index].line
        for fault in faults_of((corners[0], corners[1], corners[2], corners[3]), size, smallest):
            hint = _HINTS.get(fault.code) or _repair_hint(fault.code, is_repaired)
            yield Finding(fault.severity, fault.code, named + fault.message, hint, place, line)
        if box in seen:
            message = f"{named}duplicate box"
            hint = _repair_hint("box-duplicate", is_repaired)
            yield Finding(Severity.WARNING, "box-duplicate", message, hint, place, line)
        seen.add(box)


def _has_equal(boxes: Sequence[Box], x_min: Sequence[float]) -> bool:
    """Whether two of ``boxes`` have the same corners and class. Most images have no two boxes with the same
    ``x_min``."""
    return len(set(x_min)) < len(x_min) and len(set(corners_of(boxes))) < len(x_min)


def _repair_hint(code: str, is_repaired: bool) -> str:
    if not is_repaired:
        return "correct it in the annotation tool"
    return "--fix clips it to the image" if code == _CLIPPED else "--fix removes it"


def coco_findings(dataset: DetectionDataset) -> Iterator[Finding]:
    """``dataset`` was read as COCO. The findings are on its files as they are, without any conversion."""
    files = sorted({image.source for image in dataset.images if image.source is not None})
    by_file: dict[Path, tuple[tuple[int, str], ...]] = {}
    for file in files:
        facts = dataset.metadata.coco_files.get(file)
        if facts is None:
            continue  # the reader has reported its categories
        if facts.without_area:
            share = f"{facts.without_area} of {facts.annotations}"
            message = f'{share} annotations have no "area", which TAO\'s loader needs'
            yield Finding(Severity.ERROR, "coco-area", message, "--fix adds it", file)
        if facts.boxes_of_texts:
            share = f"{facts.boxes_of_texts} of {facts.annotations}"
            message = f"the boxes of {share} annotations are texts, not numbers: TAO's loader stops at them"
            yield Finding(Severity.ERROR, "coco-annotation", message, _REWRITTEN, file)
        if below := [number for number, _ in facts.categories if isinstance(number, int) and number < 0]:
            message = f"the category id {below[0]} is below 0, and TAO takes ids as places in a list"
            yield Finding(Severity.ERROR, "coco-category", message, _REWRITTEN, file)
        by_file[file] = tuple(sorted((i, n) for i, n in facts.categories if isinstance(i, int)))
    if len(set(by_file.values())) > 1:
        first, other = files[0], next(f for f in by_file if by_file[f] != by_file[files[0]])
        message = f"the categories differ from those of {first.name}: the same id means different classes"
        hint = "taorunner dataset convert DATASET --to coco gives them the same ids"
        yield Finding(Severity.ERROR, "coco-categories-differ", message, hint, other)


def with_earlier(dataset: DetectionDataset) -> Iterator[tuple[ImageEntry, ImageEntry | None]]:
    """Each image, with the earlier entry of the same file."""
    first: dict[str, ImageEntry] = {}
    for image in dataset.images:
        earlier = first.setdefault(str(image.path), image)  # a text keeps its hash
        yield image, earlier if earlier is not image else None


def twice_finding(image: ImageEntry, earlier: ImageEntry) -> Finding:
    places = " and ".join(f'"{printable(_origin(one))}"' for one in (earlier, image))
    message = f'"{printable(image.path.name)}" is annotated twice, in {places}'
    hint = "remove one of them; dataset convert --skip-bad takes the first"
    return Finding(Severity.ERROR, "picture-twice", message, hint, image.path)


def _origin(image: ImageEntry) -> str:
    return image.subset or (image.source.name if image.source is not None else "?")


def counted(
    dataset: DetectionDataset, subset: str
) -> tuple[int, int, Counter[str], Counter[tuple[int, int]]]:
    """Counts of one subset: images, background images, boxes by class, images by size."""
    images = [image for image in dataset.images if image.subset == subset]
    return (
        len(images), sum(not image.boxes for image in images),
        Counter(chain.from_iterable(names_of(image.boxes) for image in images)),
        Counter((image.width, image.height) for image in images),
    )  # fmt: skip
