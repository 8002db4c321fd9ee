"""Small datasets that the tutorials begin with: COCO, KITTI, folders of classes, images with masks."""

from __future__ import annotations

import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

CLASSES = ("bolt", "nut")
SIZE = (640, 640)


def make_samples(folder: Path) -> None:
    """``parts`` and ``shapes`` (COCO, large and small), ``cars`` (KITTI), ``surfaces`` (folders of classes) and ``roads`` (masks) in ``folder``."""
    chance = random.Random(7)
    _coco(folder / "parts", chance, SIZE)
    _coco(folder / "shapes", chance, (96, 96))
    _kitti(folder / "cars", chance)
    _class_folders(folder / "surfaces", chance)
    _masks(folder / "roads", chance)


def _picture(chance: random.Random, size: tuple[int, int]) -> Image.Image:
    """Noise, so that no two images are near-identical."""
    small = Image.frombytes("RGB", (16, 16), chance.randbytes(768))
    return small.resize(size)


def _coco(folder: Path, chance: random.Random, size: tuple[int, int]) -> None:
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, 25):
        _picture(chance, size).save(folder / "images" / f"{number:03}.jpg", quality=60)
        images.append({"id": number, "file_name": f"{number:03}.jpg", "width": size[0], "height": size[1]})
        for category in (1, 2):
            box = [
                chance.randrange(0, size[0] * 3 // 4),
                chance.randrange(0, size[1] * 3 // 4),
                size[0] // 6,
                size[1] // 8,
            ]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            )  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))


def _kitti(folder: Path, chance: random.Random) -> None:
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(1, 25):
        _picture(chance, (960, 544)).save(folder / "images" / f"{number:03}.png")
        lines = [
            f"{name} 0.00 0 0.00 {left}.00 100.00 {left + 120}.00 200.00 0.00 0.00 0.00 0.00 0.00 0.00 0.00"
            for name, left in (("car", chance.randrange(0, 400)), ("person", chance.randrange(420, 800)))
        ]
        (folder / "labels" / f"{number:03}.txt").write_text("\n".join(lines) + "\n")


def _class_folders(folder: Path, chance: random.Random) -> None:
    for name in ("clean", "dented", "scratched"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            _picture(chance, (256, 256)).save(folder / name / f"{number:02}.jpg", quality=60)


def _masks(folder: Path, chance: random.Random) -> None:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(12):
        _picture(chance, (512, 512)).save(folder / "images" / f"{number:02}.png")
        mask = Image.new("L", (512, 512), 0)
        left = chance.randrange(0, 300)
        ImageDraw.Draw(mask).rectangle((left, 100, left + 150, 400), fill=1)
        mask.save(folder / "masks" / f"{number:02}.png")
