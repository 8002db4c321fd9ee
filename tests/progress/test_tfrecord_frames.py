"""Records are counted by their frames alone: whole, cut off anywhere, or no records at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.embedded.tfrecord import write_records
from taorunner.progress.tfrecord_frames import BrokenRecordsError, count_records

PAYLOADS = [b"", b"a", b"x" * 5000, b"bc"]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Frames of 16, 17, 5016 and 18 bytes."""
    file = tmp_path / "a.tfrecord"
    write_records(file, PAYLOADS)
    assert file.stat().st_size == sum(16 + len(payload) for payload in PAYLOADS)
    return file


def problem(file: Path) -> str:
    with pytest.raises(BrokenRecordsError) as caught:
        count_records(file)
    return str(caught.value)


def test_whole_files(records: Path, tmp_path: Path) -> None:
    assert count_records(records) == 4
    (tmp_path / "empty").touch()
    assert count_records(tmp_path / "empty") == 0
    with pytest.raises(FileNotFoundError):
        count_records(tmp_path / "none")


@pytest.mark.parametrize(
    ("size", "count"), [(1, 0), (11, 0), (12, 0), (15, 0), (17, 1), (32, 1), (34, 2), (5048, 2), (5050, 3), (5066, 3)]
)  # fmt: skip
def test_a_file_that_is_cut_off_says_how_many_are_good(size: int, count: int, records: Path) -> None:
    records.write_bytes(records.read_bytes()[:size])
    assert problem(records) == f"is cut off after {count} records"


@pytest.mark.parametrize(("size", "count"), [(16, 1), (33, 2), (5049, 3)])
def test_a_file_that_ends_between_two_records_is_whole(size: int, count: int, records: Path) -> None:
    records.write_bytes(records.read_bytes()[:size])
    assert count_records(records) == count


@pytest.mark.parametrize(
    ("place", "said"), [(0, "is not a TFRecord file"), (11, "is not a TFRecord file"), (16, "breaks after 1 records"),
                        (44, "breaks after 2 records")],
)  # fmt: skip
def test_a_length_that_does_not_fit_its_checksum(place: int, said: str, records: Path) -> None:
    data = bytearray(records.read_bytes())
    data[place] ^= 1
    records.write_bytes(data)
    assert problem(records) == said


def test_what_the_payload_is_makes_no_difference(records: Path) -> None:
    data = bytearray(records.read_bytes())
    data[100] ^= 1
    records.write_bytes(data)
    assert count_records(records) == 4
