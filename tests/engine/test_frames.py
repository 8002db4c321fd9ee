"""The engine's log format, whatever pieces it comes in."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.engine.frames import AsStored, Delivered, FrameStream, demultiplex, unchunk

frames = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=40)), max_size=12)
cuts = st.lists(st.integers(1, 30), min_size=1, max_size=8)


def framed(parts: Iterable[tuple[str, bytes]]) -> bytes:
    return b"".join(
        struct.pack(">BxxxL", 1 if name == "stdout" else 2, len(data)) + data for name, data in parts
    )


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        yield data[at : at + size]
        at += size
        number += 1


def joined(parts: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Neighbours of one stream as one, empty ones left out."""
    found: list[tuple[str, bytes]] = []
    for name, data in parts:
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + data)
        elif data:
            found.append((name, data))
    return found


@given(frames, cuts)
@settings(max_examples=150)
def test_frames_come_out_as_they_went_in(parts: list[tuple[str, bytes]], sizes: list[int]) -> None:
    assert joined(demultiplex(cut(framed(parts), sizes))) == joined(parts)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), cuts)
@settings(max_examples=150)
def test_chunks_come_out_as_they_went_in(bodies: list[bytes], sizes: list[int]) -> None:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies) + b"0\r\n\r\nnot of this answer"
    assert b"".join(unchunk(cut(coded, sizes))) == b"".join(bodies)


@given(st.binary(max_size=200), cuts)
@settings(max_examples=150)
def test_any_bytes_end_without_a_crash(data: bytes, sizes: list[int]) -> None:
    for _ in demultiplex(cut(data, sizes)):
        pass
    for _ in unchunk(cut(data, sizes)):
        pass


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode), cuts)
@settings(max_examples=200)
def test_stored_bytes_do_not_depend_on_the_pieces(data: bytes, sizes: list[int]) -> None:
    stored = AsStored()
    out = b"".join(stored.feed(piece) for piece in cut(data, sizes)) + stored.flush()
    assert out == go_sanitized(data)


@pytest.mark.parametrize("piece", [1, 7, 4096, 16384, 100_000])
@pytest.mark.parametrize(
    "text",
    [
        "\u2588" * 9000,
        "x\n"
        + "\u2588" * 9000
        + "\n"
        + "\u2588" * 5461
        + "x\n"
        + "\u00e9" * 8192
        + "\n"
        + "y" * 16383
        + "\u00e9",
        "a" * 16384 + "\n" + "\u20ac" * 6000 + "\r" + "b" * 40000 + "\U0001f600" * 9001,
    ],
)
def test_a_character_that_two_blocks_share_is_stored_as_bytes_that_are_none(text: str, piece: int) -> None:
    data = text.encode() + b"\xe2"
    stored = AsStored()
    out = b"".join(stored.feed(data[at : at + piece]) for at in range(0, len(data), piece)) + stored.flush()
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    blocks = [line[at : at + 16384] for line in lines for at in range(0, len(line), 16384)]
    assert out == b"".join(map(go_sanitized, blocks))


@given(st.text(max_size=40), st.integers(0, 120), cuts)
@settings(max_examples=200)
def test_live_output_that_ends_early_is_completed_from_the_log(
    text: str, lives: int, sizes: list[int]
) -> None:
    stored = text.encode()
    live = stored[:lives]
    one = Delivered()
    out = b"".join(one.feed(piece) for piece in cut(live, sizes))
    rest = stored[one.stored_bytes :]
    assert out + one.flush(rest) + one.flush() == stored


def go_sanitized(data: bytes) -> bytes:
    """What Go's JSON writer keeps of bytes: each one that begins no character is U+FFFD."""
    out, at = b"", 0
    while at < len(data):
        for length in (1, 2, 3, 4):
            try:
                data[at : at + length].decode()
            except UnicodeDecodeError:
                continue
            out += data[at : at + length]
            at += length
            break
        else:
            out += "\ufffd".encode()
            at += 1
    return out


def test_a_long_frame_is_given_as_it_comes() -> None:
    whole = framed([("stdout", b"x" * 100)])
    pieces = iter([whole[:20], whole[20:50], whole[50:]])
    assert [len(data) for _, data in demultiplex(pieces)] == [12, 30, 58]


