"""Parts of annotation files that no tool writes: each may hold an object, so that it is named and not passed over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from shapes import SHAPES, asset, write_image

from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import DetectionDataset


def _errors(dataset: DetectionDataset) -> list[str]:
    return [one.code for one in dataset.findings if one.is_error]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<box ", "<boxx "), ("<box ", "<BOX "), ("<image ", "<Image "),
    ],
)  # fmt: skip
def test_elements_of_cvat_under_another_name(old: str, new: str, tmp_path: Path) -> None:
    root = asset("cvat", tmp_path / "drawn")
    (file,) = root.rglob("*.xml")
    text = file.read_text()
    start = text.index(old)
    stop = text.find("/>", start) if text.find("/>", start) < text.find("</", start) else -1
    end = f"</{old[1:].strip()}>"
    if stop < 0 or old == "<image ":
        at = text.index(end, start)
        text = f"{text[:at]}</{new[1:].strip()}>{text[at + len(end) :]}"
    file.write_text(text[:start] + new + text[start + len(old) :])
    assert "cvat-element" in _errors(read_dataset(root, "cvat"))


@pytest.mark.parametrize("tag", ["Object", "objects", "annotation"])
def test_boxes_of_voc_in_another_element(tag: str, tmp_path: Path) -> None:
    root = asset("voc", tmp_path / "drawn")
    file = next(one for one in sorted(root.rglob("*.xml")) if "<object>" in one.read_text())
    text = file.read_text().replace("<object>", f"<{tag}>", 1).replace("</object>", f"</{tag}>", 1)
    file.write_text(text)
    assert _errors(read_dataset(root)) == ["voc-object"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "imagesource:a\n" * 3 + text,
        lambda text: "   imagesource:a\n" + text,
        lambda text: "nothing that is a row\n" + text,
        lambda text: text.replace(".0", "." + "9" * 400, 1),
        lambda text: text.replace(" car 0", "", 1),
    ],
)
def test_labels_of_dota_with_an_odd_beginning(damage: Callable[[str], str], tmp_path: Path) -> None:
    row = "1.0 2.0 9.0 2.0 9.0 8.0 1.0 8.0 car 0\n"
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.png", 40, 30)
        (tmp_path / "labelTxt").mkdir(exist_ok=True)
        text = f"imagesource:x\ngsd:0.1\n{row}{row.replace('1.0', '3.0')}"
        (tmp_path / f"labelTxt/{name}.txt").write_text(damage(text) if name == "a" else text)
    dataset = read_dataset(tmp_path)
    assert len(dataset.images) == 2
    assert sum(len(image.boxes) for image in dataset.images) == 4 or _errors(dataset) == ["dota-line"]


@pytest.mark.parametrize("broken", [b"\0" * 400, '{"images": []}'.encode("utf-32"), b"\x1f\x8b\x08\0"])
@pytest.mark.parametrize("shape", ["coco", "coco-roboflow", "vott-asset-files"])
def test_a_file_of_annotations_that_is_no_json(shape: str, broken: bytes, tmp_path: Path) -> None:
    root = tmp_path / "drawn"
    SHAPES[shape][1](root)
    file = next(one for one in sorted(root.rglob("*.json")) if '"regions": []' not in one.read_text())
    file.write_bytes(broken)
    dataset = read_dataset(root)
    assert {"json-syntax", "not-utf8"} & set(_errors(dataset))
    (unused,) = [one.message for one in dataset.findings if one.code == "picture-unused"]
    assert f'{file.name}" not read' in unused


@pytest.mark.parametrize("broken", [{"value": 7}, {"value": {"rectanglelabels": []}}, {"value": {}}])
def test_a_rectangle_of_label_studio_without_its_value(broken: dict[str, Any], tmp_path: Path) -> None:
    root = asset("label-studio", tmp_path / "drawn")
    (file,) = root.rglob("*.json")
    tasks = json.loads(file.read_text())
    next(one["annotations"][0]["result"] for one in tasks if one["annotations"])[0].update(broken)
    file.write_text(json.dumps(tasks))
    assert _errors(read_dataset(root)) == ["label-studio-box"]


@pytest.mark.parametrize("text", ["[]", "{}", '{"asset": 7, "regions": []}'])
def test_a_file_of_an_asset_without_the_asset(text: str, tmp_path: Path) -> None:
    root = asset("vott-asset-files", tmp_path / "drawn")
    min(root.rglob("*-asset.json")).write_text(text)
    assert _errors(read_dataset(root)) == ["vott-region"]


def test_the_only_label_file_of_a_subset_of_dota_is_broken(tmp_path: Path) -> None:
    for subset in ("train", "val"):
        write_image(tmp_path / subset / "images/a.png", 40, 30)
        (tmp_path / subset / "labelTxt").mkdir()
        text = "1.0 2.0 9.0 2.0 9.0 8.0 1.0 8.0 car 0\n"
        (tmp_path / subset / "labelTxt/a.txt").write_text(text if subset == "train" else "x" + text)
    assert _errors(read_dataset(tmp_path)) == ["dota-line"]


def test_lines_of_odvg_that_are_no_json(tmp_path: Path) -> None:
    root = asset("odvg", tmp_path / "drawn")
    file = root / "val/annotations.jsonl"
    file.write_bytes(file.read_bytes().decode().encode("utf-16-le"))
    assert _errors(read_dataset(root, "odvg")) == ["json-syntax"]


@pytest.mark.parametrize("regions", [[[7]], {"0": "x"}, [None]])
def test_regions_of_the_vgg_annotator_that_are_no_objects(regions: Any, tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", 40, 30)
    entry = {"filename": "a.jpg", "size": 9, "regions": regions, "file_attributes": {}}
    (tmp_path / "via_region_data.json").write_text(json.dumps({"a.jpg9": entry}))
    assert "via-region" in _errors(read_dataset(tmp_path, "via"))


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([7], "datumaro-item"),
        ([{"id": "a", "annotations": {"x": 1}}], "datumaro-annotation"),
        ([{"id": "a", "annotations": [[1]]}], "datumaro-annotation"),
    ],
)
def test_items_of_datumaro_that_are_no_objects(items: list[Any], code: str, tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.jpg", 40, 30)
    write_image(tmp_path / "images/b.jpg", 40, 30)
    value = {"categories": {"label": {"labels": []}}, "items": [*items, {"id": "b", "annotations": []}]}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/default.json").write_text(json.dumps(value))
    assert _errors(read_dataset(tmp_path, "datumaro")) == [code]


def test_a_file_beside_its_image_that_is_not_of_labelme(tmp_path: Path) -> None:
    shape = {"label": "leaf", "points": [[1, 2], [9, 8]], "shape_type": "rectangle"}
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.jpg", 40, 30)
        value: Any = {"shapes": [shape], "imagePath": f"{name}.jpg"}
        (tmp_path / f"{name}.json").write_text(json.dumps([value] if name == "b" else value))
    dataset = read_dataset(tmp_path, "labelme")
    assert _errors(dataset) == ["labelme-file"]
    assert [image.path.name for image in dataset.images] == ["a.jpg"]


def test_an_annotation_file_that_was_never_one_is_only_named(tmp_path: Path) -> None:
    root = asset("coco", tmp_path / "drawn")
    (root / "notes.json").write_text('{"author": "x"}')
    Image.new("RGB", (30, 20)).save(root / "images/train/extra.png")
    dataset = read_dataset(root)
    assert not _errors(dataset)
    (unused,) = [one.message for one in dataset.findings if one.code == "picture-unused"]
    assert unused.endswith('and "notes.json" not read')
    shutil.rmtree(root)
