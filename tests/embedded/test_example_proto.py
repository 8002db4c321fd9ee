"""tf.train.Example byte by byte: forms of other writers, and damage."""

from __future__ import annotations

import struct

import pytest

from taorunner.embedded.example_proto import decode_example, encode_example


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, shorter than 128."""
    return bytes([number << 3 | 2, len(content)]) + content


def example(feature: bytes) -> bytes:
    return field(1, field(1, field(1, b"x") + field(2, feature)))


def values(feature: bytes) -> object:
    return decode_example(example(feature))["x"]


def test_there_and_back() -> None:
    features = {
        "bytes": [b"a", b""],
        "floats": [0.5, -2.0],
        "integers": [0, 1, 127, 128, 300, -1, 2**63 - 1, -(2**63)],
        "none": [],
    }
    assert decode_example(encode_example(features)) == features


def test_names_are_sorted_so_that_equal_examples_are_equal_bytes() -> None:
    assert encode_example({"b": [1], "a": [2]}) == encode_example({"a": [2], "b": [1]})


def test_lists_that_are_not_packed() -> None:
    assert values(field(3, bytes([8, 5, 8, 6]))) == [5, 6]
    assert values(field(2, bytes([13]) + struct.pack("<f", 1.5) + bytes([13]) + struct.pack("<f", 2.5))) == [
        1.5,
        2.5,
    ]


def test_unknown_fields_are_passed_over() -> None:
    fixed64 = bytes([9 << 3 | 1]) + bytes(8)
    fixed32 = bytes([9 << 3 | 5]) + bytes(4)
    number = bytes([9 << 3, 0x80, 1])
    unknown = field(9, b"odd") + fixed64 + fixed32 + number
    feature = field(3, unknown + field(1, bytes([7])))
    assert decode_example(
        unknown + field(1, unknown + field(1, field(1, b"x") + unknown + field(2, feature)))
    ) == {"x": [7]}
    assert decode_example(b"") == {} and values(b"") == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (example(bytes([8, 1])), "a feature list is not a message"),
        (example(field(2, field(1, b"abc"))), "a float list has a broken length"),
        (example(field(3, bytes([13]) + bytes(4))), "an integer list holds something else"),
        (bytes([1 << 3 | 3]), "unknown wire type 3"),
        (bytes([2, 0]), "the message is cut off"),
        (bytes([10, 5, 1]), "the message is cut off"),
        (bytes([10]), "the message is cut off"),
        (bytes([9 << 3 | 5, 0, 0, 0]), "the message is cut off"),
        (bytes([9 << 3 | 1]) + bytes(7), "the message is cut off"),
        (bytes([8]) + b"\x80" * 10 + b"\1", "a number is longer than ten bytes"),
        (bytes([8, 0x80]), "the message is cut off"),
    ],
)
def test_damage(payload: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_example(payload)
