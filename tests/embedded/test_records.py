"""TFRecord and tf.train.Example against an independent reader, and against every kind of damage."""

from __future__ import annotations

import contextlib
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from taorunner.embedded.example_proto import Value, decode_example, encode_example
from taorunner.embedded.failures import RunFailedError
from taorunner.embedded.tfrecord import crc32c, read_records, write_records

BYTES, FLOAT, INT64 = 12, 2, 3
MESSAGE = 11


@cache
def example_class() -> Any:
    """``tf.train.Example`` as Google's protobuf library, which comes with onnx, makes it from the schema."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, int, str]) -> Any:
        made = file.message_type.add(name=name)
        for number, (field, kind, label, type_name) in enumerate(fields, start=1):
            made.field.add(name=field, number=number, type=kind, label=label, type_name=type_name or None)
        return made

    message("BytesList", ("value", BYTES, 3, ""))
    message("FloatList", ("value", FLOAT, 3, ""))
    message("Int64List", ("value", INT64, 3, ""))
    lists = [("bytes_list", ".t.BytesList"), ("float_list", ".t.FloatList"), ("int64_list", ".t.Int64List")]
    feature = message("Feature", *((name, MESSAGE, 1, kind) for name, kind in lists))
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = message("Features", ("feature", MESSAGE, 3, ".t.Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=MESSAGE, label=1, type_name=".t.Feature")
    message("Example", ("features", MESSAGE, 1, ".t.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


def values_of(feature: Any) -> Value:
    return list(getattr(feature, feature.WhichOneof("kind")).value)


def crc32c_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


FLOATS = st.floats(width=32, allow_nan=False)
FEATURES: SearchStrategy[dict[str, Value]] = st.dictionaries(
    st.text(max_size=12),
    st.one_of(
        st.lists(st.binary(max_size=20), max_size=4),
        st.lists(FLOATS, max_size=4),
        st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    ),
    max_size=5,
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_checksum_of_the_published_examples(data: bytes, expected: int) -> None:
    """Source: RFC 3720, appendix B.4."""
    assert crc32c(data) == expected


@given(st.integers(0, 3000), st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_checksum_of_any_length_agrees_with_the_definition(length: int, start: int) -> None:
    data = bytes((start + index * index) % 256 for index in range(length))
    assert crc32c(data) == crc32c_by_bit(data)


@given(FEATURES)
@settings(max_examples=100, deadline=None)
def test_another_library_reads_what_we_write(features: dict[str, Value]) -> None:
    example = example_class().FromString(encode_example(features))
    read = {name: values_of(feature) for name, feature in example.features.feature.items()}
    assert read == features


@given(FEATURES)
@settings(max_examples=100, deadline=None)
def test_we_read_what_another_library_writes(features: dict[str, Value]) -> None:
    example = example_class()()
    for name, values in features.items():
        kind = "float_list" if values and isinstance(values[0], float) else "bytes_list"
        kind = "int64_list" if values and isinstance(values[0], int) else kind
        getattr(example.features.feature[name], kind).value.extend(values)
    assert decode_example(example.SerializeToString()) == features


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_an_example_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode_example(data)


def test_file_has_the_published_layout(tmp_path: Path) -> None:
    path = tmp_path / "records"
    assert write_records(path, [b"first", b""]) == 2
    length, empty = struct.pack("<Q", 5), struct.pack("<Q", 0)

    def mask(data: bytes) -> bytes:
        crc = crc32c_by_bit(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    assert path.read_bytes() == (
        length + mask(length) + b"first" + mask(b"first") + empty + mask(empty) + b"" + mask(b"")
    )
    assert list(read_records(path)) == [b"first", b""]
    assert [item.name for item in tmp_path.iterdir()] == ["records"]


@pytest.mark.parametrize("position", [0, 8, 12, 100, 512, 600])
def test_one_wrong_bit_anywhere_is_found(tmp_path: Path, position: int) -> None:
    path = tmp_path / "records"
    write_records(path, [bytes(range(250)) * 2 + b"payload of 600 bytes" * 5])
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(RunFailedError, match="has a wrong checksum"):
        list(read_records(path))


@given(st.integers(1, 130))
@settings(max_examples=30, deadline=None)
def test_file_that_is_cut_off_is_found(tmp_path_factory: pytest.TempPathFactory, missing: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "records"
    write_records(path, [b"x" * 50, b"y" * 50])
    whole = path.read_bytes()
    path.write_bytes(whole[:-missing])
    if missing == 66:  # exactly one record less is a shorter, whole file
        assert list(read_records(path)) == [b"x" * 50]
        return
    with pytest.raises(RunFailedError, match="is cut off"):
        list(read_records(path))
