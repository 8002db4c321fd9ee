"""A folder with annotations of two formats: a choice is refused or named, and ``from_`` makes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.report.stats import read_stats
from taorunner.datasets.transform.resize import resize_dataset
from taorunner.datasets.transform.split import split_dataset
from taorunner.errors import UserFilesError

COUNT = 6


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """COCO with two boxes an image, and YOLO with one."""
    root = tmp_path / "both"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(COUNT):
        Image.effect_noise((64, 48), 60 + number).convert("RGB").save(root / f"images/p{number}.png")
        (root / f"labels/p{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    boxes = [(image, kind) for image in range(COUNT) for kind in (1, 2)]
    document = {
        "images": [
            {"id": n, "file_name": f"images/p{n}.png", "width": 64, "height": 48} for n in range(COUNT)
        ],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
        "annotations": [
            {
                "id": n,
                "image_id": image,
                "category_id": kind,
                "bbox": [1, 1, 10, 10],
                "area": 100,
                "iscrowd": 0,
            }
            for n, (image, kind) in enumerate(boxes)
        ],
    }
    (root / "annotations.json").write_text(json.dumps(document))
    return root


def with_names(root: Path) -> Path:
    (root / "data.yaml").write_text("nc: 1\nnames: [box]\n")
    return root


def test_two_datasets_in_one_folder_are_refused_with_the_way_out(both: Path) -> None:
    for attempt in (read_dataset, check_dataset, read_stats):
        with pytest.raises(
            UserFilesError, match=r"has annotations of several formats: coco, yolo$"
        ) as caught:
            attempt(with_names(both))
        assert caught.value.hint == "give the folder of one of them, or name one with --from coco"


def test_labels_that_nobody_reads_are_named(both: Path) -> None:
    (finding,) = [one for one in check_dataset(both).findings if one.code == "labels-unread"]
    assert (finding.code, finding.message) == (
        "labels-unread",
        '6 label files of YOLO, such as "labels/p0.txt", are not read: the boxes are those of coco',
    )
    assert finding.hint == "move them away, or read them instead: write classes.txt and add --from yolo"
    for path in (both / "labels").iterdir():
        path.unlink()
    assert "labels-unread" not in {one.code for one in check_dataset(both).findings}


def test_a_list_of_names_without_subsets_is_enough_for_yolo(both: Path) -> None:
    (both / "annotations.json").unlink()
    dataset = read_dataset(with_names(both))
    assert (dataset.format, dataset.findings) == ("yolo", ())
    assert dataset.boxes_per_class() == {"box": COUNT}


def test_yolo_without_names_is_one_finding_not_one_a_line(both: Path) -> None:
    with pytest.raises(UserFilesError, match=r"^no image could be read from") as caught:
        read_dataset(both, "yolo")
    assert [(one.code, one.message) for one in caught.value.findings] == [
        ("yolo-names", "there is no list of class names")
    ]


@pytest.mark.parametrize(("from_", "boxes"), [("coco", 2 * COUNT), ("yolo", COUNT)])
def test_every_command_reads_the_format_that_is_named(
    both: Path, tmp_path: Path, from_: str, boxes: int
) -> None:
    root = with_names(both)
    report = check_dataset(root, from_=from_)
    assert (report.kind, sum(part.classes.total() for part in report.subsets)) == (from_, boxes)
    stats, _ = read_stats(root, from_=from_)
    assert sum(one.boxes for one in stats.classes) == boxes
    split_dataset(root, tmp_path / "split", shares={"train": 0.5, "val": 0.5}, seed=1, from_=from_)
    resize_dataset(root, tmp_path / "small", size=(32, 24), from_=from_)
    for made in (tmp_path / "split", tmp_path / "small"):
        dataset = read_dataset(made)
        assert (dataset.format, sum(len(image.boxes) for image in dataset.images)) == (from_, boxes)


def test_kitti_by_name_is_checked_as_kitti(tmp_path: Path) -> None:
    root = tmp_path / "kitti"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    Image.effect_noise((64, 48), 60).convert("RGB").save(root / "images/a.png")
    (root / "labels/a.txt").write_text("car 0.00 0 0.00 1.00 1.00 20.00 20.00 0 0 0 0 0 0 0\n")
    report = check_dataset(root, from_="kitti")
    assert (report.kind, [one for one in report.findings if one.is_error]) == ("kitti", [])
