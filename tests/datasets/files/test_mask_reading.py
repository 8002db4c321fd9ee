"""Values of masks, and the classes that a spec gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.files.image_header import ImageHeader
from taorunner.datasets.files.mask_reading import MaskReading, spread, values_in

GRAY = MaskReading("palette", (((0,), 0), ((7,), 1), ((7,), 2)))
COLOURED = MaskReading("palette", (((0, 0, 0), 0), ((255, 0, 0), 1), ((9,), 3)))
NORMED = MaskReading("palette", (((0,), 0), ((1,), 1)), is_normed=True)


def test_the_class_of_a_value() -> None:
    assert [GRAY.class_of((value,)) for value in (0, 7, 8)] == [0, 2, None]
    assert [COLOURED.class_of(value) for value in ((255, 0, 0), (0, 255, 0), (9, 9, 9))] == [1, None, 3]
    assert [NORMED.class_of((value,)) for value in (0, 1, 254, 255)] == [0, 0, 0, 1]
    assert (GRAY.is_coloured, COLOURED.is_coloured, MaskReading("", ()).is_coloured) == (False, True, False)


@pytest.mark.parametrize(
    ("header", "gray", "coloured"),
    [
        (ImageHeader("png", 4, 4, channels=1), True, True),
        (ImageHeader("png", 4, 4, channels=1, bits=1), True, True),
        (ImageHeader("png", 4, 4, channels=1, bits=16), False, False),
        (ImageHeader("png", 4, 4, channels=3), False, True),
        (ImageHeader("png", 4, 4, channels=3, bits=16), False, False),
        (ImageHeader("bmp", 4, 4, channels=1), False, True),
        (ImageHeader("jpeg", 4, 4, channels=1), False, False),
    ],
)
def test_which_masks_can_be_read(header: ImageHeader, gray: bool, coloured: bool) -> None:
    assert (GRAY.takes(header), COLOURED.takes(header)) == (gray, coloured)


@pytest.mark.parametrize(
    ("mode", "colours", "coloured", "values"),
    [
        ("L", (0, 7), False, {(0,), (7,)}),
        ("P", (0, 1), False, {(0,), (1,)}),
        ("1", (0, 1), False, {(0,), (1,)}),
        ("L", (0, 7), True, {(0, 0, 0), (7, 7, 7)}),
        ("RGB", ((1, 2, 3), (4, 5, 6)), True, {(1, 2, 3), (4, 5, 6)}),
    ],
)
def test_the_values_in_a_mask(
    mode: str, colours: tuple[object, ...], coloured: bool, values: set[tuple[int, ...]], tmp_path: Path
) -> None:
    image = Image.new(mode, (2, 1))
    for x, colour in enumerate(colours):
        image.putpixel((x, 0), colour)  # type: ignore[arg-type]
    image.save(tmp_path / "a.png")
    assert values_in(tmp_path / "a.png", coloured=coloured) == values


def test_a_photograph_is_no_mask(tmp_path: Path) -> None:
    for colours in (4096, 4097):
        image = Image.new("RGB", (colours, 1))
        image.putdata([(x % 256, x // 256, 0) for x in range(colours)])
        image.save(tmp_path / f"{colours}.png")
    assert len(values_in(tmp_path / "4096.png", coloured=True)) == 4096
    with pytest.raises(ValueError, match="more than 4096 colours"):
        values_in(tmp_path / "4097.png", coloured=True)


@pytest.mark.parametrize(
    ("count", "most", "chosen"),
    [(0, 3, ""), (3, 3, "abc"), (4, 3, "ac"), (6, 3, "ace"), (7, 3, "adg"), (2, 5, "ab")],
)
def test_names_are_spread_over_the_list(count: int, most: int, chosen: str) -> None:
    assert "".join(spread("abcdefgh"[:count], most)) == chosen  # type: ignore[arg-type]
