"""A dataset becomes what a network reads: converted, with train and val, copies of one image together."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from source_datasets import CLASSES, make_source, save_image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.files.output_folders import Way, need_room
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.transform.for_network import Wish, lay_out_for_network
from taorunner.errors import MachineError, UserFilesError, has_errors

BOXES = ("coco", "yolo", "voc", "kitti")


@pytest.mark.parametrize("form", ["coco", "kitti", "odvg"])
@pytest.mark.parametrize("kind", BOXES)
def test_boxes_of_each_format_become_each_form(kind: str, form: str, tmp_path: Path) -> None:
    counts = make_source(kind, tmp_path / "source")
    made = lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish(form))
    assert made.format == kind
    assert made.is_split
    assert made.subsets["train"] + made.subsets["val"] == 24
    assert 4 <= made.subsets["val"] <= 6
    lower = {name.lower(): count for name, count in counts.items()}
    assert {name.lower(): count for name, count in made.classes.items()} == lower
    again = read_dataset(tmp_path / "out", form)
    assert Counter(image.subset for image in again.images) == Counter(made.subsets)
    assert {name.lower(): count for name, count in again.boxes_per_class().items()} == lower
    assert not has_errors(check_dataset(tmp_path / "out").findings)


def test_a_split_of_its_own_is_kept(tmp_path: Path) -> None:
    make_source("voc", tmp_path / "source")
    for subset, numbers in (("train", range(15)), ("val", range(15, 24))):
        (tmp_path / f"two/{subset}/images").mkdir(parents=True)
        (tmp_path / f"two/{subset}/labels").mkdir()
        for number in numbers:
            save_image(tmp_path / f"two/{subset}/images/{number}.png", number)
            line = "bolt 0.00 0 0.00 1.00 2.00 30.00 40.00 0.00 0.00 0.00 0.00 0.00 0.00 0.00\n"
            (tmp_path / f"two/{subset}/labels/{number}.txt").write_text(line)
    made = lay_out_for_network(tmp_path / "two", tmp_path / "out", Wish("coco", val=0.5))
    assert not made.is_split
    assert dict(made.subsets) == {"train": 15, "val": 9}


def test_nearly_the_same_images_come_into_one_subset(tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source", images=30)
    images = tmp_path / "source/images"
    pairs = [(f"a{number:03}", f"a{number + 15:03}") for number in range(10)]
    for first, second in pairs:  # the second becomes the first in another encoding
        with Image.open(images / f"{first}.jpg") as image:
            image.save(images / f"{second}.jpg", quality=60)
    made = lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("coco", val=0.4))
    assert made.copies == 10
    subset_of = {path.stem: path.parent.parent.name for path in (tmp_path / "out").rglob("*.jpg")}
    assert len(subset_of) == 30
    assert {subset_of[first] == subset_of[second] for first, second in pairs} == {True}
    assert set(subset_of.values()) == {"train", "val"}


@pytest.mark.parametrize("kind", ["polygons", "masks"])
def test_masks_and_outlines_become_masks(kind: str, tmp_path: Path) -> None:
    counts = make_source(kind, tmp_path / "source")
    made = lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("segmentation"))
    assert sum(made.subsets.values()) == 24
    values: set[int] = set()
    for subset in ("train", "val"):
        masks = sorted((tmp_path / "out/masks" / subset).iterdir())
        images = sorted((tmp_path / "out/images" / subset).iterdir())
        assert [path.stem for path in masks] == [path.stem for path in images]
        for path in masks:
            with Image.open(path) as mask:
                values |= {value for _, value in mask.getcolors() or ()}
    assert values == {0, 1, 2, 3}
    if kind == "polygons":
        assert made.outlined
        assert dict(made.classes) == counts
        assert (tmp_path / "out/classes.txt").read_text().split() == ["background", *CLASSES]


def test_an_outline_is_drawn_at_its_place_and_smaller_ones_lie_on_top(tmp_path: Path) -> None:
    from taorunner.datasets.model.annotations import Box, ImageEntry
    from taorunner.datasets.writers.class_masks import mask_values, write_mask

    small = Box("nut", 2, 2, 4, 4, segmentation=[[2, 2, 4, 2, 4, 4, 2, 4]])
    large = Box("bolt", 0, 0, 8, 8, segmentation=[[0, 0, 8, 0, 8, 8, 0, 8]])
    image = ImageEntry(tmp_path / "a.jpg", 12, 10, (small, large))
    drawn, findings = write_mask(image, mask_values(["bolt", "nut"]), tmp_path / "a.png")
    assert (drawn, findings) == (Counter(bolt=1, nut=1), [])
    with Image.open(tmp_path / "a.png") as mask:
        assert [mask.getpixel(at) for at in ((0, 0), (3, 3), (6, 6), (11, 9))] == [1, 2, 1, 0]


def test_boxes_without_outlines_are_no_masks(tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source")
    with pytest.raises(UserFilesError) as refused:
        lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("segmentation"))
    (found,) = refused.value.as_findings()
    assert found.code == "outline-missing"
    assert found.message.endswith(
        "has boxes (coco) without outlines, and this network trains on masks, or outlines of objects"
    )
    assert os.listdir(tmp_path) == ["source"]


def test_class_folders_are_split_and_every_class_is_in_both(tmp_path: Path) -> None:
    counts = make_source("folders", tmp_path / "source")
    made = lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("classification"))
    assert dict(made.classes) == dict(sorted(counts.items()))
    for subset in ("train", "val"):
        assert sorted(path.name for path in (tmp_path / "out" / subset).iterdir()) == sorted(CLASSES)
    assert (tmp_path / "out/classes.txt").read_text().split() == sorted(CLASSES)


def test_a_class_of_one_image_cannot_be_in_both_subsets(tmp_path: Path) -> None:
    make_source("folders", tmp_path / "source")
    save_image(tmp_path / "source/rare/one.jpg", "one")
    with pytest.raises(UserFilesError) as refused:
        lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("classification"))
    assert [finding.code for finding in refused.value.findings] == ["class-set-differs"]
    assert '"rare"' in refused.value.findings[0].message
    assert os.listdir(tmp_path) == ["source"]


@pytest.mark.parametrize(
    ("kind", "form", "said"),
    [
        ("folders", "coco", "this network trains on boxes"),
        ("masks", "classification", "a folder of images for each class"),
        ("coco", "classification", "has boxes (coco)"),
    ],
)
def test_a_dataset_of_another_form_is_refused(kind: str, form: str, said: str, tmp_path: Path) -> None:
    make_source(kind, tmp_path / "source")
    with pytest.raises(UserFilesError, match=said.replace("(", r"\(").replace(")", r"\)")):
        lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish(form))
    assert os.listdir(tmp_path) == ["source"]


def test_images_are_linked_copied_or_referred_to(tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source")
    for way in Way:
        lay_out_for_network(tmp_path / "source", tmp_path / way.value, Wish("coco", way=way))
        image = next((tmp_path / way.value).rglob("a000.jpg"))
        original = tmp_path / "source/images/a000.jpg"
        assert image.read_bytes() == original.read_bytes()
        assert image.is_symlink() == (way is Way.REFER)
        assert (image.stat().st_ino == original.stat().st_ino) == (way is not Way.COPY)


def test_kitti_images_get_the_suffix_of_most(tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source")
    document = (tmp_path / "source/annotations.json").read_text()
    for number in range(3):
        path = tmp_path / f"source/images/a{number:03}.jpg"
        with Image.open(path) as image:
            image.save(path.with_suffix(".png"))
        path.unlink()
        document = document.replace(f"a{number:03}.jpg", f"a{number:03}.png")
    (tmp_path / "source/annotations.json").write_text(document)
    made = lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("kitti"))
    assert {path.suffix for path in (tmp_path / "out").glob("*/images/*")} == {".jpg"}
    said = [finding.message for finding in made.findings if finding.code == "extensions-mixed"]
    assert said == ["3 images saved as .jpg, as TAO reads one extension of a dataset: 21 .jpg, 3 .png"]
    with Image.open(next((tmp_path / "out").rglob("a001.jpg"))) as image:
        assert image.format == "JPEG"


def test_a_bad_box_stops_unless_it_may_be_left_out(tmp_path: Path) -> None:
    make_source("kitti", tmp_path / "source")
    label = tmp_path / "source/labels/a003.txt"
    label.write_text(label.read_text() + "bolt 0.00 0 0.00 50 50 20 20 0 0 0 0 0 0 0\n")
    with pytest.raises(UserFilesError) as refused:
        lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("coco"))
    assert "box-inverted" in {finding.code for finding in refused.value.findings}
    made = lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("coco", skip_bad=True))
    assert "box-inverted" in {finding.code for finding in made.findings}


@pytest.mark.parametrize("form", ["coco", "segmentation"])
def test_images_without_a_box_are_nothing_to_train_on(form: str, tmp_path: Path) -> None:
    make_source("polygons", tmp_path / "source")
    file = tmp_path / "source/annotations.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    with pytest.raises(UserFilesError, match="has a box: nothing can be learnt"):
        lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish(form))
    assert os.listdir(tmp_path) == ["source"]


def test_too_few_images_for_two_subsets(tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source", images=1)
    with pytest.raises(UserFilesError, match="too few: none is left for"):
        lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish("coco"))


@pytest.mark.parametrize("kind", ["coco", "masks"])
@pytest.mark.parametrize("images", [2, 3])
def test_few_images_are_enough_for_two_subsets(kind: str, images: int, tmp_path: Path) -> None:
    make_source(kind, tmp_path / "source", images=images)
    form = {"coco": "coco", "masks": "segmentation"}[kind]
    made = lay_out_for_network(tmp_path / "source", tmp_path / "out", Wish(form))
    assert made.subsets["train"] + made.subsets["val"] == images
    assert made.subsets["val"] >= 1


@pytest.fixture
def small_disk(mount: Callable[[str], Path]) -> Path:
    return mount("size=64k")


@pytest.mark.parametrize("kind", ["coco", "folders", "polygons"])
def test_a_full_disk_is_seen_before_anything_is_written(kind: str, tmp_path: Path, small_disk: Path) -> None:
    make_source(kind, tmp_path / "source")
    form = {"coco": "coco", "folders": "classification", "polygons": "segmentation"}[kind]
    with pytest.raises(MachineError, match=r"copies of the images need .* of 64\.0 KiB free"):
        lay_out_for_network(tmp_path / "source", small_disk / "out", Wish(form))
    assert os.listdir(small_disk) == []


def test_links_need_no_room_and_copies_do(tmp_path: Path) -> None:
    """A file with holes is larger than any disk and takes no room itself."""
    with (tmp_path / "vast.jpg").open("wb") as file:
        file.truncate(1 << 43)
    for way in (Way.LINK, Way.REFER):
        need_room([tmp_path / "vast.jpg"], tmp_path / "out", way)
    with pytest.raises(MachineError, match=r"copies of the images need 8\.0 TiB"):
        need_room([tmp_path / "vast.jpg"], tmp_path / "out", Way.COPY)
