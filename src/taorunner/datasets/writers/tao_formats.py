"""Writes datasets in TAO's formats (KITTI, COCO, ODVG) or those of tools, and counts what was written.

Each subset is a folder with ``images/`` and its labels; a dataset without subsets is written directly into the
result. Counts are taken from the written files.
"""

from __future__ import annotations

import colorsys
import json
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from operator import lt
from pathlib import Path
from typing import Any

from taorunner.datasets.files.coco_rows import category_ids
from taorunner.datasets.files.json_pieces import JsonSource, read_in_pieces
from taorunner.datasets.formats import kitti, odvg
from taorunner.datasets.model import segmentation
from taorunner.datasets.model.annotations import NO_METADATA, Box, DatasetMetadata, ImageEntry
from taorunner.datasets.model.boxes import corners_of, kinds_of
from taorunner.datasets.model.class_names import (
    LABEL_MAP,
    LABEL_MAP_FROM_0,
    encodable,
    kitti_class_names,
    plain_class_name,
)
from taorunner.datasets.writers.panoptic import count_panoptic, write_panoptic
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
from taorunner.values.value import Value

Named = Sequence[tuple[str, ImageEntry]]
"""Pairs of a file name in the result and its image."""

COCO_FILE = "annotations.json"
_BLOCK_BYTES = 64 * 1024
_JSON = json.JSONEncoder(ensure_ascii=False)
LABEL_MAP_JSON = "label_map.json"
"""File with the classes as a list of objects, in the form that Mask2Former reads. Source: tao/layouts.md."""

SOURCES, CLASS_MAPPING = "sources.txt", "class_mapping.json"
"""File beside KITTI subsets: the names of all subsets, and a mapping of each class to itself."""


def target_of(format_name: str) -> str:
    """The format that ``split`` and ``resize`` write for a source: its own, or KITTI if that cannot be written."""
    return format_name if format_name in TARGETS else "kitti"


def written_names(to: str, classes: Iterable[str]) -> dict[str, str]:
    """Each class with its name in files of the format ``to``."""
    if to == "kitti":
        return kitti_class_names(classes)
    return {name: plain_class_name(name) if to in ("voc", "yolo") else encodable(name) for name in classes}


def lost_outlines(to: str, images: Sequence[ImageEntry]) -> int:
    """Number of objects whose outline ``to`` cannot hold, so that only its bounding box is kept."""
    if to in ("coco", "odvg", "panoptic") or (to == "yolo" and keeps_outlines(images)):
        return 0
    outlined = sum(kind.has_outline for image in images for kind in kinds_of(image.boxes))
    if outlined and to == "voc":
        outlined -= sum(has_one_polygon(box) for image in images for box in image.boxes)
    return outlined


def write_labels(
    to: str, folder: Path, images: Named, names: Mapping[str, str], metadata: DatasetMetadata = NO_METADATA,
    *, keeps_ids: bool = False,
) -> None:  # fmt: skip
    """``to`` is one of ``TARGETS``; ``names`` has the written name of each class, in class order.

    ``metadata``: the source's fields for the whole dataset. ``keeps_ids``: keep ids and areas of the source where
    possible; else compute new ones.
    """
    if to == "coco":
        _write_coco(folder, images, names, metadata, keeps_ids=keeps_ids)
    elif to == "yolo":
        write_yolo(folder, images, names, metadata)
    else:
        _FORMATS[to].write(folder, images, names)


def write_description(
    to: str,
    root: Path,
    subsets: Sequence[str],
    names: Mapping[str, str],
    metadata: DatasetMetadata = NO_METADATA,
) -> None:
    """Writes the files that a format has once for the whole dataset."""
    describe = _FORMATS[to].describe
    if to == "yolo":
        describe_yolo(root, subsets, names, metadata)
    elif describe is not None:
        describe(root, subsets, names)


def counted(to: str, folder: Path, names: Mapping[str, str]) -> tuple[int, Counter[str]]:
    """Number of images, and of boxes by written class name, in the written files of one subset."""
    counts = _FORMATS[to].count(folder)
    if to == "yolo":
        classes = list(dict.fromkeys(names.values()))
        counts = Counter({classes[int(index)]: count for index, count in counts.items()})
    return len(os.listdir(folder / "images")), counts