def test_a_connection_that_breaks_is_an_end() -> None:
    released = []

    def read() -> bytes:
        raise ConnectionResetError

    stream = FrameStream(read, lambda: None, lambda: released.append(1), framed=True)
    assert (list(stream), released) == ([], [1])
    stream.close()
    assert released == [1]


def test_a_stream_that_was_closed_unread_is_released_once() -> None:
    released = []
    stream = FrameStream(lambda: b"", lambda: None, lambda: released.append(1), framed=True)
    threads = [threading.Thread(target=stream.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (list(stream), released) == ([], [1])


class Watched:
    """A stream of ``pieces`` whose calls are written down in order; an exception among the pieces is raised."""

    def __init__(self, *pieces: bytes | Exception, **form: bool) -> None:
        self.calls: list[str] = []
        self._pieces = iter(pieces)
        self.stream = FrameStream(
            self._read, lambda: self.calls.append("wake"), lambda: self.calls.append("release"),
            **{"framed": False, **form},
        )  # fmt: skip

    def _read(self) -> bytes:
        self.calls.append("read")
        piece = next(self._pieces)
        if isinstance(piece, Exception):
            raise piece
        return piece


@pytest.mark.parametrize("end", [b"", ConnectionResetError(), ValueError("read of closed file")])
def test_a_stream_that_was_read_to_its_end_is_woken_and_released_once(end: bytes | Exception) -> None:
    watched = Watched(b"a", end, b"never read")
    assert list(watched.stream) == [("stdout", b"a")]
    assert watched.calls == ["read", "read", "wake", "release"]
    watched.stream.close()
    assert list(watched.stream) == []
    assert watched.calls == ["read", "read", "wake", "release"]


def test_a_stream_that_is_closed_while_it_is_read_ends_before_the_next_piece() -> None:
    watched = Watched(b"a", b"b")
    reading = iter(watched.stream)
    assert next(reading) == ("stdout", b"a")
    watched.stream.close()
    assert watched.calls == ["read", "wake"]  # released by the reader, which may still use the socket
    assert list(reading) == []
    watched.stream.close()
    assert watched.calls == ["read", "wake", "release"]


def test_a_reader_that_leaves_closes_the_stream() -> None:
    watched = Watched(b"a", b"b")
    reading = iter(watched.stream)
    next(reading)
    del reading
    assert watched.calls == ["read", "wake", "release"]


def test_a_stream_that_is_forgotten_unread_is_closed() -> None:
    watched = Watched(b"a")
    del watched.stream
    assert watched.calls == ["wake", "release"]


@pytest.mark.parametrize(
    ("form", "data", "wanted"),
    [
        ({}, b"3\r\nabc\r\n", b"3\r\nabc\r\n"),
        ({"chunked": True}, b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        ({"framed": True}, framed([("stdout", b"abc")]), b"abc"),
        ({"framed": True, "chunked": True}, b"b\r\n" + framed([("stdout", b"abc")]) + b"\r\n", b"abc"),
    ],
)
def test_a_stream_is_decoded_as_it_was_sent(form: dict[str, bool], data: bytes, wanted: bytes) -> None:
    assert list(Watched(data, b"", **form).stream) == [("stdout", wanted)]


def test_frames_of_an_unknown_stream_are_errors() -> None:
    data = b"".join(struct.pack(">BxxxL", number, 1) + b"%d" % number for number in range(4))
    assert list(demultiplex(iter([data]))) == [("stdout", b"01"), ("stderr", b"23")]


@pytest.mark.parametrize("bad", [b"zz\r\nabc\r\n", b"-5\r\nabc\r\n", b"\r\n\r\n"])
def test_a_broken_chunk_is_an_end(bad: bytes) -> None:
    assert list(unchunk(iter([b"1\r\na\r\n" + bad, b"more"]))) == [b"a"]


def test_a_whole_character_is_passed_on_at_once_and_a_begun_one_is_held() -> None:
    stored = AsStored()
    assert [stored.feed(one.encode()) for one in ("aé", "警", "🚂")] == [
        "aé".encode(),
        "警".encode(),
        "🚂".encode(),
    ]
    assert [stored.feed(b"x\xe8\xad"), stored.feed(b"\xa6y")] == [b"x", "警y".encode()]
