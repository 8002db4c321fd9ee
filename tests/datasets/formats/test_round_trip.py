"""Every format as a tool writes it, to KITTI, to COCO, to KITTI: nothing is lost and nothing moves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shapes import CLASSES, IMAGES, SHAPES, write_image

from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.transform.convert import Conversion, convert
from taorunner.datasets.writers.tao_formats import TARGETS

Facts = dict[tuple[str, str], tuple[int, int, list[tuple[str, tuple[float, ...]]]]]


def facts_of(folder: Path, names: dict[str, str]) -> Facts:
    """(subset, stem) to size and boxes, read back."""
    return {
        (image.subset, image.path.stem): (
            image.width,
            image.height,
            sorted((names.get(b.name, b.name), (b.x_min, b.y_min, b.x_max, b.y_max)) for b in image.boxes),
        )
        for image in read_dataset(folder).images
    }


def wanted(subsets: bool) -> Facts:
    return {
        (subset if subsets else "", Path(name).stem): (
            width,
            height,
            sorted((n.lower().replace(" ", "_"), tuple(corners)) for n, *corners in boxes),
        )
        for name, (subset, width, height, boxes) in IMAGES.items()
    }


def assert_same(found: Facts, meant: Facts) -> None:
    assert found.keys() == meant.keys()
    for key, (width, height, boxes) in meant.items():
        assert found[key][:2] == (width, height), key
        assert [name for name, _ in found[key][2]] == [name for name, _ in boxes], key
        for (_, corners), (_, meant_corners) in zip(found[key][2], boxes, strict=True):
            assert corners == pytest.approx(meant_corners, abs=0.01), key


@pytest.mark.parametrize("shape", SHAPES)
def test_a_dataset_goes_to_kitti_to_coco_and_back(shape: str, tmp_path: Path) -> None:
    format_name, write, subsets = SHAPES[shape]
    source = tmp_path / "source"
    write(source)
    first = convert(source, tmp_path / "kitti", to="kitti")
    second = convert(tmp_path / "kitti", tmp_path / "coco", to="coco")
    third = convert(tmp_path / "coco", tmp_path / "again", to="kitti")
    assert first.format == format_name
    assert [one.format for one in (second, third)] == ["kitti", "coco"]
    assert [(one.images_before, one.images_after, one.backgrounds) for one in (first, second, third)] == [
        (6, 6, 2)
    ] * 3
    assert [dict(+one.after) for one in (first, second, third)] == [
        {"car": 2, "traffic_light": 2, "person": 2}
    ] * 3
    for folder in ("kitti", "coco", "again"):
        assert_same(facts_of(tmp_path / folder, {}), wanted(subsets))
    again = {
        path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()
    }
    assert again == {
        path.relative_to(tmp_path / "kitti") for path in (tmp_path / "kitti").rglob("*") if path.is_file()
    }
    errors = [finding for finding in (*first.findings, *second.findings, *third.findings) if finding.is_error]
    assert errors == []


@pytest.mark.parametrize("to", ["coco", "odvg"])
def test_class_names_stay_as_they_are_where_tao_reads_them(to: str, tmp_path: Path) -> None:
    SHAPES["cvat"][1](tmp_path / "source")
    done = convert(tmp_path / "source", tmp_path / "made", to=to)
    assert [(c.name, c.written, c.before) for c in done.classes] == [(name, name, 2) for name in CLASSES]
    assert read_dataset(tmp_path / "made").classes == CLASSES


def test_kitti_keeps_its_own_columns_and_loses_the_sixteenth(tmp_path: Path) -> None:
    SHAPES["kitti-16"][1](tmp_path / "source")
    convert(tmp_path / "source", tmp_path / "made", to="kitti")
    text = (tmp_path / "made/train/labels/one.txt").read_text()
    assert (
        text
        == "car 0.5 1 -1.57 10 8 30.5 28.25 1 2 3 4 5 6 0.1\nperson 0.5 1 -1.57 1 2 9 40 1 2 3 4 5 6 0.1\n"
    )
    assert (tmp_path / "made/train/labels/empty.txt").read_text() == ""


def test_coco_is_written_with_all_that_tao_wants(tmp_path: Path) -> None:
    SHAPES["coco-flat-id-0"][1](tmp_path / "source")
    convert(tmp_path / "source", tmp_path / "made", to="coco")
    document = json.loads((tmp_path / "made/annotations.json").read_text())
    assert document["categories"] == [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)]
    assert document["images"][0] == {"id": 1, "file_name": "one.jpg", "width": 64, "height": 48}
    assert document["annotations"][0] == {
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [10.0, 8.0, 20.5, 20.25], "area": 415.125, "iscrowd": 0,
    }  # fmt: skip
    assert (tmp_path / "made/label_map.txt").read_text().splitlines() == list(CLASSES)


def test_images_are_linked_not_copied(tmp_path: Path) -> None:
    SHAPES["vott"][1](tmp_path / "source")
    done: Conversion = convert(tmp_path / "source", tmp_path / "made", to="kitti")
    assert dict(done.placed) == {"hard links": 6}
    assert (tmp_path / "made/images/three.a.jpg").samefile(tmp_path / "source/three.a.JPG")


@pytest.mark.parametrize("to", ["yolo", "voc", "vott"])
@pytest.mark.parametrize("shape", ["coco", "coco-flat-id-0"])
def test_what_is_written_for_a_tool_is_read_back_the_same(shape: str, to: str, tmp_path: Path) -> None:
    _, write, subsets = SHAPES[shape]
    write(tmp_path / "source")
    first = convert(tmp_path / "source", tmp_path / "made", to=to)
    second = convert(tmp_path / "made", tmp_path / "kitti", to="kitti")
    assert (first.target, second.format) == (to, to)
    assert [(one.images_after, one.backgrounds) for one in (first, second)] == [(6, 2)] * 2
    assert read_dataset(tmp_path / "made").classes == CLASSES
    assert_same(facts_of(tmp_path / "kitti", {}), wanted(subsets))
    assert [f for one in (first, second) for f in one.findings if f.is_error] == []


def test_names_that_a_format_cannot_hold_are_reported(tmp_path: Path) -> None:
    """A line break in a list of names, a control character in XML: the class stays one class."""
    root = tmp_path / "source"
    write_image(root / "a.jpg", 40, 30)
    names = ["two\nlines", "bell\x07", "a & <b>", 'say "hi"', "#1: x"]
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "category_id": i, "bbox": [i, 1, 5, 5]} for i in range(5)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
    }
    (root / "a.json").write_text(json.dumps(document))
    for to, first in (("yolo", ["two_lines", "bell_"]), ("voc", ["two_lines", "bell_"]), ("vott", names[:2])):
        convert(root, tmp_path / to, to=to)
        (image,) = read_dataset(tmp_path / to).images
        assert [box.name for box in image.boxes] == [*first, *names[2:]], to


def test_two_parts_with_images_of_one_name_stay_apart(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "val")):
        write_image(tmp_path / f"source/{part}/images/a.jpg", 40 + number, 30)
        label = tmp_path / f"source/{part}/labels/a.txt"
        label.parent.mkdir()
        label.write_text(f"car 0 0 0 {number} 1 20 20 0 0 0 0 0 0 0\n")
    for to in ("yolo", "voc", "vott", "coco", "odvg"):
        convert(tmp_path / "source", tmp_path / to, to=to)
        found = [
            (i.subset, i.width, [round(b.x_min, 3) for b in i.boxes])
            for i in read_dataset(tmp_path / to).images
        ]
        assert sorted(found) == [("train", 40, [0.0]), ("val", 41, [1.0])], to


def test_outlines_survive_where_the_format_has_them_and_are_reported_where_not(tmp_path: Path) -> None:
    root = tmp_path / "source"
    write_image(root / "a.jpg", 40, 30)
    outline = [[1, 1, 20, 1, 20, 15.5]]
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 19, 14.5], "segmentation": outline}],
        "categories": [{"id": 1, "name": "car"}],
    }
    (root / "a.json").write_text(json.dumps(document))
    kept = {}
    for to in [one for one in TARGETS if one != "panoptic"]:  # which is not read: test_panoptic
        done = convert(root, tmp_path / to, to=to)
        kept[to] = read_dataset(tmp_path / to).images[0].boxes[0].segmentation
        codes = [finding.code for finding in done.findings]
        assert codes == ([] if to in ("coco", "odvg", "yolo", "voc") else ["outlines-lost"]), to
    assert kept.pop("coco") == kept.pop("odvg") == kept.pop("voc") == outline
    assert [round(value, 3) for value in kept.pop("yolo")[0]] == outline[0]
    assert set(kept.values()) == {None}
    written = json.loads((tmp_path / "coco/annotations.json").read_text())["annotations"][0]
    assert written["area"] == 137.75
