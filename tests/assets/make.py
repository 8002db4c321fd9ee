"""Writes ``datasets/`` beside this file: a small dataset of every format, and nasty ones with a fault of each kind.

    python tests/assets/make.py

Everything is made here, by Pillow and by hand; nothing comes from another dataset. The faults are those that tools
leave and that end a training hours later, or spoil it silently.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "datasets" / "formats"))

from shapes import WRITERS  # noqa: E402

GOOD = "car 0.00 0 0.00 10 10 60 50 0 0 0 0 0 0 0\n"
BUS = GOOD.replace("car", "bus").replace("60 50", "40 44")


def picture(
    path: Path, seed: int, size: tuple[int, int] = (96, 64), mode: str = "RGB", **options: object
) -> Path:
    """Blocks of colours that follow from ``seed``: no two alike, and a few hundred bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": 1, "RGBA": 4, "CMYK": 4}.get(mode, 3)
    small = bytes((7 + seed * 53 + at * at * 31 + at * seed * 17) % 256 for at in range(6 * 4 * channels))
    Image.frombytes(mode, (6, 4), small).resize(size, Image.Resampling.NEAREST).save(path, **options)  # type: ignore[arg-type]
    return path


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def nasty_kitti(root: Path) -> None:
    """Two subsets; what is wrong with each picture or label is its name."""
    for number, subset in enumerate(("train", "val")):
        picture(root / subset / "images/good.jpg", number)
        write(root / subset / "labels/good.txt", GOOD + BUS)
    train, labels = root / "train/images", root / "train/labels"
    shutil.copy(train / "good.jpg", root / "val/images/same_as_in_train.jpg")
    write(root / "val/labels/same_as_in_train.txt", BUS)
    texts = {
        "sixteen": GOOD.replace("\n", " 0.93\n"), "windows": "\ufeff" + GOOD.replace("\n", "\r\n"),
        "blank_line": GOOD + "\n", "occluded": GOOD.replace(" 0 ", " 0.0 ", 1), "fourteen": GOOD[:-3] + "\n",
        "word": GOOD.replace("60", "wide"), "nan": GOOD.replace("60", "nan"), "capitals": GOOD.replace("car", "Car"),
        "two_words": GOOD.replace("car", "traffic light"), "twice": GOOD + GOOD, "outside": GOOD.replace("10 10 60 50", "200 10 260 50"),
        "beyond": GOOD.replace("60 50", "160 50"), "inverted": GOOD.replace("10 10 60 50", "60 50 10 10"),
        "no_area": GOOD.replace("10 10 60 50", "10 10 10 50"), "tiny": GOOD.replace("10 10 60 50", "10 10 11 50"),
        "background": "", "latin1": b"\xe9" + GOOD.encode(),
    }  # fmt: skip
    for number, (stem, text) in enumerate(texts.items(), 10):
        picture(train / f"{stem}.jpg", number)
        write(labels / f"{stem}.txt", text)
    picture(train / "no_label.jpg", 40)
    write(labels / "no_picture.txt", GOOD)
    odd = {
        "a.b.jpg": {}, "two words.jpg": {}, "capital.JPG": {"format": "JPEG"}, "png_inside.jpg": {"format": "PNG"},
        "collides.jpg": {}, "collides.png": {}, "gray.jpg": {"mode": "L"}, "cmyk.jpg": {"mode": "CMYK"},
        "alpha.png": {"mode": "RGBA"}, "cut_off.jpg": {}, "empty.jpg": {}, "no_picture_inside.jpg": {}, "turned.jpg": {},
    }  # fmt: skip
    for number, (name, options) in enumerate(odd.items(), 50):
        exif = Image.Exif()
        if name == "turned.jpg":
            exif[0x0112] = 6
        picture(train / name, number, **options, exif=exif)  # type: ignore[arg-type]
        write(labels / f"{name.rpartition('.')[0]}.txt", GOOD.replace("60 50", "50 44"))
    Image.frombytes("I;16", (6, 4), bytes(range(48))).resize((96, 64)).save(train / "sixteen_bits.png")
    write(labels / "sixteen_bits.txt", GOOD)
    for name, content in (("cut_off.jpg", (train / "cut_off.jpg").read_bytes()[:-40]), ("empty.jpg", b""),
                          ("no_picture_inside.jpg", b"<html>not found</html>")):  # fmt: skip
        write(train / name, content)


