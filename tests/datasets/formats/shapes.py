"""One small dataset, written as each annotation tool writes it: two subsets, background images, awkward names.

The images are real (Pillow makes them); the annotations are spelt out here, not by the code under test. What is
written lies under ``tests/assets/datasets``, where the tests take it from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

CLASSES = ("Car", "traffic light", "person")
IMAGES: dict[str, tuple[str, int, int, tuple[tuple[str, float, float, float, float], ...]]] = {
    "one.jpg": ("train", 64, 48, (("Car", 10, 8, 30.5, 28.25), ("person", 1, 2, 9, 40))),
    "two words.png": ("train", 50, 40, (("traffic light", 5, 6, 15, 26),)),
    "three.a.JPG": ("train", 80, 60, (("Car", 0, 0, 80, 60), ("traffic light", 20.5, 10, 25.5, 30))),
    "empty.jpeg": ("train", 32, 32, ()),
    "four.jpg": ("val", 64, 48, (("person", 30, 10, 50, 44),)),
    "nothing.png": ("val", 20, 30, ()),
}  # fmt: skip


def write_image(path: Path, width: int, height: int, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    colour = (width, height, sum(path.name.encode()) % 256)
    Image.new("RGB", (width, height), colour).save(path, kind, exif=exif)
    return path


def _images(place: Callable[[str, str], Path]) -> None:
    for name, (subset, width, height, _) in IMAGES.items():
        write_image(place(subset, name), width, height)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _coco(subset: str, first: int, prefix: str = "") -> dict[str, object]:
    """Ids with gaps, as tools leave them; ``first`` is the smallest."""
    ids = dict(zip(CLASSES, (first, first + 2, first + 17), strict=True))
    images, annotations = [], []
    for number, (name, (of, width, height, boxes)) in enumerate(IMAGES.items(), start=7):
        if subset in ("", of):
            images.append({"id": number, "file_name": prefix + name, "width": width, "height": height})
            for box in boxes:
                x, y, right, bottom = box[1:]
                annotations.append({"id": len(annotations), "image_id": number, "category_id": ids[box[0]],
                                    "bbox": [x, y, right - x, bottom - y]})  # fmt: skip
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco(root: Path) -> None:
    _images(lambda subset, name: root / "images" / subset / name)
    for subset in ("train", "val"):
        _write(root / f"annotations/instances_{subset}.json", json.dumps(_coco(subset, 1)))


def coco_flat_from_zero(root: Path) -> None:
    _images(lambda _, name: root / "images" / name)
    _write(root / "result.json", json.dumps(_coco("", 0, "images/"), indent=1))


def roboflow_coco(root: Path) -> None:
    folders = {"train": "train", "val": "valid"}
    _images(lambda subset, name: root / folders[subset] / name)
    for subset, folder in folders.items():
        document = _coco(subset, 1)
        categories = [{"id": 0, "name": "things", "supercategory": "none"}]
        categories += [{**c, "supercategory": "things"} for c in document["categories"]]  # type: ignore[attr-defined]
        document["categories"] = categories
        _write(root / folder / "_annotations.coco.json", json.dumps(document))


def _kitti_lines(boxes: tuple[tuple[str, float, float, float, float], ...], score: str = "") -> str:
    rows = [
        f"{n.replace(' ', '_')} 0.5 1 -1.57 {a} {b} {c} {d} 1 2 3 4 5 6 0.1{score}\n"
        for n, a, b, c, d in boxes
    ]
    return "".join(rows)


def kitti(root: Path) -> None:
    _images(lambda subset, name: root / subset / "image_2" / name)
    for name, (subset, _, _, boxes) in IMAGES.items():
        _write(root / subset / "label_2" / f"{Path(name).stem}.txt", _kitti_lines(boxes))


def kitti_sixteen(root: Path) -> None:
    """A detector's output: a score behind, Windows line ends, a mark in front, blank lines."""
    _images(lambda subset, name: root / subset / "images" / name)
    for name, (subset, _, _, boxes) in IMAGES.items():
        text = "\ufeff" + _kitti_lines(boxes, " 0.9").replace("\n", "\r\n\r\n")
        _write(root / subset / "labels" / f"{Path(name).stem}.txt", text)


def _voc_xml(name: str) -> str:
    _, width, height, boxes = IMAGES[name]
    objects = "".join(
        f"<object><name>{n}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
        "</object>\n" for n, a, b, c, d in boxes
    )  # fmt: skip
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation>\n<filename>{name}</filename>{size}\n{objects}</annotation>\n"


