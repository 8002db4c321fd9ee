"""What annotations say beyond boxes stays through split and resize, with its place on the image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.resize import resize_dataset
from taorunner.datasets.transform.split import split_dataset
from taorunner.errors import UserFilesError

SHARES = {"train": 0.5, "val": 0.5}
TOP = {"info": {"year": 2017}, "licenses": [{"id": 3, "name": "own"}], "extra": [1, {"a": 2}]}
CATEGORIES = [
    {
        "id": 1,
        "name": "person",
        "supercategory": "animal",
        "keypoints": ["nose", "eye"],
        "skeleton": [[1, 2]],
    },
    {"id": 2, "name": "car", "supercategory": "thing"},
]


def write_image(path: Path, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (64, 48), "red" if path.stem == "a" else "blue").save(path, exif=exif)


def coco(root: Path, orientation: int = 1, **more: Any) -> dict[str, Any]:
    """Two images with one annotation each; ``more`` is what both say beyond the rest."""
    images, annotations = [], []
    for number, name in ((11, "a.jpg"), (12, "b.jpg")):
        write_image(root / name, orientation)
        images.append(
            {"id": number, "file_name": name, "width": 64, "height": 48, "license": 3, "coco_url": "u"}
        )
        annotations.append({"id": number * 10, "image_id": number, "category_id": 1, "bbox": [10, 8, 20, 16],
                            "area": 123.5, "iscrowd": 1, "segmentation": [], **more})  # fmt: skip
    document = {**TOP, "images": images, "annotations": annotations, "categories": CATEGORIES}
    (root / "r.json").write_text(json.dumps(document))
    return document


def written(root: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(root.rglob("annotations.json"))]


def by_id(documents: list[dict[str, Any]], key: str) -> dict[int, dict[str, Any]]:
    return {one["id"]: one for document in documents for one in document[key]}


def test_coco_has_info_also_where_the_source_has_none(tmp_path: Path) -> None:
    """pycocotools 2.0.9 cannot load results for a dataset without it."""
    document = coco(tmp_path / "d")
    del document["info"]
    (tmp_path / "d/r.json").write_text(json.dumps(document))
    convert(tmp_path / "d", tmp_path / "kitti", to="kitti")
    convert(tmp_path / "kitti", tmp_path / "coco", to="coco")
    assert [one["info"] for one in written(tmp_path / "coco")] == [{}]


def test_a_split_keeps_every_key_and_every_id_of_coco(tmp_path: Path) -> None:
    more = {"keypoints": [12, 9, 2, 0, 0, 0], "num_keypoints": 1, "attributes": {"occluded": True},
            "track_id": 4, "caption": "x"}  # fmt: skip
    document = coco(tmp_path / "d", **more)
    split = split_dataset(tmp_path / "d", tmp_path / "s", shares=SHARES, seed=1)
    parts = written(tmp_path / "s")
    assert [len(part["images"]) for part in parts] == [1, 1]
    for part in parts:
        assert {key: part[key] for key in TOP} == TOP
        assert part["categories"] == CATEGORIES
    for key in ("images", "annotations"):
        assert by_id(parts, key) == by_id([document], key)
    assert split.findings == ()


def test_ids_that_cannot_be_kept_are_numbered_again(tmp_path: Path) -> None:
    """0 is the background of TAO's detectors, and two annotations may have one id."""
    document = coco(tmp_path / "d")
    document["categories"] = [{**one, "id": one["id"] - 1} for one in CATEGORIES]
    document["annotations"] = [
        {**one, "id": 5, "category_id": 0, "image_id": 11} for one in document["annotations"]
    ]
    (tmp_path / "d/r.json").write_text(json.dumps(document))
    split_dataset(tmp_path / "d", tmp_path / "s", shares=SHARES, seed=1)
    part = next(one for one in written(tmp_path / "s") if one["annotations"])
    assert [one["id"] for one in part["annotations"]] == [1, 2]
    assert [(one["id"], one["name"], one["supercategory"]) for one in part["categories"]] == [
        (1, "person", "animal"), (2, "car", "thing")]  # fmt: skip


def test_a_conversion_to_coco_keeps_all_but_the_numbers(tmp_path: Path) -> None:
    coco(tmp_path / "d", keypoints=[12, 9, 2], num_keypoints=1)
    assert convert(tmp_path / "d", tmp_path / "c", to="coco").findings == ()
    (document,) = written(tmp_path / "c")
    assert {key: document[key] for key in TOP} == TOP
    assert document["categories"] == CATEGORIES
    assert [(one["id"], one["keypoints"], one["area"]) for one in document["annotations"]] == [
        (1, [12, 9, 2], 320), (2, [12, 9, 2], 320)]  # fmt: skip


