"""COCO panoptic, as an independent reader sees it: the ids in each image of segments, and their pixels."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from taorunner.datasets.transform.convert import convert
from taorunner.errors import UserFilesError

SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]
SMALL = [[4, 4, 8, 4, 8, 8, 4, 8]]
HALF = {"size": [16, 20], "counts": [0, 160, 160]}
"""The left half of 20x16 pixels."""


def coco(root: Path, *outlines: Any, names: tuple[str, ...] = ("car", "dog")) -> Path:
    """One image of 20x16 with these outlines, its classes in turn, and one image without any."""
    (root / "images").mkdir(parents=True)
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (20, 16)).save(root / "images" / name)
    annotations = [
        {"id": number, "image_id": 1, "category_id": number % 2 + 1, "bbox": [2, 2, 10, 10], "area": 100,
         "iscrowd": int(isinstance(outline, dict)), **({"segmentation": outline} if outline else {})}
        for number, outline in enumerate(outlines)
    ]  # fmt: skip
    images = [
        {"id": number, "file_name": name, "width": 20, "height": 16}
        for number, name in enumerate(("a.jpg", "b.png"), 1)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    (root / "all.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return root


def read(root: Path) -> dict[str, list[tuple[str, int, int]]]:
    """By image, the class of each segment, its area as stated, and its pixels as counted."""
    document = json.loads((root / "panoptic.json").read_text())
    names = {one["id"]: one["name"] for one in document["categories"]}
    files = {one["id"]: one["file_name"] for one in document["images"]}
    found = {}
    for one in document["annotations"]:
        with Image.open(root / "panoptic" / one["file_name"]) as opened:
            data = opened.convert("RGB").tobytes()
            assert opened.size == (20, 16)
        pixels = Counter(int.from_bytes(data[at : at + 3], "little") for at in range(0, len(data), 3))
        assert set(pixels) - {0} == {segment["id"] for segment in one["segments_info"]}
        found[files[one["image_id"]]] = [
            (names[segment["category_id"]], segment["area"], pixels[segment["id"]])
            for segment in one["segments_info"]
        ]
    return found


def test_smaller_objects_lie_on_top_and_backgrounds_stay(tmp_path: Path) -> None:
    done = convert(coco(tmp_path / "d", SMALL, SQUARE), tmp_path / "made", to="panoptic")
    assert read(tmp_path / "made") == {"a.jpg": [("car", 25, 25), ("dog", 96, 96)], "b.png": []}
    assert (dict(done.after), done.images_after, done.backgrounds) == ({"car": 1, "dog": 1}, 2, 1)
    things = json.loads((tmp_path / "made/label_map.json").read_text())
    assert [(one["id"], one["name"], one["isthing"]) for one in things] == [(1, "car", 1), (2, "dog", 1)]
    assert sorted(path.name for path in (tmp_path / "made/images").iterdir()) == ["a.jpg", "b.png"]


def test_masks_are_drawn_as_they_are(tmp_path: Path) -> None:
    convert(coco(tmp_path / "d", HALF), tmp_path / "made", to="panoptic")
    assert read(tmp_path / "made")["a.jpg"] == [("car", 160, 160)]
    document = json.loads((tmp_path / "made/panoptic.json").read_text())
    assert [one["iscrowd"] for one in document["annotations"][0]["segments_info"]] == [1]
    with Image.open(tmp_path / "made/panoptic/a.png") as drawn:
        assert [drawn.getpixel(place) for place in ((9, 15), (10, 0))] == [(1, 0, 0), (0, 0, 0)]


@pytest.mark.parametrize(
    ("outlines", "code", "what"),
    [
        ((SQUARE, None), "outline-missing", '"dog" 2 2 12 12 on "a.jpg" has no outline'),
        ((SMALL, SMALL), "object-covered", "has no pixel of its own: smaller ones cover it"),
        (
            ({"size": [4, 4], "counts": [0, 16]},),
            "outline-missing",
            "has no outline of its image: the mask has 4x4 pixels",
        ),
    ],
)
def test_what_cannot_be_a_segment_is_named_and_nothing_is_written(
    outlines: tuple[Any, ...], code: str, what: str, tmp_path: Path
) -> None:
    source = coco(tmp_path / "d", *outlines)
    with pytest.raises(UserFilesError) as caught:
        convert(source, tmp_path / "made", to="panoptic")
    (finding,) = caught.value.findings
    assert finding.code == code and what in finding.message and finding.file == source / "all.json"
    assert not (tmp_path / "made").exists()


def test_more_than_255_objects_have_ids_of_their_own(tmp_path: Path) -> None:
    spots = [[[x, y, x + 0.5, y, x + 0.5, y + 0.5, x, y + 0.5]] for x in range(20) for y in range(15)]
    convert(coco(tmp_path / "d", *spots), tmp_path / "made", to="panoptic")
    assert read(tmp_path / "made")["a.jpg"] == [(("car", "dog")[number % 2], 1, 1) for number in range(300)]


def test_what_was_written_is_known_and_left_alone(tmp_path: Path) -> None:
    convert(coco(tmp_path / "d", SQUARE), tmp_path / "made", to="panoptic")
    with pytest.raises(UserFilesError, match="panoptic segmentation") as caught:
        convert(tmp_path / "made", tmp_path / "back", to="coco")
    assert (caught.value.hint or "").startswith("oneformer and mask2former read it as it is")