def voc(root: Path) -> None:
    _images(lambda _, name: root / "JPEGImages" / name)
    for name in IMAGES:
        _write(root / "Annotations" / f"{Path(name).stem}.xml", _voc_xml(name))
    for subset in ("train", "val"):
        stems = [Path(name).stem for name, facts in IMAGES.items() if facts[0] == subset]
        _write(root / f"ImageSets/Main/{subset}.txt", "".join(f"{stem}\n" for stem in stems))
    _write(
        root / "labelmap.txt",
        "# label:color:parts:actions\nbackground:::\n" + "".join(f"{n}:::\n" for n in CLASSES),
    )


def voc_beside(root: Path) -> None:
    """labelImg: XML beside the images, none for background images."""
    _images(lambda _, name: root / name)
    for name, facts in IMAGES.items():
        if facts[3]:
            _write(root / f"{Path(name).stem}.xml", _voc_xml(name))


def _yolo_lines(name: str) -> str:
    _, width, height, boxes = IMAGES[name]
    return "".join(
        f"{CLASSES.index(n)} {(a + c) / 2 / width:.7f} {(b + d) / 2 / height:.7f} {(c - a) / width:.7f} "
        f"{(d - b) / height:.7f}\n" for n, a, b, c, d in boxes
    )  # fmt: skip


def yolo(root: Path) -> None:
    """Ultralytics: no label file for a background image."""
    _images(lambda subset, name: root / "images" / subset / name)
    for name, (subset, *_, boxes) in IMAGES.items():
        if boxes:
            _write(root / "labels" / subset / f"{Path(name).stem}.txt", _yolo_lines(name))
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(CLASSES))
    _write(
        root / "data.yaml", f"path: ../datasets/mine\ntrain: images/train\nval: images/val\nnames:\n{names}"
    )


def roboflow_yolo(root: Path) -> None:
    """Paths with one ".." too many, empty label files."""
    folders = {"train": "train", "val": "valid"}
    _images(lambda subset, name: root / folders[subset] / "images" / name)
    for name, (subset, *_) in IMAGES.items():
        _write(root / folders[subset] / "labels" / f"{Path(name).stem}.txt", _yolo_lines(name))
    text = f"train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 3\nnames: {list(CLASSES)}\n"
    _write(root / "data.yaml", text)


def darknet(root: Path) -> None:
    _images(lambda subset, name: root / f"obj_{subset}_data" / name)
    for subset in ("train", "val"):
        names = [name for name, facts in IMAGES.items() if facts[0] == subset]
        for name in names:
            _write(root / f"obj_{subset}_data" / f"{Path(name).stem}.txt", _yolo_lines(name))
        _write(root / f"{subset}.txt", "".join(f"data/obj_{subset}_data/{name}\n" for name in names))
    _write(root / "obj.names", "".join(f"{name}\n" for name in CLASSES))
    keys = "classes = 3\ntrain = data/train.txt\nvalid = data/val.txt\nnames = data/obj.names\nbackup = backup/\n"
    _write(root / "obj.data", keys)


def _vott(address: Callable[[str], str]) -> str:
    assets = {}
    for number, (name, (_, width, height, boxes)) in enumerate(IMAGES.items()):
        regions = [
            {"id": "r", "type": "RECTANGLE", "tags": [n],
             "boundingBox": {"left": a, "top": b, "width": c - a, "height": d - b}} for n, a, b, c, d in boxes
        ]  # fmt: skip
        asset = {"name": name, "path": address(name), "size": {"width": width, "height": height}, "state": 2}
        assets[f"{number:032x}"] = {"asset": asset, "regions": regions, "version": "2.2.0"}
    return json.dumps(
        {"name": "mine", "tags": [{"name": n, "color": "#f00"} for n in CLASSES], "assets": assets}
    )


def vott(root: Path) -> None:
    _images(lambda _, name: root / name)
    _write(root / "mine-export.json", _vott(lambda name: name))


def vott_file_addresses(root: Path) -> None:
    """As VoTT really writes them: of the machine where the boxes were drawn."""
    _images(lambda _, name: root / "vott-json-export" / name)
    _write(
        root / "vott-json-export/mine-export.json",
        _vott(lambda name: f"file:/home/someone/pictures/{name.replace(' ', '%20')}"),
    )


def cvat(root: Path) -> None:
    _images(lambda subset, name: root / "images" / subset / name)
    images = ""
    for number, (name, (subset, width, height, boxes)) in enumerate(IMAGES.items()):
        shapes = "".join(
            f'<box label="{n}" occluded="0" xtl="{a}" ytl="{b}" xbr="{c}" ybr="{d}" z_order="0"></box>\n'
            for n, a, b, c, d in boxes
        )
        images += f'<image id="{number}" name="{name}" subset="{subset}" width="{width}" height="{height}">\n{shapes}</image>\n'
    labels = "".join(f"<label><name>{n}</name></label>" for n in CLASSES)
    meta = f"<meta><project><labels>{labels}</labels></project></meta>"
    _write(
        root / "annotations.xml",
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{meta}\n{images}</annotations>',
    )


