"""Shapes other than upright boxes, and what is wrong in the files of CVAT, Label Studio, VoTT and WIDER FACE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shapes import write_image

from taorunner.datasets.formats import wider_face
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import DetectionDataset
from taorunner.errors import UserFilesError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_image(tmp_path / "a.jpg", 200, 100)
    return tmp_path


def boxes(dataset: DetectionDataset, name: str = "a.jpg") -> list[tuple[object, ...]]:
    """Name and rounded corners of the boxes of an image."""
    (image,) = [one for one in dataset.images if one.path.name == name]
    return [
        (one.name, *(round(c, 3) for c in (one.x_min, one.y_min, one.x_max, one.y_max)))
        for one in image.boxes
    ]


def codes(dataset: DetectionDataset) -> list[str]:
    return [finding.code for finding in dataset.findings if finding.code != "picture-unused"]


# ---- CVAT


def cvat(
    root: Path, shapes: str, attributes: str = 'name="a.jpg" width="200" height="100"'
) -> DetectionDataset:
    text = f'<?xml version="1.0"?>\n<annotations>\n<image id="0" {attributes}>\n{shapes}\n</image>\n</annotations>'
    (root / "annotations.xml").write_text(text)
    return read_dataset(root, "cvat")


@pytest.mark.parametrize(
    ("shape", "box", "found"),
    [
        ('<box label="car" xtl="1" ytl="2" xbr="30" ybr="40"/>', ("car", 1, 2, 30, 40), []),
        ('<box label="car" xtl="10" ytl="20" xbr="50" ybr="40" rotation="90"/>', ("car", 20, 10, 40, 50), ["box-rotated"]),
        ('<box label="car" xtl="10" ytl="20" xbr="50" ybr="40" rotation="360"/>', ("car", 10, 20, 50, 40), []),
        ('<box label="car" xtl="40" ytl="40" xbr="60" ybr="60" rotation="45"/>',
         ("car", 35.858, 35.858, 64.142, 64.142), ["box-rotated"]),
        ('<ellipse label="car" cx="50" cy="40" rx="20" ry="10"/>', ("car", 30, 30, 70, 50), ["shape-box"]),
        ('<cuboid label="car" xtl1="1" ytl1="2" xbl1="1" ybl1="9" xtr1="9" ytr1="2" xbr1="9" ybr1="9" xtl2="4" ytl2="1" '
         'xbl2="4" ybl2="8" xtr2="12" ytr2="1" xbr2="12" ybr2="8"/>', ("car", 1, 1, 12, 9), ["shape-box"]),
        ('<mask label="car" left="5" top="6" width="10" height="20" rle="1"/>', ("car", 5, 6, 15, 26), ["mask-box"]),
        ('<polygon label="car" points="10,20;30,5;40,50"/>', ("car", 10, 5, 40, 50), []),
    ],
)  # fmt: skip
def test_shapes_of_cvat(shape: str, box: tuple[object, ...], found: list[str], root: Path) -> None:
    dataset = cvat(root, shape)
    assert (boxes(dataset), codes(dataset)) == ([box], found)


def test_the_outline_and_the_attributes_of_cvat_are_kept(root: Path) -> None:
    shape = '<polygon label="car" points="10,20;30,5;40,50" occluded="1"><attribute name="make"> vw </attribute></polygon>'
    (box,) = cvat(root, shape).images[0].boxes
    assert box.segmentation == [[10, 20, 30, 5, 40, 50]]
    assert box.extra == {"attributes": {"make": "vw", "occluded": True}}
    (box,) = cvat(root, '<box label="car" xtl="1" ytl="2" xbr="3" ybr="4" occluded="0"/>').images[0].boxes
    assert box.extra is None


@pytest.mark.parametrize(
    "shape",
    [
        '<box xtl="1" ytl="2" xbr="30" ybr="40"/>',
        '<box label="car" xtl="1" ytl="2" xbr="30"/>',
        '<box label="car" xtl="1" ytl="x" xbr="30" ybr="40"/>',
        '<ellipse label="car" cx="50" cy="40" rx="20"/>',
        '<mask label="car" left="5" top="6" width="10"/>',
        '<polygon label="car" points="10,20;30,5"/>',
        '<polygon label="car" points="10,20;30,x;1,2"/>',
        '<polygon label="car"/>',
    ],
)
def test_broken_shapes_of_cvat(shape: str, root: Path) -> None:
    dataset = cvat(root, shape)
    assert (boxes(dataset), codes(dataset)) == ([], ["cvat-shape"])
    assert dataset.findings[0].line == 4


def test_what_cvat_has_besides_boxes_is_reported(root: Path) -> None:
    dataset = cvat(root, '<points label="car" points="1,2"/>\n<tag label="day"/>')
    assert codes(dataset)[:1] == ["shape-left-out"]
    assert "tag-left-out" in codes(dataset)
    assert (
        any("box" in finding.message for finding in dataset.findings if finding.is_error)
        or len(codes(dataset)) == 3
    )
    kept = cvat(root, '<points label="car" points="1,2"/><box label="car" xtl="1" ytl="2" xbr="3" ybr="4"/>')
    assert codes(kept) == ["shape-left-out"] and len(boxes(kept)) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<annotations><track id='0'/></annotations>", "cvat-video"),
        ("<annotations><image>", "xml-syntax"),
        ("<annotations><image name='none.jpg'/></annotations>", "picture-missing"),
    ],
)
def test_files_of_cvat_without_a_picture(text: str, code: str, root: Path) -> None:
    (root / "annotations.xml").write_text(text)
    with pytest.raises(UserFilesError) as caught:
        read_dataset(root, "cvat")
    assert code in [finding.code for finding in caught.value.findings]


def test_the_subset_of_cvat_names_the_folder(root: Path) -> None:
    write_image(root / "validation/a.jpg", 20, 10)
    (image,) = cvat(root, "", 'name="a.jpg" subset="Validation"').images
    assert (image.path, image.subset) == (root / "validation/a.jpg", "val")


# ---- Label Studio


def studio(root: Path, *results: Any, **task: Any) -> DetectionDataset:
    body = {
        "data": {"image": "/data/upload/1/0123abcd-a.jpg"},
        "annotations": [{"result": list(results)}],
        **task,
    }
    (root / "export.json").write_text(json.dumps([body]))
    return read_dataset(root, "label-studio")


def rectangle(**value: Any) -> dict[str, Any]:
    given = {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["car"], **value}
    return {"type": "rectanglelabels", "value": given}


@pytest.mark.parametrize(
    ("result", "corners"),
    [
        (rectangle(), (20, 20, 80, 60)),
        (rectangle(rotation=360), (20, 20, 80, 60)),
        (rectangle(rotation=90), (-20, 20, 20, 80)),
        (rectangle(rotation=180), (-40, -20, 20, 20)),
        ({"type": "polygonlabels", "value": {"points": [[10, 20], [50, 30], [20, 90]], "polygonlabels": ["car"]}},
         (20, 20, 100, 90)),
        ({"type": "ellipselabels", "value": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["car"]}},
         (80, 30, 120, 70)),
        ({"type": "ellipselabels",
          "value": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 40, "rotation": 90, "ellipselabels": ["car"]}},
         (60, 30, 140, 70)),
        ({"type": "labels", "value": {"x": 0, "y": 0, "width": 100, "height": 100, "labels": ["car"]}}, (0, 0, 200, 100)),
    ],
)  # fmt: skip
def test_shapes_of_label_studio(result: Any, corners: tuple[float, ...], root: Path) -> None:
    dataset = studio(root, result)
    is_ellipse = result["type"] == "ellipselabels"
    assert (boxes(dataset), codes(dataset)) == ([("car", *corners)], ["shape-box"] if is_ellipse else [])


def test_two_labels_of_label_studio_are_two_objects(root: Path) -> None:
    dataset = studio(root, rectangle(rectanglelabels=["car", "van"]))
    assert [box[0] for box in boxes(dataset)] == ["car", "van"]
    assert dataset.classes == ("car", "van")


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (rectangle(x="left"), ["label-studio-box"]),
        (rectangle(height=None), ["label-studio-box"]),
        (
            {"type": "polygonlabels", "value": {"points": [[1, 2], [3]], "polygonlabels": ["car"]}},
            ["label-studio-box"],
        ),
        (
            {"type": "ellipselabels", "value": {"x": 1, "y": 2, "radiusX": 3, "ellipselabels": ["car"]}},
            ["label-studio-box"],
        ),
        ({"type": "rectangle", "value": {"x": 1}}, ["shape-left-out", "picture-without-boxes"]),
        ({"type": "choices", "value": {"choices": ["day"]}}, ["tag-left-out", "no-boxes"]),
        ({"type": "brushlabels", "value": {"rle": []}}, ["brush-left-out"]),
    ],
)
def test_results_of_label_studio_without_a_box(result: Any, found: list[str], root: Path) -> None:
    dataset = studio(root, result)
    assert (boxes(dataset), codes(dataset)) == ([], found)


def test_a_shape_that_is_left_out_is_reported(root: Path) -> None:
    point = {"type": "keypointlabels", "value": {"x": 1, "y": 2, "keypointlabels": ["car"]}}
    found = codes(studio(root, point))
    assert found[0] == "shape-left-out" and len(found) == 2  # and that no box is left
    assert codes(studio(root, point, rectangle())) == ["shape-left-out"]


def test_a_rotated_box_and_a_polygon_of_label_studio_say_what_they_lose(root: Path) -> None:
    dataset = studio(root, rectangle(rotation=30), rectangle(rotation=30))
    (finding,) = dataset.findings
    assert (finding.code, finding.message) == (
        "box-rotated",
        "only the upright bounding box of 2 rotated boxes is used",
    )
    polygon = {
        "type": "polygonlabels",
        "value": {"points": [[10, 20], [50, 30], [20, 90]], "polygonlabels": ["car"]},
    }
    (box,) = studio(root, polygon).images[0].boxes
    assert box.segmentation == [[20, 20, 100, 30, 40, 90]]


@pytest.mark.parametrize(
    ("more", "found", "x"),
    [
        ([], [], 100),
        ([{"result": [rectangle(x=60)]}], ["annotations-differ"], 100),
        ([{"result": []}], ["annotations-differ"], 100),
        ([{"id": 8, "result": [{**rectangle(x=50), "id": "other"}]}], ["annotation-chosen"], 100),
        ([{"result": [rectangle(x=60)], "ground_truth": True}], ["annotation-chosen"], 120),
    ],
)
def test_one_of_several_annotations_is_chosen_only_where_nothing_is_lost(
    more: list[Any], found: list[str], x: float, root: Path
) -> None:
    annotations = [{"was_cancelled": True, "result": [rectangle(x=0)]}, {"result": [rectangle(x=50)]}, *more]
    dataset = studio(root, annotations=annotations)
    assert (boxes(dataset), codes(dataset)) == ([("car", x, 20, x + 60, 60)], found)


def test_a_shape_and_its_label_are_one_object(root: Path) -> None:
    shape = {"x": 10, "y": 20, "width": 30, "height": 40}
    labelled = {"id": "q", "type": "labels", "value": {**shape, "labels": ["car"]}}
    dataset = studio(root, {"id": "q", "type": "rectangle", "value": shape}, labelled)
    assert (boxes(dataset), codes(dataset)) == ([("car", 20, 20, 80, 60)], [])
    without = studio(root, {"id": "r", "type": "rectangle", "value": shape}, labelled)
    assert (boxes(without), codes(without)) == ([("car", 20, 20, 80, 60)], ["shape-left-out"])


def packed(pixels: bytes) -> list[int]:
    """A mask as Label Studio's brush packs it: RGBA, here in runs of at most 256."""
    values = b"".join(bytes([0, 0, 0, one]) for one in pixels)
    bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{length - 1:04b}" for length in (3, 4, 8, 16))
    for at in range(0, len(values), 200):
        part = values[at : at + 200]
        if len(set(part)) == 1:
            bits += f"110{len(part) - 1:08b}{part[0]:08b}"
        else:
            bits += f"010{len(part) - 1:08b}" + "".join(f"{one:08b}" for one in part)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def test_a_brush_of_label_studio_becomes_its_box(root: Path) -> None:
    pixels = bytearray(200 * 100)
    for y in range(30, 41):
        pixels[y * 200 + 50 : y * 200 + 71] = b"\xff" * 21
    brush = {"type": "brushlabels", "value": {"format": "rle", "rle": packed(pixels), "brushlabels": ["car"]}}
    dataset = studio(root, brush)
    assert (boxes(dataset), codes(dataset)) == ([("car", 50, 30, 71, 41)], ["mask-box"])


