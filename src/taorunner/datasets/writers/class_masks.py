"""Writes a mask for each image from the outlines of its objects: the number of its class as the value of a pixel.

0 is what no object covers. Smaller objects lie on top of larger ones. ``classes.txt`` has the names; line 1 is that of
value 0.
Source: tao/layouts.md, SegFormer and UNet: gray PNGs, a label for each value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from taorunner.datasets.files.pixels import needs_pillow
from taorunner.datasets.model import segmentation
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.datasets.writers.panoptic import draw_outline, outline_fault
from taorunner.errors import Finding, UserFilesError

BACKGROUND = "background"
CLASSES_FILE = "classes.txt"
MOST_CLASSES = 255


def mask_values(classes: Sequence[str]) -> dict[str, int]:
    """The value of each class, from 1. A class with the name of the background has the value 0.

    Raises UserFilesError for more classes than a byte can number.
    """
    objects = [name for name in dict.fromkeys(classes) if name.lower() != BACKGROUND]
    if len(objects) > MOST_CLASSES:
        raise UserFilesError(
            f"{len(objects)} classes are too many for masks: a pixel holds {MOST_CLASSES} at most",
            hint="merge classes before",
        )
    values = {name: number for number, name in enumerate(objects, start=1)}
    return {name: values.get(name, 0) for name in classes}


def write_mask(
    image: ImageEntry, values: Mapping[str, int], target: Path
) -> tuple[Counter[str], list[Finding]]:
    """The number of drawn objects of each class, and an error for each object that has no outline."""
    from PIL import Image

    canvas = Image.new("L", (image.width, image.height))
    findings: list[Finding] = []
    outlined: list[tuple[float, Box]] = []
    for box in image.boxes:
        try:
            outlined.append((segmentation.area(box.segmentation), box))
        except ValueError:
            findings.append(outline_fault(image, box, "outline-missing", "has no outline"))
    drawn: Counter[str] = Counter()
    for _, box in sorted(outlined, key=lambda one: -one[0]):
        try:
            draw_outline(canvas, box.segmentation, values[box.name])
            drawn[box.name] += 1
        except ValueError as error:
            message = f"has no outline of its image: {error}"
            findings.append(outline_fault(image, box, "outline-missing", message))
    canvas.save(target, "PNG", compress_level=4)
    return drawn, findings


def write_names(root: Path, values: Mapping[str, int]) -> None:
    """Writes ``classes.txt``."""
    names = {0: BACKGROUND, **{value: name for name, value in values.items()}}
    (root / CLASSES_FILE).write_text(
        "".join(f"{names[value]}\n" for value in sorted(names)), encoding="utf-8"
    )


def need_pillow() -> None:
    """Raises UserFilesError when masks cannot be drawn here."""
    needs_pillow("drawing masks")
