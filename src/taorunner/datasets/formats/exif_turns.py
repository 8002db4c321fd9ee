"""Where are the boxes of pictures that EXIF turns, when the annotations state the size as it is stored?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from taorunner.datasets.files.image_header import PictureHeader
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model import segmentation
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.datasets.model.extra_fields import moved_box, unmovable
from taorunner.text import amount, printable


def settled(folder: Folder, images: Sequence[ImageEntry]) -> tuple[ImageEntry, ...]:
    """The boxes of pictures whose stored size is stated, on the picture as it is seen.

    Some tools state the stored size and yet draw on the turned picture: boxes that fit only there say so, for all
    pictures of the dataset. What says both is an error.
    """
    as_seen: list[ImageEntry] = []
    as_stored: list[ImageEntry] = []
    for image in images:
        header = folder.header(image.path)
        if image.path in folder.stored_sizes and header is not None:
            fits_seen = _fits(image.boxes, header.width, header.height)
            fits_stored = _fits(image.boxes, header.stored_width, header.stored_height)
            if fits_seen != fits_stored:
                (as_seen if fits_seen else as_stored).append(image)
    if as_seen and as_stored:
        seen, stored = (printable(one[0].path.name) for one in (as_seen, as_stored))
        message = (
            f'EXIF turns pictures, and boxes fit "{seen}" as it is seen, "{stored}" as it is stored: '
            "nothing says which way the others are meant"
        )
        hint = "save the pictures upright in the annotation tool, and annotate or export anew"
        folder.error("exif-boxes-mixed", message, as_seen[0].source or as_seen[0].path, hint=hint)
    elif as_seen:
        count = amount(len(folder.stored_sizes), "picture")
        message = (
            f"the annotations state the stored size of {count} that EXIF turns, and the boxes fit "
            "the turned picture only: they are taken as drawn on that"
        )
        folder.warning("exif-boxes-as-seen", message, as_seen[0].source or as_seen[0].path)
        return tuple(images)
    _tell_unmovable(folder, [image for image in images if image.path in folder.stored_sizes])
    return tuple(_settled(folder, image) for image in images)


def _tell_unmovable(folder: Folder, images: Sequence[ImageEntry]) -> None:
    counts = Counter(key for image in images for box in image.boxes for key in unmovable(box))
    if counts:
        shown = ", ".join(f'"{printable(key)[:40]}" ({count:,})' for key, count in counts.items())
        message = f"EXIF turns pictures, and these coordinates cannot follow and are left out: {shown}"
        folder.warning("exif-fields", message, images[0].source or images[0].path)


def _settled(folder: Folder, image: ImageEntry) -> ImageEntry:
    header = folder.header(image.path)
    if image.path not in folder.stored_sizes or header is None:
        return image
    return replace(image, boxes=tuple(_turned(box, header) for box in image.boxes))


def _fits(boxes: Iterable[Box], width: int, height: int) -> bool:
    slack = 1.5
    return all(
        -slack <= min(box.x_min, box.x_max) and max(box.x_min, box.x_max) <= width + slack
        and -slack <= min(box.y_min, box.y_max) and max(box.y_min, box.y_max) <= height + slack
        for box in boxes
    )  # fmt: skip


def _turned(box: Box, header: PictureHeader) -> Box:
    """``box`` on the stored pixels, moved to where EXIF's orientation shows it. What is no outline goes as it is."""
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