@pytest.mark.parametrize(("rle", "says"), [
    ([], "end early"), ([1, 2], "end early"), ("x", "not bytes"), ([999], "not bytes"), (packed(b"\1" * 9), "another size"),
    (packed(bytes(200 * 100)), "is empty"), (packed(b"\1" * (200 * 100))[:-9], "end early"),
])  # fmt: skip
def test_a_brush_that_cannot_be_read_stops(rle: Any, says: str, root: Path) -> None:
    dataset = studio(root, {"type": "brushlabels", "value": {"rle": rle, "brushlabels": ["car"]}})
    (finding,) = dataset.findings
    assert (finding.code, finding.is_error) == ("brush-left-out", True)
    assert says in finding.message


def test_tasks_of_label_studio_without_annotations(root: Path) -> None:
    predictions = [{"result": [rectangle()]}]
    with pytest.raises(UserFilesError) as caught:
        studio(root, annotations=[], predictions=predictions)
    (finding,) = [one for one in caught.value.findings if one.code == "only-predictions"]
    assert finding.message == "1 task of 1 has predictions of a model only"
    dataset = studio(root, annotations=[], predictions=[])
    assert (codes(dataset), len(dataset.images)) == (["label-missing", "no-boxes"], 1)
    dataset = studio(root, annotations=[{"was_cancelled": True, "result": []}])
    assert codes(dataset) == ["label-missing", "no-boxes"]
    assert codes(studio(root, rectangle(), predictions=predictions)) == []


