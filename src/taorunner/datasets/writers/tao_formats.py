"""Datasets as TAO reads them (KITTI, COCO, ODVG) or as tools do, below a new folder; and what is really in there.

Each subset is a folder of its own with ``images/`` and its labels; a dataset without subsets lies directly in the
result. Counts are taken from the files, not from what was meant to be written.
"""

from __future__ import annotations

import colorsys
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.datasets.formats import kitti, odvg
from taorunner.datasets.model import segmentation
from taorunner.datasets.model.annotations import UNDESCRIBED, Box, Described, ImageEntry
from taorunner.datasets.model.class_names import (
    LABEL_MAP,
    LABEL_MAP_FROM_0,
    encodable,
    kitti_class_names,
    plain_class_name,
)
from taorunner.datasets.writers.tool_formats import (
    count_voc,
    count_vott,
    count_yolo,
    describe_voc,
    describe_yolo,
    has_one_polygon,
    keeps_outlines,
    write_voc,
    write_vott,
    write_yolo,
)

Named = Sequence[tuple[str, ImageEntry]]
"""Pictures with the file name that they get."""

LABEL_MAP_JSON = "label_map.json"
"""The classes as a list of objects, with what Mask2Former wants to know of each. Source: tao/layouts.md."""

SOURCES, CLASS_MAPPING = "sources.txt", "class_mapping.json"
"""In each subset in KITTI form: the names of all subsets, and each class to itself."""


def target_of(format_name: str) -> str:
    """The format that ``split`` and ``resize`` write for a source: its own, or KITTI where that is only read."""
    return format_name if format_name in TARGETS else "kitti"


def written_names(to: str, classes: Iterable[str]) -> dict[str, str]:
    """Each class with the name that the files of ``to`` can hold."""
    if to == "kitti":
        return kitti_class_names(classes)
    return {name: plain_class_name(name) if to in ("voc", "yolo") else encodable(name) for name in classes}


def lost_outlines(to: str, images: Sequence[ImageEntry]) -> int:
    """How many objects have an outline that ``to`` has no place for: it becomes the box around it."""
    if to == "coco" or (to == "yolo" and keeps_outlines(images)):
        return 0
    return sum(
        bool(box.segmentation) and not (to == "voc" and has_one_polygon(box))
        for image in images
        for box in image.boxes
    )


def write_labels(
    to: str, folder: Path, images: Named, names: Mapping[str, str], described: Described = UNDESCRIBED,
    *, keeps_ids: bool = False,
) -> None:  # fmt: skip
    """``to`` is one of ``TARGETS``; ``names`` has the written name of each class, in their order.

    ``described`` is what COCO says of the whole dataset. ``keeps_ids``: ids and areas of the source stay where they
    can; else they are made anew.
    """
    if to == "coco":
        _write_coco(folder, images, names, described, keeps_ids=keeps_ids)
    elif to == "yolo":
        write_yolo(folder, images, names, described)
    else:
        _FORMATS[to].write(folder, images, names)


def write_description(
    to: str, root: Path, subsets: Sequence[str], names: Mapping[str, str], described: Described = UNDESCRIBED
) -> None:
    """What a format keeps once for the whole dataset."""
    describe = _FORMATS[to].describe
    if to == "yolo":
        describe_yolo(root, subsets, names, described)
    elif describe is not None:
        describe(root, subsets, names)


def counted(to: str, folder: Path, names: Mapping[str, str]) -> tuple[int, Counter[str]]:
    """Pictures and boxes per written class name of one subset, as the written files say."""
    counts = _FORMATS[to].count(folder)
    if to == "yolo":
        classes = list(dict.fromkeys(names.values()))
        counts = Counter({classes[int(index)]: count for index, count in counts.items()})
    return len(os.listdir(folder / "images")), counts


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


def _describe_kitti(root: Path, subsets: Sequence[str], names: Mapping[str, str]) -> None:
    """What "convert" of DINO and Deformable DETR reads: the folders with pictures and labels, class to class.

    Source: NVIDIA/tao_pytorch_backend cv/deformable_detr/scripts/convert.py, utils/converter.py.
    """
    if "" in subsets:
        return  # the converter takes folders below the dataset only
    mapping = json.dumps({name: name for name in names.values()}, ensure_ascii=False)
    for subset in subsets:
        (root / subset / SOURCES).write_text("".join(f"{one}\n" for one in subsets), encoding="utf-8")
        (root / subset / CLASS_MAPPING).write_text(mapping, encoding="utf-8")


