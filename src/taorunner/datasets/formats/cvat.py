"""Reads CVAT 1.1: one ``annotations.xml`` of a task or a project; tracks of a video where its frames are images."""

from __future__ import annotations

import math
import re
from pathlib import Path

from taorunner.datasets.files.names import SPLIT_NAMES
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.files.xml_nodes import Node, XmlError, read_xml, root_tag
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.text import printable

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_BOXED = ("box", "polygon", "ellipse", "mask", "cuboid")
_SHAPES = ("polyline", "points", "skeleton")
_OF_ROOT = ("version", "meta", "image", "track")
_FRAME = re.compile(r"(?:\A|/)frame_(\d{6,9})\.\w+\Z")
_CUBOID = ("tl1", "bl1", "tr1", "br1", "tl2", "bl2", "tr2", "br2")


def recognise(folder: Folder) -> bool:
    return bool(_documents(folder))


def _documents(folder: Folder) -> list[str]:
    return [path for path in folder.with_suffix(".xml") if root_tag(folder.peek(path) or "") == "annotations"]


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    for path in _documents(folder):
        file = folder.root / path
        try:
            root = read_xml(folder.text(path) or "")
        except XmlError as error:
            folder.error("xml-syntax", f"not valid XML: {error}", file, error.line, error.column)
            continue
        for label in (one for labels in root.all("labels") for one in labels.children):
            classes[label.text_of("name")] = None
        for node in root.children:
            if node.tag not in _OF_ROOT:
                _report_unknown(folder, file, node, "image or track")
        if any(root.all("track")):
            frames = _frames(folder, path, root)
            images += frames
            classes.update(dict.fromkeys(box.name for frame in frames for box in frame.boxes))
        for node in (child for child in root.children if child.tag == "image"):
            entry = _image(folder, path, node)
            if entry is not None:
                images.append(entry)
                classes.update(dict.fromkeys(box.name for box in entry.boxes))
    classes.pop("", None)
    return DetectionDataset("cvat", folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _image(folder: Folder, path: str, node: Node) -> ImageEntry | None:
    file = folder.root / path
    reference = node.attributes.get("name", "")
    own = node.attributes.get("subset", "")
    subset = own.lower()
    image_file = next(
        (
            found
            for one in dict.fromkeys((own, subset))
            if one and (found := folder.image_file(f"{one}/{reference}", path))
        ),
        None,
    ) or folder.image_file(reference, path)
    if image_file is None:
        folder.missing_image(reference, file, node.line, node.column)
        return None
    boxes: list[Box] = []
    left_out: list[Node] = []
    for shape in node.children:
        if shape.tag in _BOXED:
            box = _box(folder, path, shape)
            if box is not None:
                boxes.append(box)
        elif shape.tag in _SHAPES:
            message = f"a {shape.tag} has no box: left out"
            folder.warning("shape-left-out", message, file, shape.line, shape.column)
            left_out.append(shape)
        elif shape.tag != "tag":
            _report_unknown(folder, file, shape, "shape")
    if left_out and not boxes:
        folder.report_no_boxes_left(reference, file, left_out[0].line, left_out[0].column)
    if any(shape.tag == "tag" for shape in node.children):
        message = "tag of the whole image: left out"
        folder.warning("tag-left-out", message, file, node.line, node.column)
    size = (number(node.attributes.get("width")) or 0.0, number(node.attributes.get("height")) or 0.0)
    subset = re.sub(
        r"[^\w.-]+|\A\.+", "_", SPLIT_NAMES.get(subset, subset)
    )  # it becomes the name of a folder
    return folder.entry(image_file, boxes, subset=subset, source=file, stated_size=size)


def _report_unknown(folder: Folder, file: Path, node: Node, meant: str) -> None:
    message = f'the element "{printable(node.tag)}" is no {meant}: it may hold an object'
    hint = "correct it in CVAT and export again, or leave it out with --skip-bad"
    folder.error("cvat-element", message, file, node.line, node.column, hint)


def _frames(folder: Folder, path: str, root: Node) -> list[ImageEntry]:
    """The frames of a video that lie beside its tracks, as CVAT names them; a frame in no track is a background.

    CVAT writes a shape for every frame, so that none has to be interpolated.
    """
    file = folder.root / path
    first = next(root.all("track"))
    pictures = {int(match[1]): one for one in folder.image_files if (match := _FRAME.search(one))}
    if not pictures:
        folder.error("cvat-video", "these are tracks of a video, and its frames are not here", file, first.line,
                     first.column, 'export the task as "CVAT for images 1.1", or "Save images" with it')  # fmt: skip
        return []
    boxes: dict[int, list[Box]] = {number: [] for number in pictures}
    seen: set[int] = set()
    for track in root.all("track"):
        for shape in track.children:
            frame = number(shape.attributes.get("frame"))
            if shape.tag not in (*_BOXED, *_SHAPES) or frame is None:
                _report_unknown(folder, file, shape, "shape with a frame")
                continue
            if shape.attributes.get("outside") == "1":
                continue
            seen.add(int(frame))
            if shape.tag in _SHAPES:
                message = f"a {shape.tag} has no box: left out"
                folder.warning("shape-left-out", message, file, shape.line, shape.column)
            elif int(frame) not in pictures:
                folder.missing_image(f"frame_{int(frame):06d}", file, shape.line, shape.column)
            elif (box := _box(folder, path, shape, track.attributes.get("label", ""))) is not None:
                boxes[int(frame)].append(box)
    found = []
    for at, image in pictures.items():
        if at in seen and not boxes[at]:
            folder.report_no_boxes_left(image, file)
        entry = folder.entry(folder.root / image, boxes[at], source=file)
        if entry is not None:
            found.append(entry)
    return found


def _box(folder: Folder, path: str, node: Node, label: str = "") -> Box | None:
    """A rotated box or a polygon becomes its bounding box. ``label``: of the track, whose shapes have none."""
    file = folder.root / path
    label = label or node.attributes.get("label", "")
    segmentation = None
    if node.tag == "polygon":
        pairs = [point.split(",") for point in node.attributes.get("points", "").split(";")]
        points = [(number(pair[0]), number(pair[-1])) for pair in pairs]
        known = [(x, y) for x, y in points if x is not None and y is not None]
        corners = bounding_box(known) if len(known) == len(points) >= 3 else None
        segmentation = [[value for point in known for value in point]]
    elif node.tag == "mask":
        left, top, wide, high = (
            number(node.attributes.get(key)) for key in ("left", "top", "width", "height")
        )
        corners = None
        if left is not None and top is not None and wide is not None and high is not None:
            corners = (left, top, left + wide, top + high)
            folder.note_box("mask-box", "mask", file, node.line, node.column)
    elif node.tag == "ellipse":
        cx, cy, rx, ry = (number(node.attributes.get(key)) for key in ("cx", "cy", "rx", "ry"))
        corners = None
        if cx is not None and cy is not None and rx is not None and ry is not None:
            corners = (cx - rx, cy - ry, cx + rx, cy + ry)
            folder.note_box("shape-box", "ellipse", file, node.line, node.column)
    elif node.tag == "cuboid":
        xs, ys = ([number(node.attributes.get(axis + key)) for key in _CUBOID] for axis in "xy")
        found = [(x, y) for x, y in zip(xs, ys, strict=True) if x is not None and y is not None]
        corners = bounding_box(found) if len(found) == len(_CUBOID) else None
        if corners is not None:
            folder.note_box("shape-box", "cuboid", file, node.line, node.column)
    else:
        left, top, right, bottom = (number(node.attributes.get(key)) for key in _CORNERS)
        corners = None
        if left is not None and top is not None and right is not None and bottom is not None:
            corners = (left, top, right, bottom)
            angle = number(node.attributes.get("rotation")) or 0.0
            if angle % 360:
                corners = rotated(corners, angle)
                folder.note_box("box-rotated", "rotated box", file, node.line, node.column)
    if corners is None or not label:
        message = f"a {node.tag} needs a label and numbers as coordinates"
        hint = "correct it in CVAT and export again, or leave it out with --skip-bad"
        folder.error("cvat-shape", printable(message), file, node.line, node.column, hint)
        return None
    return Box(label, *corners, segmentation=segmentation, line=node.line, extra=_extra(node))


def _extra(node: Node) -> dict[str, object] | None:
    """Attributes as in CVAT's own COCO export: occluded, and those of the task."""
    attributes: dict[str, object] = {
        child.attributes.get("name", ""): child.text.strip() for child in node.all("attribute")
    }
    if node.attributes.get("occluded") == "1":
        attributes["occluded"] = True
    return {"attributes": attributes} if attributes else None


def rotated(corners: tuple[float, float, float, float], degrees: float) -> tuple[float, float, float, float]:
    """The upright bounding box of ``corners`` rotated clockwise about its centre."""
    left, top, right, bottom = corners
    x, y = (left + right) / 2, (top + bottom) / 2
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    half_width = ((right - left) * cosine + (bottom - top) * sine) / 2
    half_height = ((right - left) * sine + (bottom - top) * cosine) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height
