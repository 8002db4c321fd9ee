"""How much memory does a box take, and how long does the check of a dataset as large as COCO?

The pictures are small JPEGs with bytes of their own, so that the time is that of the program, not of the disk.
"""

from __future__ import annotations

import io
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import print_ratio, process, taking_turns
from workspaces import TAORUNNER

BOXES = (500_000, 5_000_000)
BOXES_A_PICTURE = 7.3  # as COCO has
CHECKED = (118_000, 860_000)
COMMANDS = {
    "check": (), "stats": (), "convert": ("--to", "kitti", "-o", "made"), "split": ("-o", "made"),
}  # fmt: skip
_BASELINE = """
import json, os, sys
for folder, _, names in os.walk(sys.argv[1] + "/images"):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            file.read(65536)
with open(sys.argv[1] + "/annotations/instances_train.json") as file:
    json.load(file)
"""


_PEAK = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measure_memory(_: int) -> None:
    """Peak memory of each command, less that on ten pictures, for each box."""
    for boxes in BOXES:
        with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
            tiny, large = Path(folder) / "tiny", Path(folder) / "large"
            make_large(tiny, 10, 50)
            make_large(large, round(boxes / BOXES_A_PICTURE), boxes)
            print(f"memory for each of {boxes:,} boxes")
            for command, options in COMMANDS.items():
                own, whole = (_peak_bytes(command, root, options, Path(folder)) for root in (tiny, large))
                each = (whole - own) / boxes
                print(f"  dataset {command:<36} {each:9.0f} bytes  (wanted ≤ 450; {whole / 2**20:.0f} MiB)")
            print()


def measure_check(times: int) -> None:
    """``dataset check`` against a process that opens each picture and parses the JSON."""
    images, boxes = CHECKED
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        root = Path(folder) / "data"
        make_large(root, images, boxes)
        measured, baseline = taking_turns(
            {
                "dataset check": process([*TAORUNNER, "dataset", "check", str(root), "--json"], cwd=folder),
                "read pictures, json.load": process([sys.executable, "-c", _BASELINE, str(root)], cwd=folder),
            },
            times,
        )
        print(f"check of {images:,} pictures and {boxes:,} boxes")
        print_ratio("dataset check ÷ reading", measured, baseline, 1.5)
        peak = _peak_bytes("check", root, (), Path(folder)) / 2**20
        print(f"  {'most memory':<44} {peak:9.1f} MiB  (wanted ≤ 400 MiB)\n")


def make_large(root: Path, images: int, boxes: int) -> None:
    """COCO; each picture is one JPEG with a comment of its own."""
    from PIL import Image

    chance = random.Random(5)
    drawn = io.BytesIO()
    Image.new("RGB", (640, 480), (90, 120, 30)).save(drawn, "JPEG", quality=10)
    jpeg = drawn.getvalue()
    folder = root / "images" / "train"
    folder.mkdir(parents=True)
    (root / "annotations").mkdir()
    names = [f"{kind}{number}" for number in range(20) for kind in ("car", "bus", "person", "dog")]
    with (root / "annotations/instances_train.json").open("w") as file:
        file.write('{"images": [')
        for number in range(1, images + 1):
            name = f"{number:012}"
            (folder / f"{name}.jpg").write_bytes(jpeg[:2] + b"\xff\xfe\x00\x0e" + name.encode() + jpeg[2:])
            comma = ", " if number > 1 else ""
            file.write(f'{comma}{{"id": {number}, "file_name": "{name}.jpg", "width": 640, "height": 480}}')
        file.write('], "annotations": [')
        for number in range(1, boxes + 1):
            x, y, width, height = (chance.uniform(*ends) for ends in ((0, 500), (0, 400), (5, 135), (5, 75)))
            file.write(
                f'{", " if number > 1 else ""}{{"id": {number}, "image_id": {1 + (number - 1) * images // boxes}, '
                f'"category_id": {chance.randint(1, len(names))}, "bbox": [{x:.2f}, {y:.2f}, {width:.2f}, '
                f'{height:.2f}], "area": {width * height:.4f}, "iscrowd": 0}}'
            )
        listed = ", ".join(f'{{"id": {number}, "name": "{name}"}}' for number, name in enumerate(names, 1))
        file.write(f'], "categories": [{listed}]}}')


def _peak_bytes(command: str, root: Path, options: tuple[str, ...], cwd: Path) -> int:
    overwrite = ("--overwrite",) if options else ()
    argv = [
        sys.executable,
        "-c",
        _PEAK,
        *TAORUNNER,
        "dataset",
        command,
        str(root),
        *options,
        *overwrite,
        "--json",
    ]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, check=True)
    return int(done.stdout) * 1024
