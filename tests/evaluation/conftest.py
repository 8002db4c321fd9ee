"""Random detection datasets with predictions, in the forms that TAO's inference writes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """``made(seed, images, classes)``: a folder with annotations.json, images/, predicted/ and results.json."""

    def make(seed: int, images: int = 12, classes: Sequence[str] = ("bolt", "traffic light", "Nut")) -> Path:
        draw, root = random.Random(seed), tmp_path / f"set_{seed}"
        for folder in ("images", "predicted"):
            (root / folder).mkdir(parents=True)
        picture = Image.new("RGB", (640, 480))
        coco: dict[str, list[dict[str, object]]] = {
            "images": [], "annotations": [],
            "categories": [{"id": 7 + place, "name": name} for place, name in enumerate(classes)],
        }  # fmt: skip
        results = []
        for number in range(images):
            name = f"p{number}.jpg"
            picture.save(root / "images" / name)
            coco["images"].append({"id": number + 100, "file_name": name, "width": 640, "height": 480})
            lines = []
            for _ in range(draw.randrange(9)):
                kind, width, height = draw.randrange(len(classes)), draw.uniform(4, 200), draw.uniform(4, 200)
                box = [draw.uniform(0, 640 - width), draw.uniform(0, 480 - height), width, height]
                coco["annotations"].append({
                    "id": len(coco["annotations"]) + 1, "image_id": number + 100, "category_id": 7 + kind, "bbox": box,
                    "area": width * height, "iscrowd": int(draw.random() < 0.05),
                })  # fmt: skip
                for _ in range(draw.choice([0, 1, 1, 1, 2])):
                    left, top, *size = (edge + draw.gauss(0, 6) for edge in box)
                    size = [max(1.0, edge) for edge in size]
                    seen = kind if draw.random() < 0.9 else draw.randrange(len(classes))
                    score = round(draw.random(), 2)
                    results.append({
                        "image_id": number + 100, "category_id": 7 + seen, "bbox": [left, top, *size], "score": score,
                    })  # fmt: skip
                    corners = f"{left!r} {top!r} {left + size[0]!r} {top + size[1]!r}"
                    lines.append(f"{classes[seen]} 0 0 0 {corners} 0 0 0 0 0 0 0 {score}")
            (root / "predicted" / f"p{number}.txt").write_text("".join(f"{line}\n" for line in lines))
        (root / "annotations.json").write_text(json.dumps(coco))
        (root / "results.json").write_text(json.dumps(results))
        return root

    return make
