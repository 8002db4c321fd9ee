"""What is written to a terminal: a small emulator shows the same as a whole frame would."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from taorunner.console.base.theme import make_console
from taorunner.console.live.screen import PAUSE_S, LiveScreen


class Emulator:
    """As much of a terminal as is needed: cursor, erasing, scrolling."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows: list[str] = [""] * height
        self.row = self.column = 0
        self.is_cursor_shown = True

    def write(self, text: str) -> None:
        for piece in re.findall(r"\x1b\[\??[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
            self._piece(piece)

    def _piece(self, piece: str) -> None:
        if piece == "\r":
            self.column = 0
        elif piece == "\n":
            self.row += 1
            if self.row == self.height:
                self.rows = [*self.rows[1:], ""]
                self.row -= 1
        elif not piece.startswith("\x1b"):
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = (line[: self.column] + piece + line[self.column + len(piece) :])[
                : self.width
            ]
            self.column = min(self.width - 1, self.column + len(piece))
        elif piece.endswith("A"):
            self.row = max(0, self.row - int(piece[2:-1]))
        elif piece.endswith("B"):
            self.row = min(self.height - 1, self.row + int(piece[2:-1]))
        elif piece == "\x1b[K":
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif piece == "\x1b[J":
            self.rows[self.row] = self.rows[self.row][: self.column]
            self.rows[self.row + 1 :] = [""] * (self.height - self.row - 1)
        elif piece == "\x1b[2J":
            self.rows = [""] * self.height
        elif piece == "\x1b[H":
            self.row = self.column = 0
        elif piece in ("\x1b[?25l", "\x1b[?25h"):
            self.is_cursor_shown = piece.endswith("h")

    @property
    def shown(self) -> list[str]:
        return [row.rstrip() for row in self.rows]


def screen(
    width: int = 20, height: int = 6, answers: TextIO | None = None
) -> tuple[LiveScreen, io.StringIO, Any]:
    stream = io.StringIO()
    console = make_console(stream, {"FORCE_COLOR": "1"})
    console.size = (width, height)
    return LiveScreen(console, answers=answers), stream, console


@pytest.fixture
def in_a_pipe() -> Iterator[Callable[[str], TextIO]]:
    """What is typed, waiting in a pipe."""
    opened: list[TextIO] = []

    def make(text: str) -> TextIO:
        read, write = os.pipe()
        os.write(write, text.encode())
        os.close(write)
        opened.append(os.fdopen(read))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


_frames = st.lists(st.lists(st.text("abc ", max_size=20), min_size=1, max_size=5), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(frames=_frames, start=st.integers(0, 5))
def test_changes_alone_give_the_same_screen(frames: list[list[str]], start: int) -> None:
    live, stream, _ = screen()
    terminal = Emulator(20, 6)
    terminal.write("$ x\r\n" * start)
    for frame in frames:
        live.draw(lambda width, height, frame=frame: [Text(line) for line in frame])
        terminal.write(stream.getvalue())
        stream.seek(0)
        stream.truncate()
        bottom = terminal.row
        lines = [line.rstrip() for line in frame]
        assert terminal.shown[bottom - len(frame) + 1 : bottom + 1] == lines
        assert not any(terminal.shown[bottom + 1 :])
        assert not terminal.is_cursor_shown
    live.leave()
    terminal.write(stream.getvalue())
    assert terminal.is_cursor_shown and terminal.column == 0


def test_a_frame_without_changes_writes_nothing() -> None:
    live, stream, _ = screen()
    live.draw(lambda width, height: [Text("a"), Text("b")])
    size = len(stream.getvalue())
    live.draw(lambda width, height: [Text("a"), Text("b")])
    assert len(stream.getvalue()) == size
    live.draw(lambda width, height: [Text("a"), Text("c")])
    assert "a" not in stream.getvalue()[size:] and "c" in stream.getvalue()[size:]


def test_a_resize_starts_on_a_clean_screen() -> None:
    live, stream, console = screen()
    live.draw(lambda width, height: [Text(f"{width}x{height}")])
    assert "20x5" in stream.getvalue() and not live.is_due()
    console.size = (40, 10)
    assert live.is_due()
    live.draw(lambda width, height: [Text(f"{width}x{height}")])
    assert "\x1b[2J\x1b[H" in stream.getvalue() and "40x9" in stream.getvalue()


def test_a_frame_is_never_higher_than_the_terminal() -> None:
    live, stream, _ = screen(20, 4)
    live.draw(lambda width, height: [Text(str(number)) for number in range(50)])
    assert stream.getvalue().count("\n") == 2


def test_clearing_takes_the_frame_away() -> None:
    live, stream, _ = screen()
    terminal = Emulator(20, 6)
    terminal.write("$ command\r\n")
    live.draw(lambda width, height: [Text("a"), Text("b"), Text("c")])
    live.clear()
    terminal.write(stream.getvalue())
    assert terminal.shown == ["$ command", "", "", "", "", ""]
    assert (terminal.row, terminal.is_cursor_shown) == (1, True)


def test_a_view_that_fails_to_draw_says_so_and_goes_on() -> None:
    live, stream, _ = screen(80, 24)

    def broken(width: int, height: int) -> list[Text]:
        raise ValueError("no such colour")

    live.draw(broken)
    assert "the view cannot be drawn: ValueError: no such colour" in stream.getvalue()
    live.draw(lambda width, height: [Text("fine")])
    assert "fine" in stream.getvalue()


def test_a_slow_frame_is_followed_by_a_longer_pause() -> None:
    clock = [100.0]
    stream = io.StringIO()
    console = make_console(stream, {"FORCE_COLOR": "1"})
    live = LiveScreen(console, clock=lambda: clock[0])
    live.draw(lambda width, height: [Text("a")])
    clock[0] += PAUSE_S
    assert live.is_due()

    def slow(width: int, height: int) -> list[Text]:
        return [Text(str(sum(range(1_000_000))))]

    live.draw(slow)
    clock[0] += PAUSE_S
    assert not live.is_due()
    clock[0] += 1
    assert live.is_due()
    live.hurry()
    assert live.is_due()


def test_colours_only_where_they_are_wanted() -> None:
    stream = io.StringIO()
    live = LiveScreen(make_console(stream, {"FORCE_COLOR": "1", "NO_COLOR": "1"}))
    live.draw(lambda width, height: [Text("x", style="state.failed")])
    assert "\x1b[31m" not in stream.getvalue() and "\x1b[1;31m" not in stream.getvalue()
    stream = io.StringIO()
    live = LiveScreen(make_console(stream, {"FORCE_COLOR": "1"}))
    live.draw(lambda width, height: [Text("x", style="state.failed")])
    assert "\x1b[1;31mx\x1b[0m" in stream.getvalue()


def test_a_question_is_erased_with_its_frame(in_a_pipe: Callable[[str], TextIO]) -> None:
    live, stream, _ = screen(60, 12, in_a_pipe("what\nd\n"))
    terminal = Emulator(60, 12)
    live.draw(lambda width, height: [Text("a"), Text("b")])
    answer = live.prompt("What now?", {"stop": "end", "detach": "leave"}, default="stop", interrupt="detach")
    assert answer == "detach"
    said = stream.getvalue()
    assert '"what" is none of these: stop, detach' in said
    terminal.write(re.sub(r"(> )", r"\1x\r\n", said))  # the terminal echoes what is typed
    assert terminal.shown == [""] * 12


@pytest.mark.parametrize(
    ("typed", "answer"), [("y", "stop"), ("YES", "stop"), ("n", "go on"), ("no", "go on")]
)
def test_a_question_of_yes_and_no_takes_both(
    in_a_pipe: Callable[[str], TextIO], typed: str, answer: str
) -> None:
    live, stream, _ = screen(60, 12, in_a_pipe(f"{typed}\n"))
    choices = {"stop": "end it", "go on": "keep watching"}
    assert live.prompt("Stop it?", choices, default="go on", interrupt="go on", yes="stop") == answer
    assert "none of these" not in stream.getvalue()


def test_another_question_does_not_take_yes(in_a_pipe: Callable[[str], TextIO]) -> None:
    live, stream, _ = screen(60, 12, in_a_pipe("y\n"))
    live.prompt("What now?", {"stop": "end", "detach": "leave"}, default="detach", interrupt="stop")
    assert '"y" is none of these: stop, detach' in stream.getvalue()
