"""Findings from the headers and the names of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.datasets.checks.classes import ClassNeeds
from taorunner.datasets.checks.image_facts import read_image_facts
from taorunner.datasets.checks.image_files import (
    duplicate_findings,
    file_findings,
    grayscale_findings,
    name_findings,
)
from taorunner.datasets.files.image_header import FIRST_BYTES
from taorunner.errors import Severity


def names(*files: str) -> list[tuple[str, str]]:
    return [(one.code, one.file.name if one.file else "") for one in name_findings(Path("/d"), files)]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["a.jpg", "b.jpg"], []),
        (["a b.jpg"], [("image-name", "a b.jpg")]),
        (["ä.jpg"], [("image-name", "ä.jpg")]),
        (["a.jpg", "a.png"], [("stem-collision", "a.png"), ("mixed-extensions", "a.png")]),
        (["a.jpg", "b.png", "c.png"], [("mixed-extensions", "a.jpg")]),
        (["a.JPG"], [("extension-case", "a.JPG")]),
    ],
)
def test_names(files: list[str], found: list[tuple[str, str]]) -> None:
    assert names(*files) == found


def test_grayscale_images() -> None:
    grays = [Path("/d/a.jpg")]
    assert list(grayscale_findings([], 3)) == []
    (some,) = grayscale_findings(grays, 2)
    assert (some.severity, some.message) == (
        Severity.WARNING, "1 of 2 images are grayscale, the others are in colour",
    )  # fmt: skip
    (whole,) = grayscale_findings(grays, 1)
    assert (whole.severity, whole.message, whole.file) == (
        Severity.INFO,
        "all 1 images are grayscale",
        Path("/d"),
    )


def test_the_same_image_twice(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c", "d")]
    for path, text in zip(paths, ("x", "x", "y", "x"), strict=True):
        path.write_text(text)
    a, b, c, d = paths
    gone = tmp_path / "gone"
    same = [("train", a), ("train", b), ("train", c), ("val", d), ("val", gone)]
    found = list(duplicate_findings({1: same, 2: [("train", a)]}))
    assert [(one.code, one.severity, one.file) for one in found] == [
        ("image-twice", Severity.WARNING, b),
        ("same-image-in-subsets", Severity.ERROR, d),
    ]


def test_a_file_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    (found,) = file_findings(tmp_path / "a.jpg", read_image_facts(tmp_path / "a.jpg"))
    assert (found.severity, found.hint) == (Severity.ERROR, "replace the image, or delete it and its label")


@pytest.mark.parametrize("size", [FIRST_BYTES - 1, FIRST_BYTES, FIRST_BYTES + 1, 3 * FIRST_BYTES])
def test_the_end_of_small_and_large_files_is_seen(tmp_path: Path, size: int) -> None:
    """A file that ends within the first bytes is read once."""
    sound = bmp_of(size)
    for name, data in (("a", sound), ("b", sound), ("c", sound[:-1] + b"x"), ("d", sound[:-1])):
        (tmp_path / name).write_bytes(data)
    a, b, c, d = (read_image_facts(tmp_path / name) for name in "abcd")
    assert (a.problem, a.ends == b.ends, a.ends == c.ends) == (None, True, False)
    assert (d.problem_code, d.ends == a.ends) == ("image-truncated", False)


def bmp_of(size: int) -> bytes:
    """A BMP that states its size."""
    header = b"BM" + size.to_bytes(4, "little") + bytes(8) + (40).to_bytes(4, "little")
    header += (8).to_bytes(4, "little") * 2 + b"\1\0\x18\0"
    return header.ljust(size, b"\0")


def test_the_smallest_box_that_is_left_at_the_size_of_the_network() -> None:
    needs = ClassNeeds(Path("s"), input_size=(960, 540))
    assert needs.smallest_box((1920, 1080)) == 8
    assert needs.smallest_box((960, 1080)) == 4
    assert needs.smallest_box((480, 540)) == 2
    assert ClassNeeds(Path("s")).smallest_box((480, 540)) == 0