@pytest.mark.parametrize(
    "address",
    ["a.jpg", "/data/upload/1/a.jpg", "https://host/x/a.jpg?token=1", "/data/local-files/?d=some/where/a.jpg",
     "s3://bucket/0123abcd-a.jpg"],
)  # fmt: skip
def test_addresses_of_label_studio(address: str, root: Path) -> None:
    dataset = studio(root, rectangle(), data={"image": address})
    assert boxes(dataset) == [("car", 20, 20, 80, 60)]


def test_the_short_export_of_label_studio(root: Path) -> None:
    task = {"image": "/data/upload/1/0123abcd-a.jpg", "id": 3, "tags": [], "label": [rectangle()["value"]]}
    (root / "export.json").write_text(json.dumps([task]))
    assert boxes(read_dataset(root, "label-studio")) == [("car", 20, 20, 80, 60)]


# ---- VoTT


def vott(root: Path, *regions: Any, **asset: Any) -> DetectionDataset:
    body = {"asset": {"path": "file:/home/x/a.jpg", "name": "a.jpg", **asset}, "regions": list(regions)}
    (root / "x-asset.json").write_text(json.dumps(body))
    return read_dataset(root, "vott")


BOUNDS = {"left": 1, "top": 2, "width": 10, "height": 20}


@pytest.mark.parametrize(
    ("region", "found"),
    [
        ({"tags": ["car", "van"], "boundingBox": BOUNDS}, [("car", 1, 2, 11, 22), ("van", 1, 2, 11, 22)]),
        ({"tags": ["car"], "points": [{"x": 5, "y": 6}, {"x": 1, "y": 9}, {"x": 7, "y": 2}]}, [("car", 1, 2, 7, 9)]),
        ({"tags": ["car"], "boundingBox": {**BOUNDS, "left": "x"}, "points": [{"x": 5, "y": 6}, {"x": 8, "y": 9}]},
         [("car", 5, 6, 8, 9)]),
    ],
)  # fmt: skip
def test_regions_of_vott(region: Any, found: list[tuple[object, ...]], root: Path) -> None:
    dataset = vott(root, region)
    assert (boxes(dataset), codes(dataset)) == (found, [])


