"""Datasets as TAO reads them: KITTI, COCO and ODVG below a new folder, and what is really in there afterwards.

Each subset is a folder of its own with ``images/`` and its labels; a dataset without subsets lies directly in the
result. Counts are taken from the files, not from what was meant to be written.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from taorunner.datasets.annotations import Box, ImageEntry
from taorunner.datasets.formats import kitti, odvg

Named = Sequence[tuple[str, ImageEntry]]
"""Pictures with the file name that they get."""


def write_labels(to: str, folder: Path, images: Named, names: Mapping[str, str]) -> None:
    """``to`` is "kitti", "coco" or "odvg"; ``names`` has the written name of each class, in their order."""
    _WRITERS[to](folder, images, names)


def counted(to: str, folder: Path) -> tuple[int, Counter[str]]:
    """Pictures and boxes per class of one subset, as the written files say."""
    return len(os.listdir(folder / "images")), _COUNTERS[to](folder)


def _write_kitti(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    """One file a picture, also where there is no box: TAO's converter stops at a missing one."""
    labels = folder / "labels"
    labels.mkdir()
    place = str(labels)
    for name, image in images:
        text = "".join([kitti.line_of(box, names[box.name]) for box in image.boxes])
        descriptor = os.open(
            f"{place}/{name.rpartition('.')[0]}.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666
        )
        try:
            data = text.encode("utf-8", "surrogateescape")
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)


def _count_kitti(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    with os.scandir(folder / "labels") as entries:
        for entry in entries:
            with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 (thousands of small files)
                lines = file.read().splitlines()
            counts.update(line.split(b" ", 1)[0].decode("utf-8", "surrogateescape") for line in lines)
    return counts


def _write_coco(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    """Ids from 1 without a gap. Source: tao/datasets.md A2: 0 is the background of TAO's detectors."""
    classes = list(dict.fromkeys(names.values()))
    ids = {name: number for number, name in enumerate(classes, start=1)}
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (name, image) in enumerate(images, start=1):
        listed.append({"id": image_id, "file_name": name, "width": image.width, "height": image.height})
        for box in image.boxes:
            annotation = _annotation(box)
            annotation.update(id=len(annotations) + 1, image_id=image_id, category_id=ids[names[box.name]])
            annotations.append(annotation)
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    value = {"images": listed, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    (folder / "label_map.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")


def _annotation(box: Box) -> dict[str, Any]:
    width, height = round(box.width, 4), round(box.height, 4)
    annotation: dict[str, Any] = {
        "bbox": [round(box.x_min, 4), round(box.y_min, 4), width, height],
        "area": round(width * height, 4),
        "iscrowd": int(box.iscrowd),
    }
    if box.segmentation:
        annotation["segmentation"] = box.segmentation
    if box.score is not None:
        annotation["score"] = box.score
    return annotation


def _count_coco(folder: Path) -> Counter[str]:
    value = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in value["categories"]}
    return Counter(names[annotation["category_id"]] for annotation in value["annotations"])


def _write_odvg(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    classes = list(dict.fromkeys(names.values()))
    text = odvg.document(images, {name: index for index, name in enumerate(classes)})
    (folder / "annotations.jsonl").write_text(text, encoding="utf-8")
    label_map = {str(index): name for index, name in enumerate(classes)}
    (folder / "label_map.json").write_text(json.dumps(label_map, ensure_ascii=False), encoding="utf-8")


def _count_odvg(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in (folder / "annotations.jsonl").read_text(encoding="utf-8").splitlines():
        counts.update(one["category"] for one in json.loads(line)["detection"]["instances"])
    return counts


_WRITERS: Mapping[str, Callable[[Path, Named, Mapping[str, str]], None]] = {
    "kitti": _write_kitti, "coco": _write_coco, "odvg": _write_odvg,
}  # fmt: skip
_COUNTERS: Mapping[str, Callable[[Path], Counter[str]]] = {
    "kitti": _count_kitti, "coco": _count_coco, "odvg": _count_odvg,
}  # fmt: skip
TARGETS = tuple(_WRITERS)
