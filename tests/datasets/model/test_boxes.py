"""Rows of a table are the boxes that were added, and a dataset of many takes little memory for each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taorunner.datasets.model.annotations import Box, KittiFields
from taorunner.datasets.model.boxes import BoxTable, Fields, Kind, corners_of, kinds_of, names_of

_PEAK = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small parent, as the peak of a process is at least that of its parent when it began."""

BOXES = (
    Box("car", 1.5, 2.0, 30.25, 40.0),
    Box("bus", 0.0, 0.0, 1.0, 1.0, KittiFields(occlusion=2), 0.5, line=3),
    Box(
        "car", 1.0, 2.0, 3.0, 4.0, iscrowd=True, segmentation=[[1, 2, 3, 4, 5, 6]], extra={"id": 7, "a": True}
    ),
    Box("car", 1.0, 2.0, 3.0, 4.0, extra={"id": 7, "a": 1}),
    Box("car", 1.0, 2.0, 3.0, 4.0, segmentation=[], extra={}),
)


def test_rows_are_the_boxes_that_were_added() -> None:
    table = BoxTable()
    first, second = table.add(BOXES[:2]), table.add(BOXES[2:])
    assert (first, second) == (BOXES[:2], BOXES[2:])
    assert (second[0], second[-1], second[1:], len(second)) == (BOXES[2], BOXES[4], BOXES[3:], 3)
    assert [repr(box) for box in (*first, *second)] == [repr(box) for box in BOXES]
    assert repr(list(corners_of(second))) == repr(list(corners_of(BOXES[2:])))
    assert list(names_of(first)) == ["car", "bus"]
    assert list(kinds_of((*first, *second))) == [*kinds_of(first), *kinds_of(second)]
    assert list(kinds_of(second)) == [
        Kind(iscrowd=True, has_outline=True, extra=("id", "a")), Kind(extra=("id", "a")), Kind(),
    ]  # fmt: skip


def test_fields_are_a_mapping() -> None:
    fields = Fields(("id", "name"), (1, None))
    assert fields == {"id": 1, "name": None}
    assert (fields["id"], fields.get("other"), {**fields}) == (1, None, {"id": 1, "name": None})


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "stats", "convert", "split"])
def test_a_further_box_takes_less_than_450_bytes(tmp_path: Path, command: str) -> None:
    few, many = 10_000, 50_000
    peaks = [_peak_bytes(tmp_path / str(boxes), command, boxes) for boxes in (few, many)]
    assert (peaks[1] - peaks[0]) / (many - few) < 450


def _peak_bytes(root: Path, command: str, boxes: int) -> int:
    """Thirty boxes on each image; the images share their bytes."""
    from PIL import Image

    (root / "data/images").mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(root / "data/images/0.jpg")
    images = [
        {"id": number, "file_name": f"{number}.jpg", "width": 64, "height": 48}
        for number in range(boxes // 30 + 1)
    ]
    for image in images[1:]:
        os.link(root / "data/images/0.jpg", root / f"data/images/{image['file_name']}")
    annotations = [
        {"id": number + 1, "image_id": number // 30, "category_id": 1, "bbox": [1, 2, 20 + number % 7, number % 30 + 3],
         "area": 60.5, "iscrowd": 0}
        for number in range(boxes)
    ]  # fmt: skip
    value = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "car"}]}
    (root / "data/boxes.json").write_text(json.dumps(value))
    options = ["-o", str(root / "made")] if command in ("convert", "split") else []
    argv = [
        sys.executable,
        "-c",
        _PEAK,
        sys.executable,
        "-m",
        "taorunner",
        "dataset",
        command,
        str(root / "data"),
        *options,
    ]
    done = subprocess.run(argv, cwd=root, capture_output=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    return int(done.stdout) * 1024