@pytest.mark.parametrize(
    "region",
    [
        {"tags": [], "boundingBox": BOUNDS},
        {"tags": "car", "boundingBox": BOUNDS},
        {"tags": ["car"]},
        {"tags": ["car"], "points": []},
        {"tags": ["car"], "points": [{"x": 1, "y": 2}, {"x": 1}]},
        "odd",
    ],
)
def test_broken_regions_of_vott(region: Any, root: Path) -> None:
    dataset = vott(root, region)
    assert (boxes(dataset), codes(dataset)) == ([], ["vott-region"])


def test_an_asset_of_vott_without_its_picture(root: Path) -> None:
    with pytest.raises(UserFilesError) as caught:
        vott(root, path="none.jpg", name="")
    assert "picture-missing" in [finding.code for finding in caught.value.findings]
    dataset = vott(root, path="none.jpg", name="a.jpg")
    assert [image.path.name for image in dataset.images] == ["a.jpg"]


def test_the_export_of_vott_beats_its_assets(root: Path) -> None:
    vott(root, {"tags": ["old"], "boundingBox": BOUNDS})
    asset = {"asset": {"path": "a.jpg"}, "regions": [{"tags": ["new"], "boundingBox": BOUNDS}]}
    body = {"assets": {"1": asset, "2": {"odd": 1}, "3": 7}, "tags": [{"name": "unused"}, {"odd": 1}, "odd"]}
    (root / "all-export.json").write_text(json.dumps(body))
    dataset = read_dataset(root, "vott")
    assert (boxes(dataset), dataset.classes) == ([("new", 1, 2, 11, 22)], ("unused", "new"))


