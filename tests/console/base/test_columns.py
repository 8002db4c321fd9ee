"""Tables that shrink and drop columns until they fit, and numbers in them."""

from __future__ import annotations

import math

import pytest
from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out, laid_out_plainly
from taorunner.console.base.formatting import clean, looked_at_lines, metric_label, number, of
from taorunner.console.base.theme import ASCII, UNICODE
from taorunner.planning.model.looked_at import LookedAt

COLUMNS = (
    Column("name", shrinks_to=6),
    Column("count", right=True, drop=1),
    Column("note", drop=2),
    Column("never", drop=3),
    Column(""),
)
CELLS = (("a long name", "7", "something", "", "!"), ("b", "12345", "", "", ""))


def lines(width: int, symbols: object = UNICODE) -> list[str]:
    """Both ways of laying out, which agree."""
    rows = [Row(tuple(map(Text, row))) for row in CELLS]
    styled = [line.plain for line in laid_out(COLUMNS, rows, width, symbols)]  # type: ignore[arg-type]
    assert styled == laid_out_plainly(COLUMNS, CELLS, width, symbols)  # type: ignore[arg-type]
    return styled


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (80, ["name         count  note", "a long name      7  something  !", "b            12345"]),
        (32, ["name         count  note", "a long name      7  something  !", "b            12345"]),
        (31, ["name        count  note", "a long na…      7  something  !", "b           12345"]),
        (27, ["name    count  note", "a lon…      7  something  !", "b       12345"]),
        (26, ["name         note", "a long name  something  !", "b"]),
        (19, ["name    note", "a lon…  something  !"[:19], "b"]),
        (12, ["name", "a long n…  !", "b"]),
        (9, ["name", "a lon…  !", "b"]),
        (5, ["name", "a lon", "b"]),
    ],
)
def test_columns_shrink_before_they_are_dropped(width: int, expected: list[str]) -> None:
    found = lines(width)
    assert all(len(line) <= width for line in found)
    if width != 19:
        assert found == expected


def test_a_column_of_alike_texts_loses_its_middle() -> None:
    columns = (Column("model", shrinks_to=9, middle=True),)
    cells = ("/weights/epoch_010.pth", "/weights/epoch_020.pth")
    expected = ["model", "/wei…010.pth", "/wei…020.pth"]
    styled = laid_out(columns, [Row((Text(cell),)) for cell in cells], 12, UNICODE)
    assert [line.plain for line in styled] == expected
    assert laid_out_plainly(columns, [(cell,) for cell in cells], 12, UNICODE) == expected


def test_the_mark_of_a_cut_in_ascii() -> None:
    assert lines(31, ASCII)[1].startswith("a long n..  ")


def test_a_table_without_titles_has_no_head() -> None:
    rows = [Row((Text("x"), Text("y")))]
    columns = (Column(""), Column("", right=True))
    assert [line.plain for line in laid_out(columns, rows, 20, UNICODE)] == ["x  y"]
    assert laid_out_plainly(columns, [("x", "y")], 20, UNICODE) == ["x  y"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "nan"), (-math.inf, "-inf"), (0, "0.0000"), (1, "1.0000"), (9, "9.000"), (10, "10.00"), (-10, "-10.00"),
        (999_999, "999999"), (1e6, "1.00e+06"), (0.5, "0.5000"), (0.001, "0.0010"), (0.00099, "9.90e-04"), (-0.25, "-0.2500"),
        (1.5, "1.500"), (12.345, "12.35"), (1234.5, "1234"), (123456.7, "1.235e+05"), (1.5e6, "1.50e+06"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_small_texts() -> None:
    assert [of(None, 3), of(1, None), of(0, 3)] == ["", "1", "0/3"]
    assert metric_label("val mean average precision") == "val mAP"
    parts = LookedAt("parts", 2, 2, (2412,))
    assert looked_at_lines([parts, LookedAt("yard", 1, 0, ())]) == [
        "parts: 2 experiments, 2 specs, 1 dataset (2,412 images, all checked)", "yard: 1 experiment, 0 specs",
    ]  # fmt: skip
    assert looked_at_lines([LookedAt("p", 2, 3, (10, None))]) == [
        "p: 2 experiments, 3 specs, 2 datasets (10 images checked)"
    ]
    assert looked_at_lines([LookedAt("p", 1, 1, (None,))]) == ["p: 1 experiment, 1 spec, 1 dataset"]
    assert looked_at_lines([parts] * 13) == [
        "13 projects: 26 experiments, 26 specs, 13 datasets (31,356 images, all checked)"
    ]
    assert clean("a\x1b[31mb\tc\r\nd\x1b]0;title\x07e\x07") == "ab  c de\ufffd"
    assert len(clean("x" * 3000)) == 2000
