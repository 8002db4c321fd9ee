"""What --fix repairs is right afterwards; the dataset as it was is never written to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from shapes import SHAPES, write_image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.files.atomic_swap import recover
from taorunner.datasets.repair.run import fix_dataset
from taorunner.errors import Severity, UserFilesError

GOOD = "car 0.00 0 0.00 10 10 60 50 0 0 0 0 0 0 0\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.JPG", "c.jpg", "d.jpg")):
        Image.new("RGB", (96, 64), (number * 60, 0, 0)).save(
            root / "images" / name, "PNG" if name == "d.jpg" else "JPEG"
        )
    labels = {
        "a": "\ufeffCar 0.00 0.0 0.00 -9.5 10 60 50 0 0 0 0 0 0 0 0.97\r\n\r\n" + GOOD + GOOD
        + "traffic light 0 0 0 1 1 9 9 0 0 0 0 0 0 0\ncar 0 0 0 9 1 9 9 0 0 0 0 0 0 0\n",
        "c": GOOD, "d": "car 0 0 0 30 30 10 10 0 0 0 0 0 0 0\n",
    }  # fmt: skip
    for stem, text in labels.items():
        (root / "labels" / f"{stem}.txt").write_bytes(text.encode())
    (root / "README").write_text("kept")
    return root


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def codes(root: Path) -> list[str]:
    return [f.code for f in check_dataset(root).findings if f.severity in (Severity.ERROR, Severity.WARNING)]


def test_a_repair_into_a_new_folder(broken: Path, tmp_path: Path) -> None:
    before = content(broken)
    repair = fix_dataset(broken, tmp_path / "made")
    assert (repair.labels, repair.empty_labels, repair.renamed, repair.backup) == (
        1, 1, (("images/b.JPG", "b.jpg"), ("images/d.jpg", "d.png")), None
    )  # fmt: skip
    made = content(tmp_path / "made")
    assert made["labels/a.txt"].decode() == (
        "car 0.00 0 0.00 0 10 60 50 0 0 0 0 0 0 0\n" + GOOD + "traffic_light 0 0 0 1 1 9 9 0 0 0 0 0 0 0\n"
    )
    assert (made["labels/b.txt"], made["labels/c.txt"], made["README"]) == (b"", GOOD.encode(), b"kept")
    assert content(broken) == before
    assert (tmp_path / "made/images/a.jpg").stat().st_ino == (broken / "images/a.jpg").stat().st_ino
    assert sorted(codes(tmp_path / "made")) == ["box-inverted", "mixed-extensions"]


def test_a_repair_in_place_keeps_the_dataset_as_it_was(broken: Path) -> None:
    before = content(broken)
    repair = fix_dataset(broken, None)
    assert (repair.output, repair.backup) == (broken, broken.with_name("data.before-fix"))
    assert content(broken.with_name("data.before-fix")) == before
    assert content(broken)["labels/b.txt"] == b""
    repaired = content(broken)
    again = fix_dataset(broken, None)
    assert (again.labels, again.empty_labels, again.renamed) == (0, 0, ())
    assert again.backup == broken.with_name("data.before-fix-2")
    assert content(broken) == repaired
    assert sorted(path.name for path in broken.parent.iterdir()) == [
        "data",
        "data.before-fix",
        "data.before-fix-2",
    ]


def test_what_is_no_dataset_is_not_repaired(tmp_path: Path) -> None:
    with pytest.raises(UserFilesError, match="no annotations in a known format"):
        fix_dataset(tmp_path, None)


def test_a_format_that_is_only_read_is_refused_with_the_way(tmp_path: Path) -> None:
    SHAPES["cvat"][1](tmp_path / "drawn")
    with pytest.raises(UserFilesError, match="format cvat cannot be repaired") as caught:
        fix_dataset(tmp_path / "drawn", None)
    assert (
        caught.value.hint
        == "convert it with taorunner dataset convert DATASET --to kitti, then repair the result"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["drawn"]


def test_labels_are_copies_and_images_are_links(broken: Path) -> None:
    """Who edits a label of the repaired dataset must not change what is kept."""
    fix_dataset(broken, None)
    kept = broken.with_name("data.before-fix")
    for name, is_same in (("labels/c.txt", False), ("README", False), ("images/c.jpg", True)):
        assert (broken / name).samefile(kept / name) is is_same, name


def test_folders_that_are_links_are_not_written_through(broken: Path, tmp_path: Path) -> None:
    for name in ("images", "labels", "other"):
        (tmp_path / "store" / name).mkdir(parents=True)
    for name in ("images", "labels"):
        (tmp_path / "store" / name).rmdir()
        (broken / name).rename(tmp_path / "store" / name)
    for name in ("images", "labels", "other"):
        (broken / name).symlink_to(tmp_path / "store" / name)
    before = content(tmp_path / "store")
    repair = fix_dataset(broken, tmp_path / "made")
    assert (repair.labels, repair.empty_labels) == (1, 1)
    assert content(tmp_path / "store") == before
    assert (tmp_path / "made/labels/b.txt").read_bytes() == b""
    assert [(tmp_path / "made" / name).is_symlink() for name in ("images", "labels", "other")] == [
        False, False, True
    ]  # fmt: skip


KILLED = """
import os, pathlib, signal, sys
from taorunner.datasets.repair import run
from taorunner.datasets.files import atomic_swap
if {plain}:
    atomic_swap.exchange = lambda first, second: False