def _write_kitti(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    """One label file per image, even without boxes: TAO's converter stops at a missing file."""
    labels = folder / "labels"
    labels.mkdir()
    place = str(labels)
    for name, image in images:
        if any(kind.has_kitti for kind in kinds_of(image.boxes)):
            text = "".join([kitti.line_of(box, names[box.name]) for box in image.boxes])
        else:
            boxes = corners_of(image.boxes)
            text = "".join([kitti.plain_line(names[of], *corners) for of, *corners in boxes])
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
    """The files that "convert" of DINO and Deformable DETR reads: folders of images and labels, and a class mapping.

    Source: NVIDIA/tao_pytorch_backend cv/deformable_detr/scripts/convert.py, utils/converter.py.
    """
    if "" in subsets:
        return  # the converter takes subfolders only
    mapping = json.dumps({name: name for name in names.values()}, ensure_ascii=False)
    for subset in subsets:
        (root / subset / SOURCES).write_text("".join(f"{one}\n" for one in subsets), encoding="utf-8")
        (root / subset / CLASS_MAPPING).write_text(mapping, encoding="utf-8")


def _count_kitti(folder: Path) -> Counter[str]:
    counts = Counter(_first_words(folder / "labels"))
    return Counter({name.decode("utf-8", "surrogateescape"): count for name, count in counts.items()})


def _first_words(labels: Path) -> Iterator[bytes]:
    """The class of each box in the written files."""
    with os.scandir(labels) as entries:
        for entry in entries:
            file = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                text = os.read(file, _BLOCK_BYTES)
                if len(text) == _BLOCK_BYTES:  # else this was the whole file
                    text += b"".join(iter(partial(os.read, file, _BLOCK_BYTES), b""))
            finally:
                os.close(file)
            for line in text.splitlines():
                yield line.split(b" ", 1)[0]


def _write_coco(
    folder: Path, images: Named, names: Mapping[str, str], metadata: DatasetMetadata = NO_METADATA,
    *, keeps_ids: bool = False,
) -> None:  # fmt: skip
    """Class ids from 1 without gaps. Source: tao/datasets.md A2: 0 is the background class of TAO's detectors."""
    classes = _write_coco_document(folder, images, names, metadata, first_id=1, keeps_ids=keeps_ids)
    (folder / LABEL_MAP).write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    listed = "".join(f"{name}\n" for name in (_stand_in(classes), *classes))
    (folder / LABEL_MAP_FROM_0).write_text(listed, encoding="utf-8")
    _write_things(folder, classes)


def _write_panoptic(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    _write_things(folder, write_panoptic(folder, images, names))


def _write_things(folder: Path, classes: Sequence[str]) -> None:
    """The classes with ids from 1, as networks that draw segments read them."""
    things = [
        {"id": number, "name": name, "isthing": 1, "color": _color(number)}
        for number, name in enumerate(classes, start=1)
    ]
    (folder / LABEL_MAP_JSON).write_text(json.dumps(things, ensure_ascii=False), encoding="utf-8")


def _stand_in(classes: Sequence[str]) -> str:
    """A name for id 0 that no class has: with a duplicate name, a class map would lose one class."""
    name = "background"
    while name in classes:
        name += "_"
    return name


def _color(number: int) -> list[int]:
    """Red, green and blue from 0 to 255; consecutive numbers get clearly different colours."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.65, 0.95)
    return [round(255 * value) for value in (red, green, blue)]


def _write_coco_document(
    folder: Path, images: Named, names: Mapping[str, str], metadata: DatasetMetadata = NO_METADATA,
    *, first_id: int, keeps_ids: bool = False,
) -> list[str]:  # fmt: skip
    """Writes annotations.json. Returns the class names by id; ids start at ``first_id``."""
    ids = _category_ids(names, metadata if keeps_ids else NO_METADATA, first_id)
    extras = (image.extra for _, image in images)
    image_ids = _kept_ids(extras, len(images), is_wanted=keeps_ids)
    extras = (box.extra for _, image in images for box in image.boxes)
    box_ids = iter(_kept_ids(extras, sum(len(image.boxes) for _, image in images), is_wanted=keeps_ids))
    listed = (
        {**(image.extra or {}), "id": number, "file_name": name, "width": image.width, "height": image.height}
        for number, (name, image) in zip(image_ids, images, strict=True)
    )
    annotations = (
        {
            **_annotation(box, keeps_area=keeps_ids), "id": next(box_ids), "image_id": number,
            "category_id": ids[names[box.name]],
        }
        for number, (_, image) in zip(image_ids, images, strict=True) for box in image.boxes
    )  # fmt: skip
    fields = {written: metadata.classes.get(name, {}) for name, written in names.items()}
    categories = [{**fields[name], "id": number, "name": name} for name, number in ids.items()]
    with (folder / COCO_FILE).open("w", encoding="utf-8") as file:
        file.write("{")
        # pycocotools 2.0.9, which evaluates in some images, fails without "info".
        for key, value in {"info": {}, **metadata.top}.items():
            file.write(f"{_JSON.encode(key)}: {_JSON.encode(value)}, ")
        for key, values in (("images", listed), ("annotations", annotations), ("categories", categories)):
            file.write(f'{"" if key == "images" else ", "}"{key}": [')
            for index, one in enumerate(values):
                file.write((", " if index else "") + _JSON.encode(one))
            file.write("]")
        file.write("}")
    return list(ids)


def _category_ids(names: Mapping[str, str], metadata: DatasetMetadata, first_id: int) -> dict[str, int]:
    """Ids by written name, in the order of the ids: the source's ids if they are 1 to n, else new ones."""
    classes = list(dict.fromkeys(names.values()))
    theirs = {written: metadata.classes.get(name, {}).get("id") for name, written in names.items()}
    if set(theirs.values()) == set(range(1, len(classes) + 1)) and len(names) == len(classes):
        return dict(
            sorted(((name, int(number or 0)) for name, number in theirs.items()), key=lambda one: one[1])
        )
    return {name: number for number, name in enumerate(classes, start=first_id)}


def _kept_ids(extras: Iterable[Mapping[str, Any] | None], count: int, *, is_wanted: bool) -> Sequence[int]:
    """The source's ids if they are unique positive numbers, else 1 to ``count``."""
    others = range(1, count + 1)
    theirs = array("q")
    for extra in extras if is_wanted else ():
        number = (extra or {}).get("id")
        if type(number) is not int or not 0 < number < 1 << 63:
            return others
        theirs.append(number)
    is_good = all(map(lt, theirs, islice(theirs, 1, None))) or len(set(theirs)) == len(theirs)
    return theirs if is_wanted and is_good else others


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
    """The area of the outline if there is one, as COCO defines it."""
    try:
        return segmentation.area(box.segmentation) if box.segmentation else of_box
    except ValueError:
        return of_box


def _count_coco(folder: Path) -> Counter[str]:
    own = JsonSource(folder / COCO_FILE)
    document = read_in_pieces(own, ("images", "annotations"), is_checked=True)  # written just now
    names = {category["id"]: category["name"] for category in document.values["categories"]}
    return Counter(names[number] for number in category_ids(document))


def _write_odvg(folder: Path, images: Named, names: Mapping[str, str]) -> None:
    """Writes each subset as ODVG for training, and as COCO with ids from 0 for validation.

    Source: tao/layouts.md: networks that train on ODVG validate on COCO with the ids of the label map.
    """
    _write_coco_document(folder, images, names, first_id=0)
    classes = list(dict.fromkeys(names.values()))
    numbered = {name: (classes.index(written), written) for name, written in names.items()}
    with (folder / "annotations.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(odvg.lines_of(images, numbered))
    label_map = {str(index): name for index, name in enumerate(classes)}
    (folder / "label_map.json").write_text(json.dumps(label_map, ensure_ascii=False), encoding="utf-8")


def _count_odvg(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    with (folder / "annotations.jsonl").open(encoding="utf-8") as file:
        for line in file:
            counts.update(one["category"] for one in json.loads(line)["detection"]["instances"])
    return counts


class _Format(Value):
    write: Callable[[Path, Named, Mapping[str, str]], None]
    count: Callable[[Path], Counter[str]]
    describe: Callable[[Path, Sequence[str], Mapping[str, str]], None] | None = None


_FORMATS: Mapping[str, _Format] = {
    "kitti": _Format(_write_kitti, _count_kitti, _describe_kitti), "coco": _Format(_write_coco, _count_coco),
    "odvg": _Format(_write_odvg, _count_odvg), "panoptic": _Format(_write_panoptic, count_panoptic),
    "yolo": _Format(write_yolo, count_yolo, describe_yolo),
    "voc": _Format(write_voc, count_voc, describe_voc), "vott": _Format(write_vott, count_vott),
}  # fmt: skip
TARGETS = tuple(_FORMATS)
