"""Pairs of images and masks: what is missing, sizes, modes, and values that a network does not read."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from taorunner.datasets.checks.classes import ClassNeeds
from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.files.mask_reading import MaskReading
from taorunner.errors import Finding, Severity


def mask(path: Path, values: Sequence[Any], mode: str = "L", size: tuple[int, int] = (8, 6)) -> Path:
    """A mask that has each of the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, values[0])
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    image.save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two subsets with three pairs each; masks hold 0 and 1."""
    for number, subset in enumerate(("train", "val")):
        for index in range(3):
            image = Image.new("RGB", (8, 6), (number * 90, index * 60, 5))
            path = tmp_path / "images" / subset / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.putpixel((number, index), (255, 255, 255))
            image.save(path)
            mask(tmp_path / "masks" / subset / f"{index}.png", (0, 1))
    return tmp_path


def needs(reading: MaskReading | None = None, num_classes: int | None = None) -> ClassNeeds:
    return ClassNeeds(Path("train.yaml"), num_classes=num_classes, masks=reading)


def found(data: Path, *wants: ClassNeeds, deep: bool = False) -> list[Finding]:
    return [
        one
        for one in check_dataset(data, needs=wants, deep=deep).findings
        if one.code.startswith(("mask", "image"))
    ]


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.code, one.file.name if one.file else "") for one in findings]


def test_a_clean_dataset(data: Path) -> None:
    report = check_dataset(data)
    assert [(part.name, part.images) for part in report.subsets] == [("train", 3), ("val", 3)]
    assert (report.kind, codes(found(data)), codes(found(data, needs(num_classes=2), deep=True))) == (
        "segmentation",
        [],
        [],
    )


def test_one_of_a_pair_that_is_missing(data: Path) -> None:
    (data / "masks/train/0.png").unlink()
    (data / "images/val/1.png").unlink()
    assert codes(found(data)) == [("image-without-mask", "0.png"), ("mask-without-image", "1.png")]


def test_sizes_modes_and_broken_files(data: Path) -> None:
    mask(data / "masks/train/0.png", (0, 1), size=(6, 8))
    mask(data / "masks/train/1.png", ((0, 0, 0), (1, 1, 1)), mode="RGB")
    (data / "masks/train/2.png").write_text("x")
    first, second, third = found(data)
    assert (first.code, first.message) == ("mask-size", "the mask is 6x8, its image 8x6")
    assert (second.code, second.message) == ("mask-mode", "the mask is png with 3 channels of 8 bits")
    assert third.file == data / "masks/train/2.png"


@pytest.mark.parametrize(("num_classes", "is_found"), [(8, True), (9, False), (None, False)])
def test_values_that_are_no_class_are_found_when_all_pixels_are_read(
    num_classes: int | None, is_found: bool, data: Path
) -> None:
    mask(data / "masks/val/2.png", (0, 8))
    assert found(data, needs(num_classes=num_classes)) == []
    expected = [("mask-value", "2.png")] if is_found else []
    findings = found(data, needs(num_classes=num_classes), needs(num_classes=100), deep=True)
    assert codes(findings) == expected
    if is_found:
        assert findings[0].message == "the mask has the value 8, but num_classes is 8"


def test_a_mask_that_cannot_be_decoded(data: Path) -> None:
    path = data / "masks/val/2.png"
    whole = path.read_bytes()
    place = whole.index(b"IDAT") + 6
    path.write_bytes(whole[:place] + b"\xff\xff" + whole[place + 2 :])
    assert codes(found(data)) == []
    assert ("image-undecodable", "2.png") in codes(found(data, needs(num_classes=2), deep=True))


LISTED = MaskReading("dataset.palette", (((0,), 0), ((1,), 1)))


def test_values_that_the_spec_does_not_list(data: Path) -> None:
    mask(data / "masks/train/1.png", (0, 1, 7, 9, 3, 4, 5))
    (finding,) = found(data, needs(LISTED))
    assert codes([finding]) == [("mask-value", "1.png")]
    assert finding.message == (
        'masks have 3, 4, 5, 7 and 1 other values, which "dataset.palette" does not list: those pixels become class 0 '
        "(first here; 3 masks of 3 read)"
    )
    assert finding.hint == '"dataset.palette" must list the values in the masks, one entry for each'


def test_masks_in_which_there_is_nothing_to_learn(data: Path) -> None:
    for subset in ("train", "val"):
        for index in range(3):
            mask(data / f"masks/{subset}/{index}.png", (0,))
    first, second = found(data, needs(LISTED))
    assert (first.code, first.file) == ("mask-background", data / "masks/train")
    assert first.message == "every pixel of 3 masks is read as class 0: there is nothing to learn"
    assert second.file == data / "masks/val"
    only_background = MaskReading("dataset.palette", (((0,), 0),))
    assert found(data, needs(only_background)) == []


@pytest.mark.parametrize(
    ("reading", "values", "hint"),
    [
        (MaskReading("p", (((0,), 0), ((1,), 1)), is_normed=True, norm_key="norm", norm_word="x"), (0, 1),
         "the masks hold class numbers, and norm divides them by 255: remove it"),
        (MaskReading("p", (((0,), 0), ((1,), 1)), norm_key="norm", norm_word="grayscale"), (0, 255),
         "set norm to grayscale, which maps 255 to 1"),
        (MaskReading("p", (((0, 0, 0), 0), ((9, 0, 0), 1))), (0, 1),
         "the masks are grayscale: list their values, such as [0], [1], instead of colours"),
        (MaskReading("p", (((0,), 0), ((5,), 1)), norm_key="norm", norm_word="grayscale"), (0, 255),
         '"p" must list the values in the masks, one entry for each'),
    ],
)  # fmt: skip
def test_the_hint_names_what_to_set(
    reading: MaskReading, values: tuple[int, ...], hint: str, data: Path
) -> None:
    for subset in ("train", "val"):
        for index in range(3):
            mask(data / f"masks/{subset}/{index}.png", values)
    assert {one.hint for one in found(data, needs(reading))} == {hint}


def test_of_many_masks_a_part_is_read_until_something_is_learnt(tmp_path: Path) -> None:
    for index in range(60):
        path = tmp_path / "images" / f"{index:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6), (index * 4, 0, 0)).save(path)
        mask(tmp_path / "masks" / f"{index:02}.png", (0, 1) if index == 1 else (0,))
    assert found(tmp_path, needs(LISTED)) == []  # the only one with a class is not in the sample
    mask(tmp_path / "masks/00.png", (0, 1))
    mask(tmp_path / "masks/01.png", (0, 7))
    assert found(tmp_path, needs(LISTED)) == []
    (finding,) = found(tmp_path, needs(LISTED), deep=True)
    assert finding.message.endswith("(first here; 60 masks of 60 read)")


def test_coloured_masks(data: Path) -> None:
    reading = MaskReading("p", (((0, 0, 0), 0), ((255, 0, 0), 1)))
    for subset in ("train", "val"):
        for index in range(3):
            mask(data / f"masks/{subset}/{index}.png", ((0, 0, 0), (255, 0, 0)), mode="RGB")
    assert found(data, needs(reading)) == []
    mask(data / "masks/train/0.png", ((0, 0, 0), (0, 255, 0)), mode="RGB")
    (finding,) = found(data, needs(reading))
    assert finding.message.startswith('masks have [0, 255, 0], which "p" does not list')


def test_masks_of_test_images_may_be_all_background(data: Path) -> None:
    """The training does not read them."""
    for part in ("images", "masks"):
        shutil.copytree(data / part / "val", data / part / "test")
    for number, file in enumerate(sorted((data / "images/test").iterdir())):
        Image.new("RGB", (8, 6), (7, number, 7)).save(file)
    for file in (data / "masks/test").iterdir():
        mask(file, (0,))
    (finding,) = found(data, needs(LISTED))
    assert (finding.code, finding.severity, finding.file) == (
        "mask-background", Severity.WARNING, data / "masks/test",
    )  # fmt: skip
    assert finding.message.endswith("every pixel of 3 masks is read as class 0: no class is measured there")
