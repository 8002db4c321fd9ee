"""Writes YOLO, Pascal VOC and VoTT datasets, and counts what was written.

TAO reads none of these. They are for further work in annotation tools, and for ``split`` and ``resize``, which keep
the format of their source.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

from taorunner.datasets.files.names import SPLIT_NAMES
from taorunner.datasets.formats.yolo import labels as yolo
from taorunner.datasets.model.annotations import NO_METADATA, Box, DatasetMetadata, ImageEntry
from taorunner.datasets.model.boxes import kinds_of
from taorunner.datasets.model.segmentation import polygons

Named = Sequence[tuple[str, ImageEntry]]
_VOC_UNSAID = {"pose": "Unspecified", "truncated": "0", "difficult": "0"}
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_yolo(
    folder: Path, images: Named, names: Mapping[str, str], metadata: DatasetMetadata = NO_METADATA
) -> None:
    """Writes ``labels/`` beside ``images/``. Outlines are written only if every object has one, as trainers expect one
    kind of label.

    Key points are written with the boxes if ``metadata`` has their shape.
    """
    (folder / "labels").mkdir()
    classes = list(dict.fromkeys(names.values()))
    index = {name: classes.index(written) for name, written in names.items()}
    has_outlines = keeps_outlines(image for _, image in images)
    for name, image in images:
        lines = [
            _yolo_line(index[box.name], box, image, has_outlines) + _yolo_points(box, image, metadata) + "\n"
            for box in image.boxes
        ]
        (folder / "labels" / f"{name.rpartition('.')[0]}.txt").write_text("".join(lines), encoding="utf-8")


def keeps_outlines(images: Iterable[ImageEntry]) -> bool:
    """True when every object has an outline of one polygon, the only kind that YOLO can hold."""
    listed = list(images)
    if not all(kind.has_outline for image in listed for kind in kinds_of(image.boxes)):
        return False
    return any(image.boxes for image in listed) and all(
        has_one_polygon(box) for image in listed for box in image.boxes
    )


def has_one_polygon(box: Box) -> bool:
    return bool(_polygon(box))


def _polygon(box: Box) -> list[tuple[float, float]]:
    try:
        found = polygons(box.segmentation)
    except ValueError:
        return []
    return found[0] if len(found) == 1 else []


def _yolo_line(index: int, box: Box, image: ImageEntry, has_outlines: bool) -> str:
    if has_outlines:
        places = [(x / image.width, y / image.height) for x, y in _polygon(box)]
        return " ".join(
            [str(index), *(f"{value:.8f}".rstrip("0").rstrip(".") for place in places for value in place)]
        )
    line = yolo.line_of(index, (box.x_min, box.y_min, box.x_max, box.y_max), (image.width, image.height))
    return line if box.score is None else f"{line} {box.score:g}"


def _yolo_points(box: Box, image: ImageEntry, metadata: DatasetMetadata) -> str:
    """The key points as fractions, with visibility if the shape includes it."""
    if not metadata.pose:
        return ""
    points: list[float] = (box.extra or {}).get("keypoints", [])
    has_visibility = metadata.pose["kpt_shape"][1] == 3
    words = []
    for x, y, visibility in zip(points[::3], points[1::3], points[2::3], strict=True):
        words += [f"{value:.8f}".rstrip("0").rstrip(".") for value in (x / image.width, y / image.height)]
        words += [f"{visibility:g}"] if has_visibility else []
    return "".join(f" {word}" for word in words)


def count_yolo(folder: Path) -> Counter[str]:
    """Counts boxes by class number (as text)."""
    counts: Counter[str] = Counter()
    for entry in os.scandir(folder / "labels"):
        counts.update(line.partition(" ")[0] for line in Path(entry.path).read_text("utf-8").splitlines())
    return counts


def describe_yolo(
    root: Path, subsets: Sequence[str], names: Mapping[str, str], metadata: DatasetMetadata = NO_METADATA
) -> None:
    """Writes ``data.yaml``; without train or val, ``classes.txt`` as labelImg does."""
    classes = list(dict.fromkeys(names.values()))
    places: dict[str, list[str]] = {}
    for subset in subsets:
        if subset:
            key = SPLIT_NAMES.get(subset, "")
            places.setdefault(key if key in ("val", "test") else "train", []).append(f"{subset}/images")
    if {"train", "val"} & places.keys():
        if "" in subsets:
            places.setdefault("train", []).append("images")
        lines = [
            f"{key}: {json.dumps(found[0] if len(found) == 1 else found)}" for key, found in places.items()
        ]
        lines += ["names:", *(f"  {index}: {json.dumps(name)}" for index, name in enumerate(classes))]
        lines += [f"{key}: {json.dumps(value)}" for key, value in metadata.pose.items()]
        (root / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        (root / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")


def write_voc(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    """Writes ``annotations/`` beside ``images/``: an XML per image, coordinates from 0, as they are read."""
    (folder / "annotations").mkdir()
    for name, image in images:
        objects = "".join(_voc_object(names[box.name], box) for box in image.boxes)
        text = (
            f"<annotation>\n\t<folder>images</folder>\n\t<filename>{_xml(name)}</filename>\n"
            f"\t<size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>\n"
            f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
        )
        (folder / "annotations" / f"{name.rpartition('.')[0]}.xml").write_text(text, encoding="utf-8")


def _voc_object(name: str, box: Box) -> str:
    corners = zip(("xmin", "ymin", "xmax", "ymax"), (box.x_min, box.y_min, box.x_max, box.y_max), strict=True)
    bounds = "".join(f"<{key}>{round(value, 4):.10g}</{key}>" for key, value in corners)
    values = {
        **_VOC_UNSAID,
        **{key: value for key, value in (box.extra or {}).items() if isinstance(value, str)},
    }
    fields = "".join(f"<{key}>{_xml(value)}</{key}>" for key, value in values.items())
    points = [value for point in _polygon(box) for value in point]
    pairs = zip(
        (f"{axis}{at // 2 + 1}" for at, axis in enumerate("xy" * (len(points) // 2))), points, strict=True
    )
    outline = "".join(f"<{key}>{round(value, 4):.10g}</{key}>" for key, value in pairs)
    polygon = f"\t\t<polygon>{outline}</polygon>\n" if outline else ""
    return (
        f"\t<object>\n\t\t<name>{_xml(name)}</name>{fields}\n{polygon}"
        f"\t\t<bndbox>{bounds}</bndbox>\n\t</object>\n"
    )


def count_voc(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for entry in os.scandir(folder / "annotations"):
        found = re.findall(r"^\t\t<name>(.*?)</name>", Path(entry.path).read_text("utf-8"), re.MULTILINE)
        counts.update(map(unescape, found))
    return counts


def describe_voc(root: Path, subsets: Sequence[str], names: Mapping[str, str]) -> None:
    """Writes ``labelmap.txt``, which keeps the order of the classes and classes without boxes."""
    classes = [name for name in dict.fromkeys(names.values()) if ":" not in name and name[:1] != "#"]
    (root / "labelmap.txt").write_text("".join(f"{name}:::\n" for name in classes), encoding="utf-8")


def write_vott(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    """Writes one export JSON, with paths relative to it."""
    assets = {}
    for name, image in images:
        path = f"images/{name}"
        key = hashlib.md5(path.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        asset = {"id": key, "name": name, "path": path, "format": name.rpartition(".")[2], "state": 2, "type": 1,
                 "size": {"width": image.width, "height": image.height}}  # fmt: skip
        regions = [
            _region(f"{key[:8]}{number}", names[box.name], box) for number, box in enumerate(image.boxes)
        ]
        assets[key] = {"asset": asset, "regions": regions, "version": "2.2.0"}
    tags = [{"name": name, "color": "#5db300"} for name in dict.fromkeys(names.values())]
    value = {"name": folder.name, "version": "2.2.0", "tags": tags, "assets": assets}
    (folder / "vott-export.json").write_text(json.dumps(value, indent=1), encoding="utf-8")


def _region(key: str, name: str, box: Box) -> dict[str, Any]:
    left, top, right, bottom = (round(value, 4) for value in (box.x_min, box.y_min, box.x_max, box.y_max))
    bounds = {"left": left, "top": top, "width": round(right - left, 4), "height": round(bottom - top, 4)}
    points = [{"x": x, "y": y} for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
    return {"id": key, "type": "RECTANGLE", "tags": [name], "boundingBox": bounds, "points": points}


def count_vott(folder: Path) -> Counter[str]:
    value = json.loads((folder / "vott-export.json").read_text(encoding="utf-8"))
    return Counter(region["tags"][0] for asset in value["assets"].values() for region in asset["regions"])


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("_", text), quote=False)
