"""Writes COCO panoptic: an image of segments for each image, and what the segments are in one JSON a subset.

The pixel of a segment has its id as red + 256 green + 65536 blue; smaller objects lie on top of larger ones.
Source: tao/layouts.md, OneFormer and Mask2Former.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taorunner.datasets.files.pixels import needs_pillow
from taorunner.datasets.model import segmentation
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.text import printable

if TYPE_CHECKING:
    from PIL import Image

PANOPTIC_FILE, SEGMENTS = "panoptic.json", "panoptic"
Colour = tuple[int, int, int]


def write_panoptic(
    folder: Path, images: Sequence[tuple[str, ImageEntry]], names: Mapping[str, str]
) -> list[str]:
    """Returns the classes by id, from 1.

    Raises UserFilesError that names every object without an outline, and every one of which no pixel is left because
    smaller ones cover it: neither can be a segment.
    """
    needs_pillow("COCO panoptic")
    classes = list(dict.fromkeys(names.values()))
    ids = {name: number for number, name in enumerate(classes, start=1)}
    (folder / SEGMENTS).mkdir()
    findings: list[Finding] = []
    listed, annotations = [], []
    for number, (name, image) in enumerate(images, start=1):
        canvas, left = _drawn(image, findings)
        file = f"{name.rpartition('.')[0]}.png"
        canvas.save(folder / SEGMENTS / file, "PNG", compress_level=4)
        listed.append({"id": number, "file_name": name, "width": image.width, "height": image.height})
        segments = [
            {
                "id": segment, "category_id": ids[names[box.name]], "iscrowd": int(box.iscrowd), "area": pixels,
                "bbox": [round(value, 4) for value in (box.x_min, box.y_min, box.width, box.height)],
            }
            for segment, box, pixels in left
        ]  # fmt: skip
        annotations.append({"image_id": number, "file_name": file, "segments_info": segments})
    if findings:
        raise UserFilesError(
            "nothing was written, because something would be lost",
            hint="correct the errors above, or convert to coco, which holds every object",
            findings=findings,
        )
    categories = [{"id": number, "name": name, "isthing": 1} for name, number in ids.items()]
    document = {"images": listed, "annotations": annotations, "categories": categories}
    (folder / PANOPTIC_FILE).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return classes


def count_panoptic(folder: Path) -> Counter[str]:
    document = json.loads((folder / PANOPTIC_FILE).read_text(encoding="utf-8"))
    names = {one["id"]: one["name"] for one in document["categories"]}
    return Counter(
        names[segment["category_id"]] for one in document["annotations"] for segment in one["segments_info"]
    )


def _drawn(image: ImageEntry, findings: list[Finding]) -> tuple[Image.Image, list[tuple[int, Box, int]]]:
    """The segments, and of each its id, its box and the number of its pixels."""
    from PIL import Image

    canvas = Image.new("RGB", (image.width, image.height))
    outlined = []
    for segment, box in enumerate(image.boxes, start=1):
        try:
            outlined.append((segmentation.area(box.segmentation), segment, box))
        except ValueError:
            findings.append(outline_fault(image, box, "outline-missing", "has no outline"))
    drawn = []
    for _, segment, box in sorted(outlined, key=lambda one: -one[0]):
        try:
            draw_outline(canvas, box.segmentation, _colour(segment))
            drawn.append((segment, box))
        except ValueError as error:
            findings.append(
                outline_fault(image, box, "outline-missing", f"has no outline of its image: {error}")
            )
    pixels = {colour: count for count, colour in canvas.getcolors(image.width * image.height) or ()}
    left = [(segment, box, pixels.get(_colour(segment), 0)) for segment, box in drawn]
    findings += [
        outline_fault(image, box, "object-covered", "has no pixel of its own: smaller ones cover it")
        for _, box, count in left
        if not count
    ]
    return canvas, sorted(left, key=lambda one: one[0])


def draw_outline(canvas: Image.Image, outline: Any, colour: Colour | int) -> None:
    """``colour`` is of the kind of ``canvas``. Raises ValueError for no outline, and for a mask of another size."""
    from PIL import Image, ImageDraw

    if isinstance(outline, Mapping):
        pixels, height = segmentation.pixels(outline)
        columns = Image.frombytes("L", (height, len(pixels) // height), pixels)
        mask = columns.transpose(Image.Transpose.TRANSPOSE).point(lambda value: 255 * value)
        if mask.size != canvas.size:
            raise ValueError(f"the mask has {mask.width}x{mask.height} pixels")
        canvas.paste(colour, (0, 0), mask)
        return
    pen = ImageDraw.Draw(canvas)
    for points in segmentation.polygons(outline):
        pen.polygon(points, fill=colour)


def _colour(segment: int) -> Colour:
    return segment & 255, segment >> 8 & 255, segment >> 16


def outline_fault(image: ImageEntry, box: Box, code: str, what: str) -> Finding:
    """An error at the object ``box``."""
    corners = f"{box.x_min:g} {box.y_min:g} {box.x_max:g} {box.y_max:g}"
    message = f'"{printable(box.name)}" {corners} on "{printable(image.path.name)}" {what}'
    hint = (
        "draw its outline, or remove it"
        if code == "outline-missing"
        else "remove it, or correct the outlines"
    )
    return Finding(Severity.ERROR, code, message, hint, image.source or image.path, box.line)
