"""Formats of the extra: read through panlabel, written here. The files are as the tools write them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from shapes import IMAGES, write_image

from taorunner.datasets.formats import others
from taorunner.datasets.formats.recognise import NAMED
from taorunner.datasets.transform.convert import convert
from taorunner.errors import UserFilesError


def labelme(root: Path) -> None:
    """One file an image, in folders of subsets; a background image has an empty list."""
    for name, (subset, width, height, boxes) in IMAGES.items():
        write_image(root / subset / name, width, height)
        shapes = [{"label": n, "points": [[a, b], [c, d]], "shape_type": "rectangle", "flags": {}}
                  for n, a, b, c, d in boxes]  # fmt: skip
        value = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": name, "imageData": None,
                 "imageHeight": height, "imageWidth": width}  # fmt: skip
        (root / subset / f"{Path(name).stem}.json").write_text(json.dumps(value))


def create_ml(root: Path) -> None:
    """One file for all, boxes by their middle."""
    rows = []
    for name, (_, width, height, boxes) in IMAGES.items():
        write_image(root / name, width, height)
        rows.append({"image": name, "annotations": [
            {"label": n, "coordinates": {"x": (a + c) / 2, "y": (b + d) / 2, "width": c - a, "height": d - b}}
            for n, a, b, c, d in boxes
        ]})  # fmt: skip
    (root / "_annotations.createml.json").write_text(json.dumps(rows))


@pytest.mark.parametrize(("name", "write", "subsets"), [
    ("labelme", labelme, {"train": 4, "val": 2}), ("create-ml", create_ml, {"": 6}),
])  # fmt: skip
def test_what_another_tool_wrote_becomes_kitti(
    name: str, write: object, subsets: object, tmp_path: Path
) -> None:
    write(tmp_path / "source")  # type: ignore[operator]
    done = convert(tmp_path / "source", tmp_path / "made", to="kitti", from_=name)
    assert (done.format, done.images_after, done.backgrounds, done.subsets) == (name, 6, 2, subsets)
    assert dict(done.after) == {"car": 2, "traffic_light": 2, "person": 2}
    (label,) = (tmp_path / "made").rglob("one.txt")
    assert sorted(label.read_text().splitlines()) == [
        "car 0 0 0 10 8 30.5 28.25 0 0 0 0 0 0 0", "person 0 0 0 1 2 9 40 0 0 0 0 0 0 0",
    ]  # fmt: skip


def test_what_cannot_be_read_is_reported_with_the_programs_word(tmp_path: Path) -> None:
    write_image(tmp_path / "source/a.jpg", 40, 30)
    (tmp_path / "source/a.json").write_text("{")
    with pytest.raises(UserFilesError, match="panlabel reads no superannotate in") as caught:
        convert(tmp_path / "source", tmp_path / "made", to="kitti", from_="superannotate")
    assert "a.json" in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_file_for_each_subset_is_read_beside_its_images(tmp_path: Path) -> None:
    """Both have one name, and so have their images."""
    for number, subset in enumerate(("train", "valid")):
        write_image(tmp_path / f"source/{subset}/a.jpg", 60 + number, 40)
        (tmp_path / f"source/{subset}/_annotations.csv").write_text(f"a.jpg,1,2,{10 + number},20,car\n")
    done = convert(tmp_path / "source", tmp_path / "made", to="kitti", from_="retinanet")
    assert done.subsets == {"train": 1, "val": 1}
    labels = {path.parts[-3]: path.read_text().split()[6] for path in (tmp_path / "made").rglob("a.txt")}
    assert labels == {"train": "10", "val": "11"}


def test_one_bad_file_is_not_left_out_silently(tmp_path: Path) -> None:
    labelme(tmp_path / "source")
    (tmp_path / "source/train/one.json").write_text("{")
    with pytest.raises(UserFilesError, match="something would be lost") as caught:
        convert(tmp_path / "source", tmp_path / "made", to="kitti", from_="labelme")
    errors = [(f.code, f.file.name if f.file else "") for f in caught.value.findings if f.is_error]
    assert errors == [("json-syntax", "one.json")]


def test_an_image_that_nothing_names_is_a_background(tmp_path: Path) -> None:
    create_ml(tmp_path / "source")
    write_image(tmp_path / "source/val/more.jpg", 40, 30)
    done = convert(tmp_path / "source", tmp_path / "made", to="kitti", from_="create-ml")
    assert (done.images_after, done.backgrounds) == (7, 3)
    assert [f.file.name for f in done.findings if f.code == "label-missing" and f.file] == ["more.jpg"]


def test_without_the_program_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "_PROGRAM", "panlabel-that-is-not-there")
    with pytest.raises(UserFilesError) as caught:
        convert(tmp_path, tmp_path.with_name("made"), to="kitti", from_="create-ml")
    assert caught.value.hint == "pip install 'taorunner[formats]'"


def test_the_names_are_those_of_the_program() -> None:
    done = subprocess.run([others._program("x"), "list-formats"], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    theirs = {words[0] for words in lines if words[1:3] == ["yes", "yes"]}
    assert set(others.NAMES) <= theirs
    assert theirs - set(NAMED) <= {"ir-json", "vott-json"}
