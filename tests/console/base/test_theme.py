import io

import pytest
from pretended_terminal import Terminal
from rich.text import Text

from taorunner.console.base.theme import (
    ASCII,
    PIPE_WIDTH,
    UNICODE,
    can_draw,
    is_plain,
    make_console,
    symbols_of,
)


def written(stream, environ):
    make_console(stream, environ).print(Text("hello", style="state.failed"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Terminal(), {"TERM": "xterm"}, "\x1b[1;31mhello\x1b[0m\n"),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, "\x1b[1mhello\x1b[0m\n"),
        (Terminal(), {"TERM": "dumb"}, "hello\n"),
        (io.StringIO(), {"TERM": "xterm"}, "hello\n"),
        (io.StringIO(), {"TERM": "xterm", "FORCE_COLOR": "1"}, "\x1b[1;31mhello\x1b[0m\n"),
    ],
)
def test_colour_only_where_it_is_wanted(stream, environ, expected):
    assert written(stream, environ) == expected


def test_only_a_real_terminal_is_drawn_on():
    assert can_draw(make_console(Terminal(), {"TERM": "xterm"}))
    assert not can_draw(make_console(Terminal(), {"TERM": "dumb"}))
    assert not can_draw(make_console(io.StringIO(), {"TERM": "xterm", "FORCE_COLOR": "1"}))
    closed = io.StringIO()
    closed.close()
    assert not can_draw(make_console(closed, {}))


@pytest.mark.parametrize(
    ("columns", "width"), [({}, PIPE_WIDTH), ({"COLUMNS": "77"}, 77), ({"COLUMNS": "x"}, PIPE_WIDTH)]
)
def test_pipes_are_wide_by_default(columns, width):
    assert make_console(io.StringIO(), columns).width == width


@pytest.mark.parametrize(
    ("stream", "environ", "plain"),
    [
        (io.StringIO(), {}, True),
        (io.StringIO(), {"FORCE_COLOR": "1"}, False),
        (io.StringIO(), {"TTY_COMPATIBLE": "1"}, False),
        (Terminal(), {}, False),
    ],
)
def test_a_pipe_is_plain_unless_colour_is_forced(stream, environ, plain):
    assert is_plain(stream, environ) == plain


@pytest.mark.parametrize(
    ("text", "width"),
    [("0", PIPE_WIDTH), ("1", 1), ("9999", 9999), ("10000", PIPE_WIDTH), ("-5", PIPE_WIDTH)],
)
def test_a_width_that_cannot_be_is_not_used(text, width):
    assert make_console(io.StringIO(), {"COLUMNS": text}).width == width


def test_markup_and_emoji_codes_are_text():
    stream = io.StringIO()
    make_console(stream, {}).print("[bold]x[/bold] :smile: 12")
    assert stream.getvalue() == "[bold]x[/bold] :smile: 12\n"


def test_what_the_encoding_lacks_becomes_a_question_mark():
    raw = io.BytesIO()
    console = make_console(io.TextIOWrapper(raw, encoding="latin-1"), {})
    console.print(Text("müde 警"))
    console.file.flush()
    assert raw.getvalue() == b"m\xfcde ?\n"
    assert symbols_of(console) is ASCII
    assert symbols_of(make_console(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), {})) is UNICODE
