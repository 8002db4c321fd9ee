"""How long does the evaluation of 500,000 predicted boxes in 5,000 images take, beside pycocotools?

Both read the same COCO file and the same list of results. Ours also says the best thresholds, kinds of error,
confusions, the worst images and labels that may be wrong.
"""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import process, taking_turns
from workspaces import TAORUNNER

IMAGES, TRUTHS, DETECTIONS, CLASSES = 5_000, 7, 100, 10
_WIDTH, _HEIGHT = 640, 480
_REFERENCE = (
    "import sys; from pycocotools.coco import COCO; from pycocotools.cocoeval import COCOeval\n"
    "truth = COCO(sys.argv[1]); one = COCOeval(truth, truth.loadRes(sys.argv[2]), 'bbox')\n"
    "one.evaluate(); one.accumulate(); one.summarize()\n"
)


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        root = Path(folder)
        _make(root)
        ours = [*TAORUNNER, "dataset", "evaluate", "results.json", "--truth", str(root / "truth"), "--json"]
        theirs = [sys.executable, "-c", _REFERENCE, "truth/annotations.json", "results.json"]
        alone = [sys.executable, "-c", _ALONE, "truth/annotations.json", "results.json"]
        whole, library, reference = taking_turns(
            {
                "dataset evaluate": process(ours, cwd=folder),
                "the library alone": process(alone, cwd=folder),
                "pycocotools": process(theirs, cwd=folder),
            },
            times,
        )
        print(f"evaluation of {IMAGES * DETECTIONS:,} boxes in {IMAGES:,} images of {CLASSES} classes")
        for one in (whole, library, reference):
            print(
                f"  {one.name:<44} {one.median_s:9.2f} s    (CPU {min(one.cpu_seconds):.2f} s, ratio of CPU "
                f"{min(one.cpu_seconds) / min(reference.cpu_seconds):.3f}; load {os.getloadavg()[0]:.1f})"
            )
        print(f"  {'most memory':<44} {_peak_mib(ours, folder):9.1f} MiB\n")


_ALONE = (
    "import sys, json, hotcoco; truth = hotcoco.COCO(sys.argv[1])\n"
    "one = hotcoco.COCOeval(truth, truth.load_res(sys.argv[2]), 'bbox'); one.evaluate(); one.accumulate()\n"
)


def _peak_mib(argv: list[str], folder: str) -> float:
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=folder)
    _, _, usage = os.wait4(child.pid, 0)
    return usage.ru_maxrss / 1024


def _make(root: Path) -> None:
    from PIL import Image

    (root / "truth/images").mkdir(parents=True)
    stream = io.BytesIO()
    Image.new("RGB", (_WIDTH, _HEIGHT)).save(stream, "JPEG")
    draw = random.Random(1)
    truth: dict[str, list[object]] = {
        "images": [], "annotations": [],
        "categories": [{"id": number + 1, "name": f"class{number}"} for number in range(CLASSES)],
    }  # fmt: skip
    results: list[object] = []
    for image in range(1, IMAGES + 1):
        (root / f"truth/images/{image}.jpg").write_bytes(stream.getvalue())
        truth["images"].append({"id": image, "file_name": f"{image}.jpg", "width": _WIDTH, "height": _HEIGHT})
        boxes = [_box(draw) for _ in range(TRUTHS)]
        for box in boxes:
            truth["annotations"].append({
                "id": len(truth["annotations"]) + 1, "image_id": image, "category_id": draw.randrange(CLASSES) + 1,
                "bbox": box, "area": box[2] * box[3], "iscrowd": 0,
            })  # fmt: skip
        for number in range(DETECTIONS):
            near = (
                [round(edge + draw.gauss(0, 5), 2) for edge in boxes[number % TRUTHS]]
                if number < 20
                else _box(draw)
            )
            results.append({
                "image_id": image, "category_id": draw.randrange(CLASSES) + 1, "score": round(draw.random(), 3),
                "bbox": [max(0.0, near[0]), max(0.0, near[1]), max(1.0, near[2]), max(1.0, near[3])],
            })  # fmt: skip
    (root / "truth/annotations.json").write_text(json.dumps(truth))
    (root / "results.json").write_text(json.dumps(results))


def _box(draw: random.Random) -> list[float]:
    width, height = draw.uniform(8, 200), draw.uniform(8, 200)
    return [
        round(draw.uniform(0, _WIDTH - width), 2), round(draw.uniform(0, _HEIGHT - height), 2), round(width, 2),
        round(height, 2),
    ]  # fmt: skip