def _count_kitti(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    with os.scandir(folder / "labels") as entries:
        for entry in entries:
            with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 (thousands of small files)
                lines = file.read().splitlines()
            counts.update(line.split(b" ", 1)[0].decode("utf-8", "surrogateescape") for line in lines)
    return counts


def _write_coco(
    folder: Path, images: Named, names: Mapping[str, str], said: Described = UNDESCRIBED,
    *, keeps_ids: bool = False,
) -> None:  # fmt: skip
    """Class ids from 1 without a gap. Source: tao/datasets.md A2: 0 is the background of TAO's detectors."""
    classes = _write_coco_document(folder, images, names, said, first_id=1, keeps_ids=keeps_ids)
    (folder / LABEL_MAP).write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    listed = "".join(f"{name}\n" for name in (_stand_in(classes), *classes))
    (folder / LABEL_MAP_FROM_0).write_text(listed, encoding="utf-8")
    things = [
        {"id": number, "name": name, "isthing": 1, "color": _color(number)}
        for number, name in enumerate(classes, start=1)
    ]
    (folder / LABEL_MAP_JSON).write_text(json.dumps(things, ensure_ascii=False), encoding="utf-8")


def _stand_in(classes: Sequence[str]) -> str:
    """A name for id 0 that no class has: a class map with one name twice would lose one of them."""
    name = "background"
    while name in classes:
        name += "_"
    return name


def _color(number: int) -> list[int]:
    """Red, green and blue from 0 to 255, far apart for numbers that follow each other."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.65, 0.95)
    return [round(255 * value) for value in (red, green, blue)]


def _write_coco_document(
    folder: Path, images: Named, names: Mapping[str, str], said: Described = UNDESCRIBED,
    *, first_id: int, keeps_ids: bool = False,
) -> list[str]:  # fmt: skip
    """Writes annotations.json. Returns the names of the classes by id, which begin at ``first_id``."""
    ids = _category_ids(names, said if keeps_ids else UNDESCRIBED, first_id)
    image_ids = _kept_ids([image.extra for _, image in images], is_wanted=keeps_ids)
    boxes = [
        (number, box) for number, (_, image) in zip(image_ids, images, strict=True) for box in image.boxes
    ]
    box_ids = _kept_ids([box.extra for _, box in boxes], is_wanted=keeps_ids)
    listed = [
        {**(image.extra or {}), "id": number, "file_name": name, "width": image.width, "height": image.height}
        for number, (name, image) in zip(image_ids, images, strict=True)
    ]
    annotations = []
    for number, (image_id, box) in zip(box_ids, boxes, strict=True):
        annotation = _annotation(box, keeps_area=keeps_ids)
        annotation.update(id=number, image_id=image_id, category_id=ids[names[box.name]])
        annotations.append(annotation)
    extras = {written: said.classes.get(name, {}) for name, written in names.items()}
    categories = [{**extras[name], "id": number, "name": name} for name, number in ids.items()]
    value = {**said.top, "images": listed, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return list(ids)


def _category_ids(names: Mapping[str, str], said: Described, first_id: int) -> dict[str, int]:
    """By written name, in the order of the ids: those of the source where they are 1 to n, else anew."""
    classes = list(dict.fromkeys(names.values()))
    theirs = {written: said.classes.get(name, {}).get("id") for name, written in names.items()}
    if set(theirs.values()) == set(range(1, len(classes) + 1)) and len(names) == len(classes):
        return dict(
            sorted(((name, int(number or 0)) for name, number in theirs.items()), key=lambda one: one[1])
        )
    return {name: number for number, name in enumerate(classes, start=first_id)}


def _kept_ids(extras: Sequence[Mapping[str, Any] | None], *, is_wanted: bool) -> list[Any]:
    """The ids of the source where each is a number above 0 of its own, else 1 to n."""
    theirs = [(extra or {}).get("id") for extra in extras]
    is_good = all(type(one) is int and one > 0 for one in theirs) and len(set(theirs)) == len(theirs)
    return theirs if is_wanted and is_good else list(range(1, len(extras) + 1))


def _annotation(box: Box, *, keeps_area: bool) -> dict[str, Any]:
    width, height = round(box.width, 4), round(box.height, 4)
    annotation: dict[str, Any] = {
        **(box.extra or {}),
        "bbox": [round(box.x_min, 4), round(box.y_min, 4), width, height],
        "iscrowd": int(box.iscrowd),
    }
    if not (keeps_area and isinstance(annotation.get("area"), int | float)):
        annotation["area"] = round(_area(box, width * height), 4)
    if box.segmentation:
        annotation["segmentation"] = box.segmentation
    if box.score is not None:
        annotation["score"] = box.score
    return annotation


def _area(box: Box, of_box: float) -> float:
    """Of the outline where there is one, as COCO means it."""
    try:
        return segmentation.area(box.segmentation) if box.segmentation else of_box
    except ValueError:
        return of_box


def _count_coco(folder: Path) -> Counter[str]:
    value = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in value["categories"]}
    return Counter(names[annotation["category_id"]] for annotation in value["annotations"])


def _write_odvg(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    """Lines to train on, and the same as COCO with ids from 0 to validate on, in every subset.

    Source: tao/layouts.md: the networks that train on ODVG validate on COCO, whose ids are those of the label map.
    """
    _write_coco_document(folder, images, names, first_id=0)
    classes = list(dict.fromkeys(names.values()))
    text = odvg.document(images, {name: (classes.index(written), written) for name, written in names.items()})
    (folder / "annotations.jsonl").write_text(text, encoding="utf-8")
    label_map = {str(index): name for index, name in enumerate(classes)}
    (folder / "label_map.json").write_text(json.dumps(label_map, ensure_ascii=False), encoding="utf-8")


def _count_odvg(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in (folder / "annotations.jsonl").read_text(encoding="utf-8").splitlines():
        counts.update(one["category"] for one in json.loads(line)["detection"]["instances"])
    return counts


@dataclass(frozen=True, slots=True)
class _Format:
    write: Callable[[Path, Named, Mapping[str, str]], None]
    count: Callable[[Path], Counter[str]]
    describe: Callable[[Path, Sequence[str], Mapping[str, str]], None] | None = None


_FORMATS: Mapping[str, _Format] = {
    "kitti": _Format(_write_kitti, _count_kitti, _describe_kitti), "coco": _Format(_write_coco, _count_coco),
    "odvg": _Format(_write_odvg, _count_odvg), "yolo": _Format(write_yolo, count_yolo, describe_yolo),
    "voc": _Format(write_voc, count_voc, describe_voc), "vott": _Format(write_vott, count_vott),
}  # fmt: skip
TARGETS = tuple(_FORMATS)
