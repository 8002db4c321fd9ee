"""Files of a dataset's folder, and images that annotations name in another way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from shapes import write_image

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.formats.folder import Folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("train/a.jpg", "val/a.jpg", "images/two words.png", "one.jpg"):
        write_image(tmp_path / name, 40, 30)
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "beside", "found"),
    [
        ("one.jpg", "", "one.jpg"),
        ("a.jpg", "train/labels.json", "train/a.jpg"),
        ("../val/a.jpg", "train/labels.json", "val/a.jpg"),
        ("/home/somebody/data/val/a.jpg", "", "val/a.jpg"),
        ("file:///x/two%20words.png", "", "images/two words.png"),
        ("C:\\data\\train\\a.jpg", "", "train/a.jpg"),
        ("a.jpg", "annotations/instances_val.json", "val/a.jpg"),
        ("a.jpg", "labels.json", None),
        ("none.jpg", "", None),
        ("", "", None),
    ],
)
def test_images_by_what_annotations_call_them(
    reference: str, beside: str, found: str | None, root: Path
) -> None:
    assert Folder(root).image_file(reference, beside) == (None if found is None else root / found)


def test_an_image_outside_needs_an_absolute_path(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = write_image(tmp_path_factory.mktemp("outside") / "far.jpg", 10, 10)
    folder = Folder(root)
    assert folder.image_file(str(outside)) == outside
    assert folder.image_file(os.path.relpath(outside, root)) is None


def test_the_place_of_a_value_in_json(root: Path) -> None:
    (root / "a.json").write_text('{"a": [1,\n  {"b": "x"}],\n "c": 3}')
    folder = Folder(root)
    assert folder.json("a.json") == {"a": [1, {"b": "x"}], "c": 3}
    assert folder.json_place("a.json", ("a", 1, "b")) == (2, 9)
    assert folder.json_place("a.json", ("c",)) == (3, 7)
    assert folder.json_place("unread.json", ("c",)) == (1, 1)


def test_what_is_no_json_is_reported_once(root: Path) -> None:
    (root / "bad.json").write_text('{"a": \n oops}')
    (root / "deep.json").write_text("[" * 200_000)
    folder = Folder(root)
    for _ in range(2):
        assert folder.json("bad.json") is None and folder.json("deep.json") is None
    assert [(one.code, one.line, one.column) for one in folder.findings] == [
        ("json-syntax", 2, 2),
        ("json-syntax", None, None),
    ]


def test_helpers() -> None:
    assert bounding_box([(3, 4), (1, 9), (5, 2)]) == (1, 2, 5, 9)
    assert [number(value) for value in ("1.5", 2, "x", None, True, "nan", "inf")] == [
        1.5,
        2,
        None,
        None,
        None,
        None,
        None,
    ]
    assert [subset_of(path) for path in ("train/x", "validation/x", "images/valid/x", "other/x", "instances_val.json")] == [
        "train", "val", "val", "", "val",
    ]  # fmt: skip


def test_hidden_files_and_those_of_archives_of_a_mac_are_none_of_the_dataset(root: Path) -> None:
    for name in (
        "__MACOSX/train/._a.jpg",
        "train/__MACOSX/b.jpg",
        ".hidden/c.jpg",
        "train/.d.jpg",
        "__MACOSX2/e.jpg",
    ):
        write_image(root / name, 40, 30)
    assert sorted(Folder(root).files) == [
        "__MACOSX2/e.jpg", "images/two words.png", "one.jpg", "train/a.jpg", "val/a.jpg",
    ]  # fmt: skip
