"""Which mask belongs to which image, in the layouts of public datasets."""

from __future__ import annotations

import pytest

from taorunner.datasets.files.mask_pairs import find_pairs


@pytest.mark.parametrize(
    ("image", "mask", "key"),
    [
        ("images/val/a.jpg", "masks/val/a.png", ("val", "a")),
        ("val/image/a.jpg", "val/label/a.png", ("val", "a")),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", ("train", "a")),
        ("JPEGImages/in/a.jpg", "SegmentationClassPNG/in/a.png", ("train", "a")),
        ("test/a.png", "testannot/a.png", ("test", "a")),
        ("train/a.jpg", "train_masks/a_mask.png", ("train", "a")),
        ("valid/a.jpg", "valid/a_mask.png", ("val", "a")),
        ("images_prepped_test/a.png", "annotations_prepped_test/a.png", ("test", "a")),
        ("images/image_0001.png", "masks/gt_0001.png", ("train", "image_0001")),
        ("leftImg8bit/val/b/a_leftImg8bit.png", "gtFine/val/b/a_gtFine_labelTrainIds.png", ("val", "a")),
    ],
)  # fmt: skip
def test_an_image_and_its_mask(image: str, mask: str, key: tuple[str, str]) -> None:
    found = find_pairs([mask, image])
    assert (found.images, found.masks, found.other) == ({key: [image]}, {key: [mask]}, [])
    assert found.are_most


def test_subsets_and_names_are_kept_apart() -> None:
    found = find_pairs(["train/a.png", "trainannot/a.png", "val/a.png", "valannot/a.png"])
    assert sorted(found.images) == sorted(found.masks) == [("train", "a"), ("val", "a")]


def test_what_belongs_to_nothing_stays_visible() -> None:
    """Not as a pair, and not lost."""
    found = find_pairs(["images/a.jpg", "images/b.jpg", "masks/c.png", "preview/a.jpg"])
    assert found.images == {("train", "a"): ["images/a.jpg"], ("train", "b"): ["images/b.jpg"]}
    assert found.masks == {("train", "c"): ["masks/c.png"]}
    assert found.other == ["preview/a.jpg"]
    assert not found.are_most


@pytest.mark.parametrize(
    "paths", [["mask/a.jpg", "no_mask/b.jpg"], ["cat/a.jpg", "dog/a.jpg"], ["a.jpg", "b.jpg"]]
)
def test_classes_are_no_masks(paths: list[str]) -> None:
    assert not find_pairs(paths).are_most
