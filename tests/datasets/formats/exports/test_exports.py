"""Exports that are read when their format is named: the VGG annotator's JSON, and Datumaro's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from shapes import write_image

from taorunner.datasets.formats.recognise import read_dataset
from taorunner.errors import UserFilesError

POLYGON = {"name": "polygon", "all_points_x": [1, 9, 5], "all_points_y": [2, 3, 8]}
RECT = {"name": "rect", "x": 2, "y": 3, "width": 10, "height": 5}


def via(root: Path, regions: Any, *, is_project: bool = False) -> Path:
    write_image(root / "train/a.jpg", 40, 30)
    entries: Mapping[str, Any] = {
        "a.jpg99": {"filename": "a.jpg", "size": 99, "regions": regions, "file_attributes": {}}
    }
    value = {"_via_settings": {}, "_via_img_metadata": entries} if is_project else entries
    (root / "train/via_region_data.json").write_text(json.dumps(value))
    return root


def region(shape: Mapping[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


@pytest.mark.parametrize("is_project", [False, True])
@pytest.mark.parametrize("is_numbered", [False, True])
def test_shapes_of_the_vgg_annotator(is_project: bool, is_numbered: bool, tmp_path: Path) -> None:
    shapes = [
        region(POLYGON, label="leaf"), region(RECT, label="pot"),
        region({"name": "circle", "cx": 10, "cy": 10, "r": 4}, label="leaf"),
        region({"name": "ellipse", "cx": 10, "cy": 10, "rx": 4, "ry": 2}, label="leaf"),
    ]  # fmt: skip
    listed = {str(number): one for number, one in enumerate(shapes)} if is_numbered else shapes
    dataset = read_dataset(via(tmp_path, listed, is_project=is_project), "via")
    (image,) = dataset.images
    assert image.subset == "train"
    assert [(box.name, box.x_min, box.y_min, box.x_max, box.y_max) for box in image.boxes] == [
        ("leaf", 1, 2, 9, 8), ("pot", 2, 3, 12, 8), ("leaf", 6, 6, 14, 14), ("leaf", 6, 8, 14, 12),
    ]  # fmt: skip
    assert image.boxes[0].segmentation == [[1, 2, 9, 3, 5, 8]]
    assert sorted(one.code for one in dataset.findings) == ["shape-box", "shape-box"]


@pytest.mark.parametrize(
    ("attributes", "name", "codes"),
    [
        ({"label": "leaf"}, "leaf", []),
        ({"plant": {"leaf": True}}, "leaf", []),
        ({"insect": "kudzu", "inseto": "kudzu"}, "kudzu", []),
        ({"colour": "red", "class": "leaf"}, "leaf", ["via-attributes"]),
        ({}, "object", ["via-one-class"]),
    ],
)  # fmt: skip
def test_the_class_of_a_region(attributes: Any, name: str, codes: list[str], tmp_path: Path) -> None:
    dataset = read_dataset(via(tmp_path, [region(RECT, **attributes)]), "via")
    assert [box.name for box in dataset.images[0].boxes] == [name]
    assert [one.code for one in dataset.findings if not one.is_error] == codes
    assert not [one for one in dataset.findings if one.is_error]


@pytest.mark.parametrize(
    ("regions", "code"),
    [
        ([region(RECT, colour="red", texture="rough")], "via-attributes"),
        ([region(RECT, label="leaf"), region(RECT)], "via-region"),
        ([region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, label="leaf")], "via-region"),
        ([region({"name": "point", "cx": 1, "cy": 1}, label="leaf")], "picture-without-boxes"),
    ],
)  # fmt: skip
def test_a_region_that_is_no_box_is_an_error(regions: Any, code: str, tmp_path: Path) -> None:
    dataset = read_dataset(via(tmp_path, regions), "via")
    assert code in [one.code for one in dataset.findings if one.is_error]


def datumaro(root: Path, annotations: list[dict[str, Any]], path: str = "a.jpg") -> Path:
    write_image(root / "images/train/a.jpg", 40, 30)
    labels = [{"name": "leaf"}, {"name": "pot"}]
    items = [{"id": "a", "annotations": annotations, "image": {"path": path, "size": [30, 40]}}]
    value = {"info": {}, "categories": {"label": {"labels": labels}}, "items": items}
    (root / "annotations").mkdir()
    (root / "annotations/train.json").write_text(json.dumps(value))
    return root


@pytest.mark.parametrize("path", ["a.jpg", "", "/elsewhere/of/someone/a.jpg"])
def test_shapes_of_datumaro(path: str, tmp_path: Path) -> None:
    mask = {"size": [30, 40], "counts": [30 * 2 + 3, 4, 30 * 37 + 23]}
    annotations = [
        {"type": "bbox", "label_id": 1, "bbox": [2, 3, 10, 5]},
        {"type": "polygon", "label_id": 0, "points": [1, 2, 9, 3, 5, 8]},
        {"type": "mask", "label_id": 0, "rle": mask},
        {"type": "label", "label_id": 0},
    ]
    dataset = read_dataset(datumaro(tmp_path, annotations, path), "datumaro")
    (image,) = dataset.images
    assert image.subset == "train"
    assert dataset.classes == ("leaf", "pot")
    assert [(box.name, box.x_min, box.y_min, box.x_max, box.y_max) for box in image.boxes] == [
        ("pot", 2, 3, 12, 8), ("leaf", 1, 2, 9, 8), ("leaf", 2, 3, 3, 7),
    ]  # fmt: skip
    assert {one.code for one in dataset.findings} == {"shape-left-out", "mask-box"}


def test_labels_of_whole_images_are_no_background(tmp_path: Path) -> None:
    dataset = read_dataset(datumaro(tmp_path, [{"type": "label", "label_id": 0}]), "datumaro")
    assert [one.code for one in dataset.findings if one.is_error] == ["picture-without-boxes"]


@pytest.mark.parametrize("one", [
    {"type": "bbox", "label_id": 9, "bbox": [2, 3, 10, 5]}, {"type": "bbox", "label_id": 0, "bbox": [2, 3, 10]},
    {"type": "polygon", "label_id": None, "points": [1, 2, 9, 3, 5, 8]}, {"type": "hash"},
])  # fmt: skip
def test_an_annotation_that_cannot_be_read_is_an_error(one: dict[str, Any], tmp_path: Path) -> None:
    dataset = read_dataset(datumaro(tmp_path, [one]), "datumaro")
    assert "datumaro-annotation" in [one.code for one in dataset.findings if one.is_error]


@pytest.mark.parametrize("name", ["via", "datumaro", "labelme"])
def test_another_json_is_refused(name: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", 40, 30)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UserFilesError, match="no JSON file in"):
        read_dataset(tmp_path, name)


def labelme(root: Path, *shapes: dict[str, Any], **more: Any) -> Path:
    write_image(root / "train/a.jpg", 40, 30)
    value = {
        "shapes": list(shapes),
        "flags": {},
        "imagePath": "..\\\\old\\\\a.jpg",
        "imageWidth": 40,
        "imageHeight": 30,
    }
    (root / "train/a.json").write_text(json.dumps({**value, **more}))
    return root


def drawn(kind: str | None, *points: tuple[float, float], label: str = "leaf") -> dict[str, Any]:
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind, "flags": {}}


def test_shapes_of_labelme(tmp_path: Path) -> None:
    shapes = [
        drawn("rectangle", (12, 8), (2, 3)), drawn(None, (1, 2), (9, 3), (5, 8)),
        drawn("circle", (20, 15), (24, 18), label="pot"), drawn("mask", (2, 3), (12, 9)),
        drawn("line", (1, 1), (9, 9)), drawn("point", (3, 4)),
    ]  # fmt: skip
    dataset = read_dataset(labelme(tmp_path, *shapes), "labelme")
    (image,) = dataset.images
    assert image.subset == "train"
    assert [(box.name, box.x_min, box.y_min, box.x_max, box.y_max) for box in image.boxes] == [
        ("leaf", 2, 3, 12, 8), ("leaf", 1, 2, 9, 8), ("pot", 15, 10, 25, 20), ("leaf", 2, 3, 12, 9),
    ]  # fmt: skip
    assert image.boxes[1].segmentation == [[1, 2, 9, 3, 5, 8]]
    codes = ["mask-box", "shape-box", "shape-left-out", "shape-left-out"]
    assert sorted(one.code for one in dataset.findings) == codes


def test_a_flag_of_labelme_is_no_background(tmp_path: Path) -> None:
    dataset = read_dataset(labelme(tmp_path, flags={"cat": True, "dog": False}), "labelme")
    assert [one.code for one in dataset.findings if one.is_error] == ["picture-without-boxes"]


def test_an_image_of_labelme_without_shapes_is_a_background(tmp_path: Path) -> None:
    dataset = read_dataset(labelme(tmp_path), "labelme")
    assert not [one for one in dataset.findings if one.is_error]
    assert [len(image.boxes) for image in dataset.images] == [0]


@pytest.mark.parametrize("one", [
    drawn("rectangle", (1, 2)), drawn("rectangle", (1, 2), (9, 8), label=""), drawn("star", (1, 2), (9, 8)),
    {"label": "leaf", "shape_type": "polygon", "points": [[1, 2], [3, "x"], [5, 6]]}, {"label": "leaf"},
])  # fmt: skip
def test_a_shape_that_is_no_box_is_an_error(one: dict[str, Any], tmp_path: Path) -> None:
    dataset = read_dataset(labelme(tmp_path, one), "labelme")
    assert [one.code for one in dataset.findings if one.is_error] == ["labelme-shape"]
