"""Single keys of a real pseudo terminal, and its settings before and after."""

from __future__ import annotations

import io
import os
import select
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from taorunner.console.live.keyboard import Keyboard, decoded


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO]]:
    """The person's end, and the program's as a stream."""
    master, slave = os.openpty()
    with os.fdopen(slave, "r") as stream:
        yield master, stream
    os.close(master)


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]),
        (b"S", ["s"]),
        (b"\r\n", ["enter", "enter"]),
        (b"\x1b[A\x1bOB\x1b[5~", ["up", "down", "page up"]),
        (b"\x1b", ["esc"]),
        (b"\x1bq", ["esc", "q"]),
        (b"\x7f", ["back"]),
        (b"\x1b[1;5Aq", ["q"]),  # Ctrl and an arrow is no key of ours
        (b"\x1b[200~", []),
        ("é\x00\x01".encode(), []),
        (b"", []),
    ],
)
def test_bytes_become_keys(data: bytes, keys: list[str]) -> None:
    assert decoded(data) == keys


def test_the_settings_come_back(terminal: tuple[int, TextIO]) -> None:
    master, stream = terminal
    before = termios.tcgetattr(stream)
    with Keyboard(stream) as keyboard:
        assert keyboard.is_open
        during = termios.tcgetattr(stream)
        assert not during[3] & (termios.ECHO | termios.ICANON) and during[3] & termios.ISIG
        os.write(master, b"q\x1b[A")
        assert keyboard.read(5) == ["q", "up"]
        assert keyboard.read(0) == []
        keyboard.close()
        assert termios.tcgetattr(stream) == before
        keyboard.open()
        assert termios.tcgetattr(stream) == during
    assert termios.tcgetattr(stream) == before


def test_a_terminal_that_is_had_later_is_opened_by_the_next_read(terminal: tuple[int, TextIO]) -> None:
    """A job that was started in the background may be in the foreground when it asks for keys."""
    master, stream = terminal
    before = termios.tcgetattr(stream)
    keyboard = Keyboard(stream)
    assert (keyboard.is_open, keyboard.read(0), keyboard.is_open) == (False, [], True)
    os.write(master, b"q")
    assert keyboard.read(5) == ["q"]
    keyboard.close()
    assert termios.tcgetattr(stream) == before


def test_the_settings_come_back_after_an_error(terminal: tuple[int, TextIO]) -> None:
    _master, stream = terminal
    before = termios.tcgetattr(stream)
    with pytest.raises(RuntimeError), Keyboard(stream):
        raise RuntimeError
    assert termios.tcgetattr(stream) == before


def test_an_arrow_that_comes_in_pieces_is_one_key(terminal: tuple[int, TextIO]) -> None:
    master, stream = terminal
    with Keyboard(stream) as keyboard:
        os.write(master, b"\x1b[")
        assert keyboard.read(5) == []  # cut off, and no key
        os.write(master, b"\x1b")
        assert keyboard.read(5) == ["esc"]


def test_keys_that_were_not_read_are_dropped(terminal: tuple[int, TextIO]) -> None:
    master, stream = terminal
    with Keyboard(stream):
        os.write(master, b"rm\n")
        assert select.select([stream], [], [], 5)[0]
    os.set_blocking(stream.fileno(), False)
    with pytest.raises(BlockingIOError):
        os.read(stream.fileno(), 10)


def test_without_a_terminal_there_are_no_keys() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"q")
    with os.fdopen(reader) as stream, Keyboard(stream) as keyboard:
        assert not keyboard.is_open
        assert keyboard.read(0) == []
        assert os.read(stream.fileno(), 1) == b"q"  # left alone
    os.close(writer)
    with Keyboard(io.StringIO()) as keyboard:
        assert not keyboard.is_open


def test_a_terminal_that_is_gone_has_no_keys_and_is_no_error(terminal: tuple[int, TextIO]) -> None:
    _, stream = terminal
    leader, follower = os.openpty()
    with os.fdopen(follower, "r") as gone, Keyboard(gone) as keyboard:
        os.close(leader)
        assert keyboard.read(1) == []
        assert not keyboard.is_open
        assert keyboard.read(0) == []
    assert stream.isatty()
