"""A followed log that begins with the first output, and may end before the last."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from taorunner.engine.frames import FrameStream, LateStream
from taorunner.errors import MachineError

Parts = list[tuple[str, bytes]]


def stream(*pieces: bytes) -> FrameStream:
    """All of it is stdout, as of a terminal."""
    left = [*pieces, b""]
    return FrameStream(lambda: left.pop(0), lambda: None, lambda: None, framed=False)


def text(parts: Iterable[tuple[str, bytes]]) -> bytes:
    return b"".join(data for _, data in parts)


def test_what_came_too_late_to_be_followed_is_read_from_the_whole_log() -> None:
    late = LateStream(lambda: stream(b"epoch 1\n", b"ep"), lambda: stream(b"epoch", b" 1\nepoch 2\n", b"end"))
    assert text(late) == b"epoch 1\nepoch 2\nend"
    assert text(LateStream(lambda: stream(b"all"), lambda: stream(b"al", b"l"))) == b"all"
    assert text(LateStream(lambda: stream(b"some"), lambda: None)) == b"some"  # it still runs


def test_close_does_not_wait_for_the_first_output() -> None:
    answered, closed = threading.Event(), threading.Event()

    def open_stream() -> FrameStream:
        answered.wait(30)
        return FrameStream(lambda: b"", lambda: None, closed.set, framed=False)

    late = LateStream(open_stream, lambda: pytest.fail("it was closed"))
    read: Parts = []
    reader = threading.Thread(target=lambda: read.extend(late))
    reader.start()
    late.close()
    reader.join(30)
    assert (reader.is_alive(), read, closed.is_set()) == (False, [], False)
    answered.set()
    assert closed.wait(30)  # what was opened too late is closed as well


def test_close_ends_what_is_read_and_nothing_is_read_again() -> None:
    waiting, woken = threading.Event(), threading.Event()
    pieces = [b"first"]

    def read() -> bytes:
        if pieces:
            return pieces.pop()
        waiting.set()
        woken.wait(30)
        return b""

    opened = FrameStream(read, woken.set, lambda: None, framed=False)
    late = LateStream(lambda: opened, lambda: pytest.fail("it was closed"))
    got: Parts = []
    reader = threading.Thread(target=lambda: got.extend(late))
    reader.start()
    assert waiting.wait(30)
    late.close()
    late.close()
    reader.join(30)
    assert (reader.is_alive(), got) == (False, [("stdout", b"first")])


def test_close_while_the_whole_log_is_opened_ends_it() -> None:
    closed, left = threading.Event(), [b"all of it", b""]

    def open_whole() -> FrameStream:
        late.close()
        return FrameStream(lambda: left.pop(0), lambda: None, closed.set, framed=False)

    late = LateStream(lambda: stream(b"a"), open_whole)
    assert (text(late), closed.is_set(), len(left)) == (b"a", True, 2)


def test_a_refusal_is_raised_where_the_log_is_read() -> None:
    def open_stream() -> FrameStream:
        raise MachineError("no podman answers")

    with pytest.raises(MachineError, match="no podman answers"):
        text(LateStream(open_stream, lambda: None))