left = [{nth}]
def watch(event, args):
    if event == "os.rename":
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
run.fix_dataset(pathlib.Path({root!r}), None)
"""


@pytest.mark.parametrize(("plain", "nth"), [(False, 1), (False, 2), (True, 1), (True, 2), (True, 3)])
def test_a_kill_at_any_rename_leaves_a_dataset_and_what_was_kept(plain: bool, nth: int, broken: Path) -> None:
    """``plain``: as on a file system that cannot exchange two names."""
    before = content(broken)
    script = KILLED.format(plain=plain, nth=nth, root=str(broken))
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    recover(broken)
    found = {path.name: content(path) for path in broken.parent.iterdir()}
    kept = {name: files for name, files in found.items() if name != "data"}
    if kept:
        assert kept == {"data.before-fix": before}
        assert found["data"]["labels/b.txt"] == b""
    else:
        assert found["data"] == before
    assert bool(kept) is (nth == (3 if plain else 2))
    assert fix_dataset(broken, None).output == broken


COCO = {
    "info": {"year": 2026}, "licenses": [], "categories": [{"id": 1, "name": "car", "keypoints": ["nose"]}],
    "images": [{"id": 5, "file_name": "images/a.JPG", "width": 96, "height": 64, "license": 1}],
    "annotations": [
        {"id": 1, "image_id": 5, "category_id": 1, "bbox": [-10, 4, 30, 20], "area": 600, "keypoints": [1, 2, 2]},
        {"id": 2, "image_id": 5, "category_id": 1, "bbox": [10, 10, 20, 20.5]},
        {"id": 3, "image_id": 5, "category_id": 1, "bbox": [10, 10, 20, 20.5], "area": 410.0},
        {"id": 4, "image_id": 5, "category_id": 1, "bbox": [50, 10, 0, 20], "area": 0},
        {"id": 5, "image_id": 5, "category_id": 1, "bbox": [200, 10, 10, 20], "area": 200},
        {"id": 6, "image_id": 5, "category_id": 1, "bbox": [40, 40, 10, 10], "area": 55, "iscrowd": 1},
    ],
}  # fmt: skip


def test_coco_is_repaired_in_its_own_file_and_keeps_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_image(root / "images/a.JPG", 96, 64)
    (root / "labels.json").write_text(json.dumps(COCO))
    assert sorted(codes(root)) == [
        "box-beyond-edge",
        "box-duplicate",
        "box-empty",
        "box-outside",
        "coco-area",
    ]
    repair = fix_dataset(root, None)
    assert (repair.labels, repair.renamed) == (1, (("images/a.JPG", "a.jpg"),))
    first, second, _, _, _, last = COCO["annotations"]
    assert json.loads((root / "labels.json").read_text()) == {
        **COCO,
        "images": [{**COCO["images"][0], "file_name": "images/a.jpg"}],
        "annotations": [{**first, "bbox": [0, 4, 20, 20], "area": 400}, {**second, "area": 410.0}, last],
    }
    assert codes(root) == []
    assert fix_dataset(root, tmp_path / "again").labels == 0


def test_yolo_is_repaired_line_by_line(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_image(root / "images/train/a.jpg", 100, 50)
    write_image(
        root / "images/train/b.jpg",
        100,
        50,
    )
    (root / "labels/train").mkdir(parents=True)
    whole, polygon = "0 0.5 0.5 0.2 0.2", "1 0.1 0.1 0.9 0.1 0.9 0.9"
    (root / "labels/train/a.txt").write_bytes(
        f"{whole}\r\n\r\n0 0 0.5 0.2 0.2\r\n{whole}\r\n1 0.5 0.5 0 0.1\r\n{polygon}\r\n".encode()
    )
    (root / "labels/train/b.txt").write_text(whole + "\n")
    (root / "data.yaml").write_text("train: images/train\nnames: [car, bus]\n")
    repair = fix_dataset(root, tmp_path / "made")
    assert (repair.labels, repair.empty_labels, repair.renamed) == (1, 0, ())
    made = content(tmp_path / "made")
    assert made["labels/train/a.txt"].decode() == f"{whole}\n0 0.05 0.5 0.1 0.2\n{polygon}\n"
    assert made["labels/train/b.txt"].decode() == whole + "\n"
    assert [c for c in codes(tmp_path / "made") if c.startswith("box")] == []


VOC = """<annotation><filename>a.JPG</filename><!-- kept --><size><width>96</width><height>64</height></size>
  <object><name>car</name><difficult>1</difficult>
    <bndbox><xmin>-5</xmin><ymin>4</ymin><xmax>40</xmax><ymax>70.5</ymax></bndbox></object>
  <object><name>car</name><bndbox><xmin>9</xmin><ymin>4</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object>
  <object><name>bus</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>30</xmax><ymax>30</ymax></bndbox></object>
  <object><name>bus</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>30</xmax><ymax>30</ymax></bndbox></object>
</annotation>
"""


def test_voc_is_repaired_object_by_object(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_image(root / "a.JPG", 96, 64)
    (root / "a.xml").write_text(VOC)
    repair = fix_dataset(root, None)
    assert (repair.labels, repair.renamed) == (1, (("a.JPG", "a.jpg"),))
    lines = VOC.replace("a.JPG", "a.jpg").replace("-5", "0").replace("70.5", "64").splitlines(keepends=True)
    assert (root / "a.xml").read_text() == "".join([*lines[:3], lines[4], lines[6]])
    assert codes(root) == []
