"""How long does it take to convert 5,000 and 50,000 images from COCO to KITTI, images included?

The other side is datumaro, in an environment of its own: ``DATUMARO_PYTHON=…/bin/python`` names its interpreter. The
result of the turn before is removed without a clock, on both sides. ``measure_labels`` compares with panlabel, which
writes the labels alone, and opens no image.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from pathlib import Path

from timing import print_ratio, process, taking_turns
from workspaces import TAORUNNER

IMAGES = 5000
MORE_IMAGES = 50_000
_DATUMARO = """
import sys
import datumaro as dm
dm.Dataset.import_from(sys.argv[1], "coco").export(sys.argv[2], "kitti_detection", save_media=True)
"""


def measure(times: int) -> None:
    python = os.environ.get("DATUMARO_PYTHON")
    if not python:
        print("conversion: left out, DATUMARO_PYTHON names no interpreter with datumaro\n")
        return
    for images in (IMAGES, MORE_IMAGES):
        _measure(images, python, times if images == IMAGES else 1)


def _measure(images: int, python: str, times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        source, made, theirs = (Path(folder) / name for name in ("source", "made", "theirs"))
        make_coco(source, images)
        ours = [*TAORUNNER, "dataset", "convert", str(source), "-o", str(made), "--json"]
        measured, baseline = taking_turns(
            {
                "dataset convert": process(ours, cwd=folder),
                "datumaro": process([python, "-c", _DATUMARO, str(source), str(theirs)], cwd=folder),
            },
            times,
            before={"dataset convert": lambda: _remove(made), "datumaro": lambda: _remove(theirs)},
        )
        links = {path.stat().st_nlink for path in (made / "train/images").iterdir()}
        print(f"COCO to KITTI with images, {images:,} of 640x480 (hard links of each: {links})")
        print_ratio("dataset convert ÷ datumaro", measured, baseline, 0.25)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def measure_labels(times: int) -> None:
    """Whole processes; ours also looks into each image and links it, and counts what it wrote."""
    program = shutil.which("panlabel")
    if program is None:
        print("labels: left out, there is no panlabel (extra formats)\n")
        return
    for images in (IMAGES, MORE_IMAGES):
        _measure_labels(images, program, times)


def _measure_labels(images: int, program: str, times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        source, made, theirs = (Path(folder) / name for name in ("source", "made", "theirs"))
        make_coco(source, images)
        ours = [*TAORUNNER, "dataset", "convert", str(source), "-o", str(made), "--json"]
        file = source / "annotations/instances_train.json"
        other = [program, "convert", "--from", "coco", "--to", "kitti", "--allow-lossy", "-i", str(file)]
        measured, baseline = taking_turns(
            {
                "dataset convert": process(ours, cwd=folder),
                "panlabel": process([*other, "-o", str(theirs)], cwd=folder),
            },
            times,
            before={"dataset convert": lambda: _remove(made), "panlabel": lambda: _remove(theirs)},
        )
        print(f"COCO to KITTI, {images:,} images, against a program that writes the labels alone")
        print_ratio("dataset convert ÷ panlabel", measured, baseline, 1.2)


def make_coco(root: Path, count: int = IMAGES) -> None:
    """Real JPEGs of about 100 KB: noise of few distinct images, each file with bytes of its own; more than ``IMAGES``
    are links, as they would not fit into memory."""
    from PIL import Image

    chance = random.Random(5)
    originals = []
    for number in range(8):
        original = root.parent / f"{number}.jpg"
        noise = Image.frombytes("RGB", (640, 480), chance.randbytes(640 * 480 * 3))
        noise.resize((320, 240)).resize((640, 480)).save(original, quality=80)
        originals.append(original)
    folder = root / "images" / "train"
    folder.mkdir(parents=True)
    (root / "annotations").mkdir()
    images, annotations = [], []
    for number in range(1, count + 1):
        name = f"frame_{number:05}.jpg"
        if count <= IMAGES:
            shutil.copyfile(originals[number % 8], folder / name)
        else:
            os.link(originals[number % 8], folder / name)
        images.append({"id": number, "file_name": name, "width": 640, "height": 480})
        for _ in range(0 if number % 10 == 0 else chance.randint(1, 9)):
            x, y = chance.uniform(0, 500), chance.uniform(0, 400)
            width, height = chance.uniform(5, 140), chance.uniform(5, 80)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": chance.randint(1, 3),
                 "bbox": [x, y, width, height], "area": width * height, "iscrowd": 0}
            )  # fmt: skip
    categories = [{"id": i, "name": name} for i, name in enumerate(("car", "bus", "person"), start=1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations/instances_train.json").write_text(json.dumps(document))