@pytest.mark.parametrize(("letterbox", "points"), [
    (False, [32, 24, 2, 0, 0, 0]), (True, [32, 18 + 16, 2, 0, 0, 0]),
])  # fmt: skip
def test_key_points_follow_a_resized_image(letterbox: bool, points: list[int], tmp_path: Path) -> None:
    coco(tmp_path / "d", keypoints=[16, 9, 2, 0, 0, 0], num_keypoints=1, attributes={"a": 1})
    size = (128, 128)
    resize_dataset(tmp_path / "d", tmp_path / "r", size=size, letterbox=letterbox)
    annotation = written(tmp_path / "r")[0]["annotations"][0]
    assert annotation["keypoints"] == points
    assert (annotation["num_keypoints"], annotation["attributes"]) == (1, {"a": 1})
    assert annotation["area"] == annotation["bbox"][2] * annotation["bbox"][3]


def test_key_points_follow_an_image_that_exif_turns(tmp_path: Path) -> None:
    coco(tmp_path / "d", orientation=6, keypoints=[16, 9, 2])
    convert(tmp_path / "d", tmp_path / "c", to="coco")
    annotation = written(tmp_path / "c")[0]["annotations"][0]
    assert (annotation["bbox"], annotation["keypoints"]) == ([24, 10, 16, 20], [39, 16, 2])


def test_what_cannot_be_turned_with_its_image_is_reported(tmp_path: Path) -> None:
    coco(tmp_path / "d", orientation=6, quad=[[1, 2], [3, 4]])
    reported = {f.code: f.message for f in convert(tmp_path / "d", tmp_path / "c", to="coco").findings}
    assert '"quad" (2)' in reported["exif-fields"]


@pytest.mark.parametrize(("key", "value"), [
    ("lefthand_box", [1, 2, 3, 4]), ("quad", [[1, 2], [3, 4]]), ("mask", {"size": [2, 2], "counts": [4]}),
    ("keypoints", [1, 2]),
])  # fmt: skip
def test_coordinates_that_are_not_known_stop_a_resize(key: str, value: object, tmp_path: Path) -> None:
    coco(tmp_path / "d", **{key: value})
    with pytest.raises(UserFilesError, match="coordinates in unknown fields") as caught:
        resize_dataset(tmp_path / "d", tmp_path / "r", size=(32, 32))
    assert f'"{key}" (2)' in caught.value.message
    assert not (tmp_path / "r").exists()


def test_lists_that_are_no_coordinates_stay(tmp_path: Path) -> None:
    coco(tmp_path / "d", category_ids=[1, 2], tags=["a", "b"], one=[3])
    resize_dataset(tmp_path / "d", tmp_path / "r", size=(32, 32))
    annotation = written(tmp_path / "r")[0]["annotations"][0]
    assert (annotation["category_ids"], annotation["tags"], annotation["one"]) == ([1, 2], ["a", "b"], [3])


@pytest.mark.parametrize(("to", "lost"), [
    ("kitti", {"iscrowd", "score", "attributes"}), ("voc", {"iscrowd", "score", "attributes"}),
    ("yolo", {"iscrowd", "attributes"}), ("odvg", {"iscrowd", "score", "attributes"}), ("coco", set()),
])  # fmt: skip
def test_what_a_format_cannot_hold_is_counted(to: str, lost: set[str], tmp_path: Path) -> None:
    coco(tmp_path / "d", attributes={"a": 1}, score=0.5)
    reported = [f.message for f in convert(tmp_path / "d", tmp_path / "c", to=to).findings]
    assert len(reported) == bool(lost)
    assert all(f'"{name}" (2 objects)' in reported[0] for name in lost)


def test_keys_of_odvg_stay_in_odvg(tmp_path: Path) -> None:
    root = tmp_path / "d"
    lines = []
    for name in ("a.jpg", "b.jpg"):
        write_image(root / name)
        instances = [
            {"bbox": [1, 2, 9, 9], "label": 0, "category": "car", "mask": [[1, 2, 9, 2, 9, 9]], "id": 7}
        ]
        lines.append(
            {
                "filename": name,
                "height": 48,
                "width": 64,
                "image_id": 5,
                "detection": {"instances": instances},
            }
        )
    (root / "x.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    (root / "label_map.json").write_text('{"0": "car"}')
    assert split_dataset(root, tmp_path / "s", shares=SHARES, seed=1).findings == ()
    after = [json.loads(path.read_text()) for path in sorted((tmp_path / "s").rglob("annotations.jsonl"))]
    assert [(one["image_id"], one["detection"]["instances"]) for one in after] == [(5, instances)] * 2
    resize_dataset(root, tmp_path / "r", size=(32, 24))
    (path,) = (tmp_path / "r").rglob("annotations.jsonl")
    moved = [json.loads(line)["detection"]["instances"][0]["mask"] for line in path.read_text().splitlines()]
    assert moved == [[[0.5, 1, 4.5, 1, 4.5, 4.5]]] * 2
    (root / "x.jsonl").write_text((root / "x.jsonl").read_text().replace('"mask"', '"points"'))
    with pytest.raises(UserFilesError, match="coordinates in unknown fields"):
        resize_dataset(root, tmp_path / "q", size=(32, 24))
