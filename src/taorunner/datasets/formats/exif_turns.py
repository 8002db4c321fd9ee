"""Moves boxes of images that EXIF rotates, when the annotations state the stored size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from taorunner.datasets.files.image_header import ImageHeader
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model import segmentation
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.datasets.model.boxes import BoxTable, corners_of
from taorunner.datasets.model.extra_fields import moved_box, unmovable
from taorunner.text import amount, printable


def rotate_stored_boxes(folder: Folder, images: Sequence[ImageEntry]) -> tuple[ImageEntry, ...]:
    """Moves the boxes of images whose stored size is stated to the rotated image.

    Some tools state the stored size although boxes are drawn on the rotated image. Boxes that fit only the rotated
    image show this, for the whole dataset. A dataset with both kinds is an error.
    """
    if not folder.stored_sizes:
        return tuple(images)
    as_seen: list[ImageEntry] = []
    as_stored: list[ImageEntry] = []
    for image in images:
        if image.path in folder.stored_sizes and (header := folder.header(image.path)) is not None:
            fits_seen = _fits(image.boxes, header.width, header.height)
            fits_stored = _fits(image.boxes, header.stored_width, header.stored_height)
            if fits_seen != fits_stored:
                (as_seen if fits_seen else as_stored).append(image)
    if as_seen and as_stored:
        seen, stored = (printable(one[0].path.name) for one in (as_seen, as_stored))
        message = (
            f'EXIF rotates images, but boxes fit "{seen}" after the rotation and "{stored}" before it: '
            "the others are ambiguous"
        )
        hint = "save the images upright in the annotation tool, then annotate or export again"
        folder.error("exif-boxes-mixed", message, as_seen[0].source or as_seen[0].path, hint=hint)
    elif as_seen:
        count = amount(len(folder.stored_sizes), "image")
        message = (
            f"the annotations state the stored size of {count} that EXIF rotates, but the boxes fit "
            "only the rotated image: they are used as drawn on it"
        )
        folder.warning("exif-boxes-as-seen", message, as_seen[0].source or as_seen[0].path)
        return tuple(images)
    _report_unmovable(folder, [image for image in images if image.path in folder.stored_sizes])
    table = BoxTable()
    return tuple(_rotated_entry(folder, image, table) for image in images)


def _report_unmovable(folder: Folder, images: Sequence[ImageEntry]) -> None:
    counts = Counter(key for image in images for box in image.boxes for key in unmovable(box))
    if counts:
        shown = ", ".join(f'"{printable(key)[:40]}" ({count:,})' for key, count in counts.items())
        message = f"EXIF rotates images, and these coordinates cannot be rotated: {shown}: left out"
        folder.warning("exif-fields", message, images[0].source or images[0].path)


def _rotated_entry(folder: Folder, image: ImageEntry, table: BoxTable) -> ImageEntry:
    header = folder.header(image.path) if image.path in folder.stored_sizes else None
    if header is None:
        return image
    return replace(image, boxes=table.add(_rotated_box(box, header) for box in image.boxes))


def _fits(boxes: Sequence[Box], width: int, height: int) -> bool:
    slack = 1.5
    return all(
        -slack <= min(x_min, x_max) and max(x_min, x_max) <= width + slack
        and -slack <= min(y_min, y_max) and max(y_min, y_max) <= height + slack
        for _, x_min, y_min, x_max, y_max in corners_of(boxes)
    )  # fmt: skip


def _rotated_box(box: Box, header: ImageHeader) -> Box:
    """``box`` on the stored pixels, moved by EXIF's orientation. A malformed outline is kept unchanged."""
    outline = box.segmentation
    if outline:
        with suppress(ValueError):
            outline = segmentation.turned(
                outline, (header.stored_width, header.stored_height), header.orientation
            )
    width, height = header.stored_width, header.stored_height
    left, top, right, bottom = box.x_min, box.y_min, box.x_max, box.y_max
    swaps, mirrored, flipped = segmentation.turns(header.orientation)
    if swaps:
        left, top, right, bottom = top, left, bottom, right
        width, height = height, width
    if mirrored:
        left, right = width - right, width - left
    if flipped:
        top, bottom = height - bottom, height - top

    def move(x: float, y: float) -> tuple[float, float]:
        x, y = (y, x) if swaps else (x, y)
        return width - x if mirrored else x, height - y if flipped else y

    return replace(
        box,
        x_min=left,
        y_min=top,
        x_max=right,
        y_max=bottom,
        segmentation=outline,
        extra=moved_box(box, move),
    )