def nasty_coco(root: Path) -> None:
    """Ids from 0 and texts as ids, sub-folders with one name, no area, bad boxes, a picture that is not there."""
    for number, name in enumerate(("x/a.jpg", "y/a.jpg", "b.png")):
        picture(root / "images" / name, number)
    images = [
        {"id": i, "file_name": name, "width": 96, "height": 64}
        for i, name in enumerate(("x/a.jpg", "y/a.jpg"))
    ]
    images += [
        {"id": "b", "file_name": "b.png"},
        {"id": 9, "file_name": "gone.jpg"},
        {"id": 0, "file_name": "b.png"},
    ]
    boxes: list[object] = [
        [1, 1, 20, 20],
        [-9, 1, 30, 30],
        [5, 5, 0, 9],
        [500, 1, 9, 9],
        [9, 9, -5, 9],
        [1, 2, 3],
        None,
        "box",
    ]
    annotations = [
        {"id": i, "image_id": 0, "category_id": 0, "bbox": box, "area": 1} for i, box in enumerate(boxes)
    ]
    annotations += [
        {"id": 20, "image_id": 1, "category_id": 3, "bbox": [1, 1, 20, 20]},
        {"id": 21, "image_id": 7, "category_id": 0, "bbox": [1, 1, 20, 20], "area": 400},
        {"id": 22, "image_id": "b", "category_id": 1, "area": 10, "segmentation": [[1, 1, 20, 1, 20, 20]]},
    ]
    categories = [{"id": 0, "name": "car"}, {"id": 1, "name": "traffic light"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    write(root / "result.json", json.dumps(document, indent=1))


def nasty_yolo(root: Path) -> None:
    """A class too many, words, columns, a box beyond the edge, outlines, a picture that no subset names."""
    for number, name in enumerate(("train/a.jpg", "train/b.jpg", "val/c.jpg", "stray/d.jpg")):
        picture(root / "images" / name, number)
    a = "0 0.5 0.5 0.4 0.4\n7 0.5 0.5 0.1 0.1\n0 0.5 half 0.1 0.1\n0 0.5 0.5\n0 0.0 0.5 0.4 0.4\n0 0.5 0.5 0 0.1\n"
    write(root / "labels/train/a.txt", a.replace("\n", "\r\n"))
    write(root / "labels/train/b.txt", "1 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n")
    write(
        root / "data.yaml",
        "path: ../datasets/x\ntrain: images/train\nval: images/val\nnc: 2\nnames: ['car', 'traffic light']\n",
    )


def nasty_voc(root: Path) -> None:
    """A renamed picture whose XML has the old name, coordinates from 1, a part with a box of its own, bad numbers."""
    picture(root / "JPEGImages/renamed.jpg", 1)
    picture(root / "JPEGImages/no_xml.jpg", 2)
    picture(root / "JPEGImages/broken.jpg", 3)

    def thing(name: str, corners: tuple[object, object, object, object], more: str = "") -> str:
        keys = ("xmin", "ymin", "xmax", "ymax")
        bounds = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners, strict=True))
        return f"  <object><name>{name}</name><bndbox>{bounds}</bndbox>{more}</object>\n"

    head = thing("head", (5, 5, 9, 9)).replace("object", "part").strip()
    objects = (
        thing("person", (1, 1, 96, 64), head) + thing("car", ("ten", 1, 20, 20)) + thing("", (1, 1, 5, 5))
    )
    write(
        root / "Annotations/renamed.xml",
        f"<annotation>\n  <filename>IMG_0001.JPG</filename>\n{objects}</annotation>\n",
    )
    write(
        root / "Annotations/broken.xml",
        "<annotation>\n  <filename>broken.jpg</filename>\n  <object>\n</annotation>\n",
    )
    write(root / "Annotations/gone.xml", "<annotation><filename>gone.jpg</filename></annotation>\n")


def classification(root: Path) -> None:
    for number, place in enumerate(
        ("train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg", "val/cat/1.jpg", "val/dog/1.jpg")
    ):
        picture(root / place, number)


def segmentation(root: Path) -> None:
    for number, place in enumerate(("train/a", "train/b", "val/c")):
        picture(root / f"images/{place}.jpg", number)
        mask = Image.frombytes("L", (6, 4), bytes((at + number) % 3 for at in range(24)))
        path = root / f"masks/{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        mask.resize((96, 64), Image.Resampling.NEAREST).save(path)


NASTY = {"nasty-kitti": nasty_kitti, "nasty-coco": nasty_coco, "nasty-yolo": nasty_yolo, "nasty-voc": nasty_voc,
         "classification": classification, "segmentation": segmentation}  # fmt: skip


def make(root: Path) -> None:
    """``root`` must not be there."""
    for name, (_, writer, _) in WRITERS.items():
        writer(root / name)
    for name, nasty in NASTY.items():
        nasty(root / name)


if __name__ == "__main__":
    shutil.rmtree(HERE / "datasets", ignore_errors=True)
    make(HERE / "datasets")
