"""Images with one file name in several subsets, and COCO files that lie apart from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shapes import write_image

from taorunner.datasets.checks.classes import ClassNeeds
from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.transform.convert import convert

WIDTHS = {"train": 40, "val": 50, "test": 60}


def coco(path: Path, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "images": [{"id": 1, "file_name": "0001.jpg", "width": width, "height": 30}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81}],
        "categories": [{"id": 1, "name": "car"}],
    }
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("annotations", "image_places"),
    [
        ("annotations/{}.json", "{}"),
        ("annotations/instances_{}2017.json", "{}2017"),
        ("annotations/{}.json", "images/{}"),
        ("{}.json", "{}/images"),
        ("labels/{}/coco.json", "pictures/{}-a/b"),
    ],
)
def test_the_annotation_file_takes_the_images_of_its_own_subset(
    annotations: str, image_places: str, tmp_path: Path
) -> None:
    for subset, width in WIDTHS.items():
        write_image(tmp_path / "d" / image_places.format(subset) / "0001.jpg", width, 30)
        coco(tmp_path / "d" / annotations.format(subset), width)
    dataset = read_dataset(tmp_path / "d")
    assert dataset.findings == ()
    assert {image.subset: image.width for image in dataset.images} == WIDTHS
    assert [f.message for f in check_dataset(tmp_path / "d").findings if f.is_error] == []
    assert convert(tmp_path / "d", tmp_path / "made", to="coco").subsets == dict.fromkeys(WIDTHS, 1)


def test_images_with_equal_names_are_still_ambiguous(tmp_path: Path) -> None:
    for part, width in (("north", 40), ("south", 50)):
        write_image(tmp_path / "d" / part / "0001.jpg", width, 30)
    write_image(tmp_path / "d/0002.jpg", 40, 30)
    coco(tmp_path / "d/annotations/all.json", 40)
    document = json.loads((tmp_path / "d/annotations/all.json").read_text())
    document["images"].append({"id": 2, "file_name": "0002.jpg", "width": 40, "height": 30})
    (tmp_path / "d/annotations/all.json").write_text(json.dumps(document))
    assert [f.code for f in check_dataset(tmp_path / "d").findings if f.is_error] == ["picture-ambiguous"]


def test_a_spec_that_names_the_folder_of_the_images_settles_it(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for part, width in (("north", 40), ("south", 50)):
        write_image(root / part / "0001.jpg", width, 30)
        coco(root / f"boxes/of_{part}.json", width)
    assert "picture-ambiguous" in [
        f.code for f in check_dataset_or_nothing(root, ClassNeeds(tmp_path / "train.yaml"))
    ]
    folders = {root / f"boxes/of_{part}.json": root / part for part in ("north", "south")}
    need = ClassNeeds(tmp_path / "train.yaml", image_folders=folders)
    assert [f.message for f in check_dataset_or_nothing(root, need) if f.is_error] == []


def check_dataset_or_nothing(root: Path, need: ClassNeeds) -> list:  # type: ignore[type-arg]
    from taorunner.errors import UserFilesError

    try:
        return check_dataset(root, needs=[need]).findings
    except UserFilesError as error:
        return list(error.findings)
