import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from taorunner.console.base.cells import bar, fit, fit_path, pad, percent
from taorunner.console.base.formatting import clean, number
from taorunner.console.base.theme import ASCII, UNICODE


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdcs\x1b\\after", "after"),
        ("a\tb", "a   b"),
        ("a\r\nb\rc", "a b c"),
        ("bell\x07", "bell\ufffd"),
        ("\x9b2J", "\ufffd2J"),
        ("right\u202eleft", "right\ufffdleft"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
    ],
)
def test_clean_text_cannot_drive_the_terminal(raw, shown):
    assert clean(raw) == shown


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.integers(0, 60), st.sampled_from([UNICODE, ASCII]))
def test_fitted_text_is_never_too_wide_nor_dirty(text, width, symbols):
    for fitted in (fit(text, width, symbols), fit_path(text, width, symbols)):
        assert cell_len(fitted) <= width
        assert all(char.isprintable() for char in fitted)


def test_the_end_of_a_path_stays():
    assert fit_path("nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt", 16, UNICODE) == "…olkit:5.5.0-pyt"
    assert fit("abcdefgh", 4, ASCII) == "ab.."
    assert fit("警告警告", 5, UNICODE) == "警告…"


def test_padding_counts_cells():
    assert (pad("警", 4), pad("7", 3, right=True), pad("long", 2)) == ("警  ", "  7", "long")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.43118, "0.4312"),
        (0.5, "0.5000"),
        (1.0, "1.0000"),
        (12.346, "12.35"),
        (1234.56, "1235"),
        (80, "80.00"),
        (0.0, "0.0000"),
        (-0.25, "-0.2500"),
        (0.00001234, "1.23e-05"),
        (1e9, "1.00e+09"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (10, "10.00"),
        (9.0, "9.000"),
        (-10.0, "-10.00"),
    ],
)
def test_numbers_have_the_digits_that_matter(value, shown):
    assert number(value) == shown


def test_percent_says_100_only_at_the_end():
    assert [percent(f) for f in (None, 0.0, 0.999, 1.0, 2.0)] == ["    ", "  0%", " 99%", "100%", "100%"]


def test_a_bar_is_readable_without_colour():
    assert bar(0.5, 4, UNICODE).plain == "━━──"
    assert bar(0.625, 4, UNICODE).plain == "━━╸─"
    assert bar(None, 4, UNICODE).plain == "────"
    assert bar(7.0, 4, ASCII).plain == "===="
    assert bar(-1.0, 4, ASCII).plain == "----"
