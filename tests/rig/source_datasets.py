"""Datasets as annotation tools export them, for tests of the way from such a folder to a project."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

CLASSES = ("bolt", "Nut", "clip")
SIZE = (320, 240)
KINDS = ("coco", "yolo", "voc", "kitti", "polygons", "masks", "folders")
Box = tuple[str, int, int, int, int]


def make_source(kind: str, root: Path, images: int = 24, classes: Sequence[str] = CLASSES) -> dict[str, int]:
    """Writes a dataset without a split of ``images`` images. Returns the number of objects (images, for class folders)
    of each class."""
    chance = random.Random(f"{kind} {images}")
    boxes = {f"a{number:03}": _boxes(chance, classes) for number in range(images)}
    root.mkdir(parents=True)
    _WRITERS[kind](root, boxes, classes)
    counts = dict.fromkeys(classes, 0)
    if kind == "folders":
        for number in range(images):
            counts[classes[number % len(classes)]] += 1
        return counts
    for found in boxes.values():
        for name, *_ in found:
            counts[name] += 1
    return counts


def save_image(path: Path, seed: object, size: tuple[int, int] = SIZE) -> None:
    """An image that looks like no other one: squares in random grays."""
    chance = random.Random(str(seed))
    small = Image.frombytes("RGB", (16, 12), chance.randbytes(16 * 12 * 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    small.resize(size, Image.Resampling.NEAREST).save(path, quality=90)


def _boxes(chance: random.Random, classes: Sequence[str]) -> list[Box]:
    found = []
    for name in chance.choices(classes, k=chance.randint(1, 4)):
        x, y = chance.randint(0, 200), chance.randint(0, 150)
        found.append((name, x, y, x + chance.randint(20, 100), y + chance.randint(20, 80)))
    return found


def _coco(root: Path, boxes: dict[str, list[Box]], classes: Sequence[str], *, outlined: bool = False) -> None:
    images, annotations = [], []
    for number, (stem, found) in enumerate(boxes.items(), start=1):
        save_image(root / "images" / f"{stem}.jpg", stem)
        images.append({"id": number, "file_name": f"images/{stem}.jpg", "width": SIZE[0], "height": SIZE[1]})
        for name, left, top, right, bottom in found:
            one = {
                "id": len(annotations) + 1, "image_id": number, "category_id": classes.index(name) + 1,
                "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top),
                "iscrowd": 0,
            }  # fmt: skip
            if outlined:
                one["segmentation"] = [[left, top, right, top, right, bottom, left, bottom]]
            annotations.append(one)
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(document))


def _polygons(root: Path, boxes: dict[str, list[Box]], classes: Sequence[str]) -> None:
    _coco(root, boxes, classes, outlined=True)


def _yolo(root: Path, boxes: dict[str, list[Box]], classes: Sequence[str]) -> None:
    (root / "labels").mkdir()
    for stem, found in boxes.items():
        save_image(root / "images" / f"{stem}.jpg", stem)
        lines = [
            f"{classes.index(name)} {(left + right) / 2 / SIZE[0]:.6f} {(top + bottom) / 2 / SIZE[1]:.6f} "
            f"{(right - left) / SIZE[0]:.6f} {(bottom - top) / SIZE[1]:.6f}\n"
            for name, left, top, right, bottom in found
        ]
        (root / "labels" / f"{stem}.txt").write_text("".join(lines))
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(classes))
    (root / "data.yaml").write_text(f"path: .\ntrain: images\nnames:\n{names}")


def _voc(root: Path, boxes: dict[str, list[Box]], classes: Sequence[str]) -> None:
    (root / "Annotations").mkdir()
    for stem, found in boxes.items():
        save_image(root / "JPEGImages" / f"{stem}.jpg", stem)
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>"
            f"<ymax>{bottom}</ymax></bndbox></object>"
            for name, left, top, right, bottom in found
        )
        (root / "Annotations" / f"{stem}.xml").write_text(
            f"<annotation><filename>{stem}.jpg</filename><size><width>{SIZE[0]}</width><height>{SIZE[1]}</height>"
            f"<depth>3</depth></size>{objects}</annotation>"
        )


def _kitti(root: Path, boxes: dict[str, list[Box]], classes: Sequence[str]) -> None:
    (root / "labels").mkdir()
    for stem, found in boxes.items():
        save_image(root / "images" / f"{stem}.png", stem)
        lines = [
            f"{name} 0.00 0 0.00 {left}.00 {top}.00 {right}.00 {bottom}.00 0.00 0.00 0.00 0.00 0.00 0.00 0.00\n"
            for name, left, top, right, bottom in found
        ]
        (root / "labels" / f"{stem}.txt").write_text("".join(lines))


def _masks(root: Path, boxes: dict[str, list[Box]], classes: Sequence[str]) -> None:
    (root / "masks").mkdir()
    for stem, found in boxes.items():
        save_image(root / "images" / f"{stem}.jpg", stem)
        mask = Image.new("L", SIZE)
        for name, left, top, right, bottom in found:
            mask.paste(classes.index(name) + 1, (left, top, right, bottom))
        mask.save(root / "masks" / f"{stem}.png")


def _folders(root: Path, boxes: dict[str, list[Box]], classes: Sequence[str]) -> None:
    for number, stem in enumerate(boxes):
        save_image(root / classes[number % len(classes)] / f"{stem}.jpg", stem)


_WRITERS = {
    "coco": _coco, "yolo": _yolo, "voc": _voc, "kitti": _kitti, "polygons": _polygons, "masks": _masks,
    "folders": _folders,
}  # fmt: skip
