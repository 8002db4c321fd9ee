"""Files of weights and models that were cut off are known by their content."""

from __future__ import annotations

import io
import os
import struct
import time
import zipfile
from pathlib import Path

import numpy
import onnx
import pytest
from onnx import TensorProto, helper

from taorunner.progress.file_wholeness import is_torn, is_whole

SHARES = [0.001, 0.02, 0.5, 0.97, 0.9995]


def hdf5(version: int, size: int = 40_000, *, end: int | None = None) -> bytes:
    """The superblock of that version, with offsets of eight bytes, and the rest of a file of that size."""
    address = struct.pack("<Q", size if end is None else end)
    undefined = b"\xff" * 8
    if version < 2:
        sizes = bytes((version, 0, 0, 0, 0, 8, 8, 0)) + bytes(8) + (bytes(4) if version else b"")
        block = sizes + bytes(8) + undefined + address + undefined
    else:
        block = bytes((version, 8, 8, 0)) + bytes(8) + undefined + address + bytes(8)
    return (b"\x89HDF\r\n\x1a\n" + block).ljust(size, b"\x01")


def model() -> bytes:
    values = helper.make_tensor("w", TensorProto.FLOAT, [1000], [0.5] * 1000)
    inner, outer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [inner], [outer], [values])
    return helper.make_model(graph).SerializeToString()


def arrays() -> bytes:
    buffer = io.BytesIO()
    numpy.savez(buffer, a=numpy.zeros(500), b=numpy.ones(500))
    return buffer.getvalue()


FILES = {
    "v0.hdf5": hdf5(0), "v1.hdf5": hdf5(1), "v2.h5": hdf5(2), "v3.tlt": hdf5(3), "model.onnx": model(), "weights.npz": arrays(),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_known_as_one(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    assert is_whole(tmp_path / name) is True


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_off_is_known_as_one(name: str, share: float, tmp_path: Path) -> None:
    whole = FILES[name]
    (tmp_path / name).write_bytes(whole[: max(3, int(len(whole) * share))])
    assert is_torn(tmp_path / name)


def test_an_archive_whose_list_is_damaged_is_torn(tmp_path: Path) -> None:
    """The end record alone is not enough: an editor of disks may have kept the last block only."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number in range(3):
            file.writestr(f"archive/data/{number}", bytes(100))
    data = buffer.getvalue()
    second = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02") + 4)
    path = tmp_path / "model.pth"
    path.write_bytes(data)
    assert is_whole(path) is True
    path.write_bytes(data[:second] + bytes(4) + data[second + 4 :])
    assert is_torn(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.hdf5", hdf5(0)[:16] + bytes(500)),  # sizes that no library writes
        ("a.hdf5", hdf5(9)),  # a version that is not known
        ("a.hdf5", hdf5(0, end=0)),
        ("a.onnx", b"\x00\x01\x02"),
        ("a.onnx", b""),
        ("a.tlt", bytes(range(1, 256))),
        ("a.bin", arrays()[:-30]),
    ],
)
def test_what_cannot_be_judged_is_not_called_torn(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_whole(tmp_path / name) is None


def test_a_folder_and_a_file_that_is_not_there_cannot_be_judged(tmp_path: Path) -> None:
    (tmp_path / "model.tlt").mkdir()
    assert is_whole(tmp_path / "model.tlt") is None
    assert is_whole(tmp_path / "none.onnx") is None


def test_the_models_are_what_the_library_reads() -> None:
    assert onnx.load_from_string(FILES["model.onnx"]).graph.name == "g"


def test_a_list_that_is_cut_in_its_last_entry_is_torn(tmp_path: Path) -> None:
    """Its record says more than the file has."""
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 46, 30, 0)
    (tmp_path / "m.pth").write_bytes(b"PK\3\4" + bytes(26) + b"PK\1\2" + end)
    assert is_whole(tmp_path / "m.pth") is False


def test_an_archive_that_says_it_has_very_long_lists_is_judged_in_no_time(tmp_path: Path) -> None:
    """4 GiB were read for each of 2,900 ends; the file is a hole, and takes no room."""
    for length in (0xFFFFFFF0, 15 << 20):
        # each is followed by a comment to the end of the file, as an end must be
        ends = [
            b"PK\x05\x06" + bytes(4) + struct.pack("<HHIIH", 9, 9, length, 0, 22 * after)
            for after in range(2900)
        ]
        file = tmp_path / f"{length}.pth"
        with file.open("wb") as written:
            written.write(b"PK\x03\x04")
            written.seek(5 << 30)
            written.write(b"".join(reversed(ends)))
        began_s = time.process_time()
        is_torn(file)
        assert time.process_time() - began_s < 2


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pth")
    assert is_whole(tmp_path / "a.pth") is None