def label_studio(root: Path) -> None:
    _images(lambda _, name: root / "images" / name)
    tasks = []
    for number, (name, (_, width, height, boxes)) in enumerate(IMAGES.items()):
        results = [
            {"type": "rectanglelabels", "original_width": width, "original_height": height,
             "value": {"x": a / width * 100, "y": b / height * 100, "width": (c - a) / width * 100,
                       "height": (d - b) / height * 100, "rotation": 0, "rectanglelabels": [n]}}
            for n, a, b, c, d in boxes
        ]  # fmt: skip
        address = f"/data/upload/3/0123abcd-{name}"
        tasks.append({"id": number, "data": {"image": address}, "annotations": [{"result": results}]})
    _write(root / "project-3.json", json.dumps(tasks))


def odvg(root: Path) -> None:
    _images(lambda subset, name: root / subset / "images" / name)
    for subset in ("train", "val"):
        lines = []
        for name, (of, width, height, boxes) in IMAGES.items():
            if of == subset:
                instances = [
                    {"bbox": [*corners], "label": CLASSES.index(n), "category": n} for n, *corners in boxes
                ]
                lines.append(json.dumps({"filename": name, "width": width, "height": height,
                                         "detection": {"instances": instances}}))  # fmt: skip
        _write(root / subset / "annotations.jsonl", "\n".join(lines) + "\n")
        _write(root / subset / "label_map.json", json.dumps({str(i): n for i, n in enumerate(CLASSES)}))


def kitti_blank_names(root: Path) -> None:
    """As other converters write it: a class name of two words, which shifts the columns; an occlusion of 0.0."""
    _images(lambda subset, name: root / subset / "images" / name)
    for name, (subset, _, _, boxes) in IMAGES.items():
        text = "".join(f"{n} 0.00 0.0 0.00 {a} {b} {c} {d} 0 0 0 0 0 0 0\n" for n, a, b, c, d in boxes)
        _write(root / subset / "labels" / f"{Path(name).stem}.txt", text)


def vott_asset_files(root: Path) -> None:
    """The connection's folder without an export: one file for each image."""
    _images(lambda _, name: root / name)
    document = json.loads(_vott(lambda name: name))
    for key, asset in document["assets"].items():
        _write(root / f"{key}-asset.json", json.dumps(asset, indent=1))


def cvat_task(root: Path) -> None:
    """A task's export: no project around it, no subset, images in one folder."""
    cvat(root)
    text = (root / "annotations.xml").read_text(encoding="utf-8")
    for subset in ("train", "val"):
        text = text.replace(f' subset="{subset}"', "")
        for path in (root / "images" / subset).iterdir():
            path.rename(root / "images" / path.name)
        (root / "images" / subset).rmdir()
    _write(root / "annotations.xml", text.replace("<project>", "<task>").replace("</project>", "</task>"))


WRITERS: dict[str, tuple[str, Callable[[Path], None], bool]] = {
    "coco": ("coco", coco, True),
    "coco-flat-id-0": ("coco", coco_flat_from_zero, False),
    "coco-roboflow": ("coco", roboflow_coco, True),
    "kitti-15": ("kitti", kitti, True),
    "kitti-16": ("kitti", kitti_sixteen, True),
    "kitti-blank-names": ("kitti", kitti_blank_names, True),
    "voc": ("voc", voc, True),
    "voc-beside": ("voc", voc_beside, False),
    "yolo-ultralytics": ("yolo", yolo, True),
    "yolo-roboflow": ("yolo", roboflow_yolo, True),
    "yolo-darknet": ("yolo", darknet, True),
    "vott": ("vott", vott, False),
    "vott-file": ("vott", vott_file_addresses, False),
    "vott-asset-files": ("vott", vott_asset_files, False),
    "cvat": ("cvat", cvat, True),
    "cvat-task": ("cvat", cvat_task, False),
    "label-studio": ("label-studio", label_studio, False),
    "odvg": ("odvg", odvg, True),
}
"""Name: the format that must be found out, who writes it, and whether it knows subsets."""

ASSETS = Path(__file__).parents[2] / "assets" / "datasets"
"""What ``make.py`` beside it wrote; tests work on copies."""


def asset(name: str, place: Path) -> Path:
    """A copy of one dataset of the assets."""
    shutil.copytree(ASSETS / name, place)
    return place


def _copier(name: str) -> Callable[[Path], None]:
    def copy(place: Path) -> None:
        asset(name, place)

    return copy


SHAPES: dict[str, tuple[str, Callable[[Path], None], bool]] = {
    name: (format_name, _copier(name), subsets) for name, (format_name, _, subsets) in WRITERS.items()
}
"""The same from the assets."""
