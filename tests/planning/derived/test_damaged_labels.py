"""Whatever a label file holds, its facts are read, or a finding names it."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import Catalog
from taorunner.errors import UserFilesError
from taorunner.planning.derived.derive import read_facts

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}, {"id": "b", "file_name": "b.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 30, 20], "area": 600, "iscrowd": 0},
        {"id": 2, "image_id": "b", "category_id": 1, "bbox": [1, 2, 3.5, 20], "area": 70,
         "segments_info": [{"category_id": 1, "bbox": [1, 2, 3, 4]}]},
    ],
    "categories": [{"id": 1, "name": "bolt"}, {"id": 2, "name": "nut"}],
}  # fmt: skip
LINES = [
    {"file_name": "a.jpg", "width": 64, "height": 48,
     "detection": {"instances": [{"bbox": [1, 2, 30, 40], "label": 0, "category": "bolt"}]}},
    {"file_name": "b.jpg", "width": 64, "height": 48, "grounding": {"regions": [{"bbox": [1, 2, 30, 40]}]}},
]  # fmt: skip
ODD: tuple[Any, ...] = (None, True, -1, 0, 10**30, 1.5, "", "x", [], [1], {}, {"id": []}, [[]], [None] * 4)


def mutated(value: Any, chance: random.Random) -> Any:
    """One node of a copy is something else, or missing."""
    value = copy.deepcopy(value)
    nodes: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        node = pending.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        nodes += [(node, key) for key in keys]
        pending += [node[key] for key in keys]
    node, key = chance.choice(nodes)
    if isinstance(node, dict) and chance.random() < 0.3:
        del node[key]
    else:
        node[key] = chance.choice(ODD)
    return value


def read(head: str, root: Path) -> None:
    layout = Catalog().layout(head)
    assert layout is not None
    try:
        facts = read_facts(layout, root, {}, {})
    except UserFilesError as error:
        assert error.findings and all(one.file is not None for one in error.findings)
    else:
        assert facts.train.images >= 0 and all(0 < side <= 1 for shape in facts.shapes for side in shape)


@pytest.mark.parametrize("seed", range(8))
def test_coco(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    file = tmp_path / "train/annotations.json"
    file.parent.mkdir()
    for _ in range(60):
        file.write_text(json.dumps(mutated(COCO, chance)))
        read("rtdetr", tmp_path)
    (file.parent / "panoptic.json").write_text(json.dumps(mutated(COCO, chance)))
    read("oneformer", tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_odvg(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    file = tmp_path / "train/annotations.jsonl"
    file.parent.mkdir()
    for _ in range(60):
        rows = mutated(LINES, chance)
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        names = mutated({"0": "bolt", "1": "nut"}, chance) if chance.random() < 0.3 else {"0": "bolt"}
        (file.parent / "label_map.json").write_text(json.dumps(names))
        read("grounding_dino", tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "car\n", "car 0 0 0 a b c d\n", "car 0 0 0 nan 1 inf 2\n", "DontCare 0 0 0 1 1 9 9\n"],
)
def test_kitti(text: str, tmp_path: Path) -> None:
    for part in ("images", "labels"):
        (tmp_path / "train" / part).mkdir(parents=True)
    (tmp_path / "train/labels/a.txt").write_text(text)
    (tmp_path / "train/images/a.png").write_bytes(b"no image")
    read("ssd", tmp_path / "train")
