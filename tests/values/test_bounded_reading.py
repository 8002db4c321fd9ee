"""Data of others has limits: bytes, depth, digits, lines and time."""

from __future__ import annotations

import gzip
import json
import os
import time
import timeit
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taorunner.values.bounded_reading import (
    MAX_DEPTH,
    CutOffError,
    JsonError,
    TooMuchError,
    UnknownPackingError,
    is_too_deep,
    lines,
    parse_json,
    read_file,
    read_json,
    unpacked,
    whole,
    whole_number,
)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_values_within_the_limits() -> None:
    assert parse_json(b'{"a": [1, 2], "b": "[[["}')["b"] == "[[["
    assert parse_json(nested(MAX_DEPTH)) is not None
    assert parse_json("9" * 300) == 10**300 - 1
    assert parse_json("-" + "9" * 1000, most_digits=1000) == 1 - 10**1000
    wide = json.dumps([{"a": [[]]}] * 1000)
    assert len(parse_json(wide)) == 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nested(MAX_DEPTH + 1), "nested deeper than 60 levels"),
        (nested(100_000), "nested deeper than 60 levels"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested deeper than 60 levels"),
        ("[" * 100_000, "nested deeper than 60 levels"),
        ("9" * 301, "a number has more than 300 digits"),
        ("9" * 5000, "a number has more than 300 digits"),
        (" " * 5 * 1024**2, "larger than 4.0 MiB"),
    ],
)
@pytest.mark.parametrize("is_bytes", [False, True])
def test_too_much_of_something(text: str, message: str, is_bytes: bool) -> None:
    with pytest.raises(TooMuchError) as caught:
        parse_json(text.encode() if is_bytes else text)
    assert caught.value.message == message


def test_what_is_no_json_has_a_place() -> None:
    with pytest.raises(JsonError) as caught:
        parse_json('{\n "a": x}')
    assert (caught.value.message, caught.value.line, caught.value.column) == ("expecting value", 2, 7)
    with pytest.raises(JsonError, match="not text in UTF-8"):
        parse_json(b'"\xff"')


def test_many_short_texts_share_what_reads_them() -> None:
    """A decoder of its own for each text took as long as reading a text of 200 characters."""

    def time_of(read: Callable[[str], object]) -> float:
        return min(timeit.repeat(lambda: read("5"), number=2000, repeat=20))

    own = time_of(lambda text: json.loads(text, parse_constant=str))
    assert time_of(parse_json) < own


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_bytes_are_read_in_each_encoding_of_json(encoding: str) -> None:
    assert parse_json('{"a": "ä"}'.encode(encoding)) == {"a": "ä"}


def test_a_byte_order_mark_in_a_text_has_its_place() -> None:
    with pytest.raises(JsonError, match="begins with a byte order mark: line 1 column 1"):
        parse_json("\ufeff{}")


def test_a_file_is_read_up_to_its_limit_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}
    with pytest.raises(TooMuchError):
        read_file(tmp_path / "a.json", most_bytes=7)
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_json(place)


def test_a_reply_has_limits_of_bytes_and_time() -> None:
    now = [0.0]

    def trickle() -> Iterator[bytes]:
        while True:
            now[0] += 1.0
            yield b"x"

    assert whole([b"a", b"b"], most_bytes=2, within_s=1) == b"ab"
    with pytest.raises(TooMuchError, match=r"an answer of more than 2 B"):
        whole([b"a", b"bc"], most_bytes=2, within_s=1)
    with pytest.raises(TooMuchError, match="not complete after 60 s"):
        whole(trickle(), most_bytes=1000, within_s=60, clock=lambda: now[0])


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_data_is_unpacked_in_small_pieces(pack: type[bytes]) -> None:
    bomb = pack(bytes(50 * 1024**2))
    sizes = [len(piece) for piece in unpacked([bomb[:100], bomb[100:]], "GZIP")]
    assert sum(sizes) == 50 * 1024**2 and max(sizes) <= 1024**2
    with pytest.raises(TooMuchError):
        whole(unpacked([bomb], "deflate"), most_bytes=1024, within_s=60)
    for broken in (bomb[:-9], b"no gzip"):
        with pytest.raises(CutOffError):
            list(unpacked([broken], "gzip"))
    with pytest.raises(UnknownPackingError, match="br"):
        list(unpacked([bomb], "br"))
    assert list(unpacked([b"plain"], None)) == [b"plain"]


def test_lines_of_a_stream() -> None:
    assert list(lines([b"a\nb", b"c\n\nd"], most_bytes=10)) == [b"a", b"bc", b"", b"d"]
    with pytest.raises(TooMuchError, match="a line of more than 4 B"):
        list(lines([b"a\nbcd", b"ef"], most_bytes=4))
    many = [b"x"] * 200_000
    begin = time.process_time()
    assert list(lines([*many, b"\n"], most_bytes=10**6)) == [b"x" * 200_000]
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", "1e999", "-1E+400", "9" * 310 + ".5"])
def test_numbers_that_are_not_finite_are_read_only_where_they_are_asked_for(text: str) -> None:
    assert parse_json(text, finite=False) is not None
    with pytest.raises(JsonError):
        parse_json(text)


def test_depth_is_found_without_reading_where_brackets_say_it() -> None:
    assert not is_too_deep(nested(MAX_DEPTH).encode())
    assert is_too_deep(nested(MAX_DEPTH + 1).encode())
    assert is_too_deep(nested(100_000).encode())
    assert not is_too_deep(json.dumps(["[" * 100, "}{"]).encode())
    assert not is_too_deep(b"[" * 30)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1), ("", None), ("9" * 19, None), ("9" * 5000, None), ("-1", None),
     ("\u00b2", None), ("\u0663", None), (" 1", None), ("1_0", None)],
)  # fmt: skip
def test_whole_numbers_are_short_and_of_ascii_digits(text: str, number: int | None) -> None:
    assert whole_number(text) == number