# ---- WIDER FACE


def wider(root: Path, text: str) -> DetectionDataset:
    write_image(root / "b.jpg", 50, 60)
    (root / "wider_face_train_bbx_gt.txt").write_text(text)
    return read_dataset(root, "wider-face")


def test_faces(root: Path) -> None:
    dataset = wider(
        root, "a.jpg\n2\n1 2 10 20 1 0 0 1 2 0\n5 5 5 5 0 0 0 0 0 0\n\nb.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n"
    )
    assert boxes(dataset) == [("face", 1, 2, 11, 22), ("face", 5, 5, 10, 10)]
    assert boxes(dataset, "b.jpg") == []
    first, second = dataset.images[0].boxes
    assert first.extra == {"attributes": {"blur": 1, "invalid": 1, "occlusion": 2}}
    assert (second.extra, first.line, second.line) == (None, 3, 4)
    assert (codes(dataset), dataset.classes) == ([], ("face",))
    assert {image.subset for image in dataset.images} == {"train"}


def test_a_picture_without_faces_may_lack_its_line_of_zeros(root: Path) -> None:
    dataset = wider(root, "a.jpg\n1\n1 2 3 4\nb.jpg\n0\na.jpg\n1\n5 5 5 5\n")
    assert [len(image.boxes) for image in dataset.images] == [1, 0, 1]


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("b.jpg\nmany\n", 4),
        ("odd\n1\n", 4),
        ("b.jpg\n", 4),
        ("b.jpg\n1\n1 2 3\n", 6),
        ("b.jpg\n1\n1 2 x 4\n", 6),
    ],
)
def test_broken_lines_of_wider_face(end: str, line: int, root: Path) -> None:
    dataset = wider(root, f"a.jpg\n1\n1 2 3 4\n{end}")
    assert boxes(dataset) == [("face", 1, 2, 4, 6)]
    assert [one.line for one in dataset.findings if one.code == "wider-face-line"] == [line]


def test_a_face_in_a_picture_that_is_missing(root: Path) -> None:
    dataset = wider(root, "a.jpg\n1\n1 2 3 4\nnone.jpg\n1\n1 2 3 4\n")
    assert len(dataset.images) == 1 and dataset.findings[0].line == 4


@pytest.mark.parametrize(
    ("text", "is_list"),
    [
        ("a.jpg\n1\n1 2 3 4\n", True),
        ("\ufeffa.jpg\n0\n0 0 0 0 0\n", True),
        ("a.jpg\n1\n", False),
        ("odd\n1\n1 2 3 4\n", False),
        ("a.jpg\nx\n1 2 3 4\n", False),
        ("a.jpg\n1\n1 2 3\n", False),
        ("a.jpg\n1\n1 2 3 x\n", False),
    ],
)
def test_what_is_a_list_of_faces(text: str, is_list: bool, root: Path) -> None:
    (root / "list.txt").write_text(text)
    assert wider_face.recognise(Folder(root)) == is_list


def test_the_polygon_of_vott_is_kept(root: Path) -> None:
    points = [{"x": 1, "y": 2}, {"x": 11, "y": 2}, {"x": 5, "y": 22}]
    (box,) = vott(root, {"tags": ["car"], "boundingBox": BOUNDS, "points": points}).images[0].boxes
    assert box.segmentation == [[1, 2, 11, 2, 5, 22]]
    square = [{"x": x, "y": y} for x, y in ((1, 2), (11, 2), (11, 22), (1, 22))]
    (box,) = vott(root, {"tags": ["car"], "boundingBox": BOUNDS, "points": square}).images[0].boxes
    assert box.segmentation is None
