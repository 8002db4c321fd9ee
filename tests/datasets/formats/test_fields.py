"""Single fields: what a writer makes of a number, what a reader keeps beyond the box, and the place of each fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shapes import write_image

from taorunner.datasets.formats.kitti import line_of
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import Box, KittiFields


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"), (-0.0, "0"), (-0.00004, "0"), (-0.00006, "-0.0001"), (10.0, "10"), (1.5, "1.5"),
        (2.34567, "2.3457"), (100.0, "100"), (-3.0, "-3"), (1e6, "1000000"),
    ],
)  # fmt: skip
def test_a_number_of_kitti_has_no_more_than_it_needs(value: float, written: str) -> None:
    assert line_of(Box("car", value, 1, 2, 3), "bus") == f"bus 0 0 0 {written} 1 2 3 0 0 0 0 0 0 0\n"


def test_every_column_of_kitti_is_written_and_read_back(tmp_path: Path) -> None:
    fields = KittiFields(0.25, 2, -1.5, (1, 2, 3), (-4, 5, 6), 0.5)
    line = line_of(Box("car", 1, 2, 30, 25, fields), "car")
    assert line == "car 0.25 2 -1.5 1 2 30 25 1 2 3 -4 5 6 0.5\n"
    write_image(tmp_path / "images/a.jpg", 40, 30)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text(f"\n{line}traffic light 0 0 0 1 2 3 4 0 0 0 0 0 0 0 0.75\n")
    (image,) = read_dataset(tmp_path).images
    assert image.boxes == (
        Box("car", 1, 2, 30, 25, fields, line=2), Box("traffic light", 1, 2, 3, 4, score=0.75, line=3),
    )  # fmt: skip


def odvg(root: Path, *lines: Any) -> list[tuple[str, str, int | None, int | None]]:
    """Code, message and place of what is found in these lines, which are JSON unless they are texts."""
    write_image(root / "images/a.jpg", 40, 30)
    good = {"file_name": "a.jpg", "detection": {"instances": []}}
    texts = [line if isinstance(line, str) else json.dumps(line) for line in (good, *lines)]
    (root / "lines.jsonl").write_text("".join(f"{text}\n" for text in texts))
    found = read_dataset(root).findings
    assert all(one.file == root / "lines.jsonl" for one in found)
    return [(one.code, one.message, one.line, one.column) for one in found]


NEEDS = 'an instance needs "bbox" of four numbers and a known label ({})'


@pytest.mark.parametrize(
    ("instance", "is_read"),
    [
        ({"bbox": [1, 2, 3, 4], "category": "car"}, True),
        ({"bbox": [1, 2, 3, 4, 5], "category": "car"}, False),
        ({"bbox": [1, 2, 3], "category": "car"}, False),
        ({"bbox": [1, 2, 3, "x"], "category": "car"}, False),
        ({"bbox": [1, 2, 3, 4, "x"], "category": "car"}, False),
        ({"bbox": "1234", "category": "car"}, False),
        ({"bbox": [1, 2, 3, 4], "category": 7}, False),
        ({"bbox": [1, 2, 3, 4], "label": 7}, False),
        ({"bbox": [1, 2, 3, 4], "label": "7"}, False),
        ("text", False),
        (None, False),
    ],
)
def test_an_instance_of_odvg_is_read_or_reported_at_its_line(
    instance: Any, is_read: bool, tmp_path: Path
) -> None:
    found = odvg(tmp_path, {"file_name": "a.jpg", "detection": {"instances": [instance]}})
    message = NEEDS.format(str(instance)[:60])
    assert found == ([] if is_read else [("odvg-instance", message, 2, 1)])


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("{", "json-syntax", 2),
        ([], "odvg-line", 1),
        ({"file_name": 3}, "odvg-line", 1),
        ({"file_name": "a.jpg"}, "odvg-line", 1),
        ({"file_name": "a.jpg", "detection": {"instances": {}}}, "odvg-line", 1),
        ({"file_name": "a.jpg", "detection": []}, "odvg-line", 1),
        ({"file_name": "a.jpg", "grounding": {}}, "odvg-grounding", 1),
        ({"file_name": "b.jpg", "detection": {"instances": []}}, "picture-missing", 1),
    ],
)
def test_a_line_of_odvg_that_cannot_be_read_has_its_place(
    line: Any, code: str, column: int, tmp_path: Path
) -> None:
    assert [(found[0], *found[2:]) for found in odvg(tmp_path, line)] == [(code, 2, column)]


def voc(root: Path, fields: str, bounds: str = "") -> Path:
    corners = bounds or "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>25</ymax>"
    write_image(root / "a.jpg", 40, 30)
    (root / "a.xml").write_text(
        f"<annotation>\n<filename>a.jpg</filename>\n<object>\n<name>car</name>\n"
        f"<bndbox>{corners}</bndbox>\n{fields}</object>\n</annotation>\n"
    )
    return root


@pytest.mark.parametrize(
    ("fields", "extra"),
    [
        ("", {}),
        ("<difficult>0</difficult><pose>Unspecified</pose><truncated> </truncated>", {}),
        ("<difficult>1</difficult><pose> Left </pose>", {"difficult": "1", "pose": "Left"}),
        (
            "<part><name> wheel </name><bndbox><xmin>1</xmin></bndbox></part><part><name>door</name></part>",
            {"part": [{"name": "wheel", "bndbox": {"xmin": "1"}}, {"name": "door"}]},
        ),
    ],
)
def test_what_voc_says_beyond_the_box_is_kept(fields: str, extra: dict[str, Any], tmp_path: Path) -> None:
    (image,) = read_dataset(voc(tmp_path, fields)).images
    (box,) = image.boxes
    assert (box.name, box.x_min, box.y_min, box.x_max, box.y_max, box.line) == ("car", 1, 2, 30, 25, 3)
    assert dict(box.extra or {}) == extra


@pytest.mark.parametrize(
    ("points", "outline"),
    [
        ((1, 2, 3, 4, 5, 6), [[1, 2, 3, 4, 5, 6]]),
        ((1, 2, 3, 4), None),
        ((1, 2, 3, 4, 5, 6, 7), None),
        ((1, 2, 3, 4, 5, "x"), None),
        ((1, 2, 3, 4, 5, 6, "x"), None),
    ],
)
def test_an_outline_of_voc_has_at_least_three_points(
    points: tuple[object, ...], outline: list[list[float]] | None, tmp_path: Path
) -> None:
    text = "".join(f"<p{number}>{point}</p{number}>" for number, point in enumerate(points))
    (image,) = read_dataset(voc(tmp_path, f"<polygon>{text}</polygon>")).images
    assert image.boxes[0].segmentation == outline


@pytest.mark.parametrize(
    ("bounds", "message", "column"),
    [
        (
            "<xmin>1</xmin><ymin>x</ymin><xmax>3</xmax><ymax>4</ymax>",
            'ymin is "x", which is not a number',
            23,
        ),
        ("<xmin>1</xmin><ymin>2</ymin><xmax>3</xmax>", 'ymax is "", which is not a number', 1),
    ],
)
def test_a_corner_of_voc_that_is_no_number_has_its_place(
    bounds: str, message: str, column: int, tmp_path: Path
) -> None:
    (found,) = read_dataset(voc(tmp_path, "", bounds)).findings
    assert (found.code, found.message, found.file) == ("voc-number", message, tmp_path / "a.xml")
    assert (found.line, found.column) == (5, column)


@pytest.mark.parametrize("above", ["images/", ""])
def test_a_listed_image_of_yolo_without_a_label_file_is_a_background(above: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.jpg", 40, 30)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    place = tmp_path if above else tmp_path / "images"
    (place / "train.txt").write_text(f"{above}a.jpg\n\n{above}b.jpg\n{above}c.jpg\n")
    listing = (place / "train.txt").relative_to(tmp_path)
    (tmp_path / "data.yaml").write_text(f"train: {listing}\nnames: [car]\n")
    found = read_dataset(tmp_path)
    assert {image.path.name: len(image.boxes) for image in found.images} == {"a.jpg": 1, "b.jpg": 0}
    missing = [(one.code, one.file, one.line) for one in found.findings if one.is_error]
    assert missing == [("picture-missing", place / "train.txt", 4)]
