"""How much room is left where a path lies: on a real file system of 2 MB."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.disk_room import (
    Room,
    is_no_room,
    is_unwritable,
    naming,
    no_room,
    probe,
    release,
    reserve,
    room_at,
    unwritable,
)


def test_the_file_system_is_named_by_its_mount_point(small_disk: Path) -> None:
    (small_disk / "inner").mkdir()
    found = room_at(small_disk / "inner/not/yet/there.json")
    assert found is not None
    assert (found.mount, found.total_bytes, found.is_full) == (small_disk, 2 << 20, False)
    fill(small_disk)
    found = room_at(small_disk)
    assert found is not None and found.is_full
    assert found.text == f'the file system "{small_disk}" has 0 B of 2.0 MiB free'
    shown = found.hint.removeprefix("free some space there; ").removesuffix(" shows the largest folders")
    out = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1].split("\t")[1] == str(small_disk)


def test_a_link_leads_to_where_it_lies(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "state").symlink_to(small_disk)
    found = room_at(tmp_path / "state/runs")
    assert found is not None and found.mount == small_disk


def test_no_inode_left(mount: Callable[[str], Path]) -> None:
    place = mount("size=8m,nr_inodes=4")
    for number in range(3):
        (place / str(number)).touch()
    with pytest.raises(OSError, match="No space left") as caught:
        (place / "one more").touch()
    error = no_room(caught.value)
    assert error.message == (
        f'"{place}/one more" cannot be written: no space left on device; '
        f'the file system "{place}" has no inode left for another file'
    )
    assert error.hint is not None and f"du -x --inodes -d2 {place} | sort -n" in error.hint


def test_a_write_that_fails_names_its_file(small_disk: Path) -> None:
    fill(small_disk)
    path = small_disk / "record.json"
    with pytest.raises(OSError, match="No space left") as caught, naming(path):
        path.write_text("x" * 100_000)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    with pytest.raises(OSError, match="No such file") as other, naming(path):
        Path("/nowhere/else").read_text()
    assert other.value.filename == "/nowhere/else"


def test_a_quota_says_nothing_of_the_file_system(tmp_path: Path) -> None:
    error = no_room(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), tmp_path)
    assert (error.message, error.hint) == (
        f'"{tmp_path}" cannot be written: disk quota exceeded',
        "free some space there, or ask for a larger quota",
    )


def test_a_file_system_without_a_limit_of_files() -> None:
    assert not Room(Path("/"), 10 << 30, 20 << 30, None).is_full


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "is_full"),
    [
        (1 << 20, None, False),
        ((1 << 20) - 1, None, True),
        (1 << 30, 1, True),
        (1 << 30, 4, False),
        (1 << 30, 0, True),
    ],
)
def test_when_a_file_system_is_full(free_bytes: int, free_files: int | None, is_full: bool) -> None:
    assert Room(Path("/data"), free_bytes, 2 << 30, free_files).is_full == is_full


def test_bytes_are_named_when_both_are_used_up() -> None:
    both = Room(Path("/a b"), 0, 2 << 30, 0)
    assert both.text == 'the file system "/a b" has 0 B of 2.0 GiB free'
    assert "du -x --inodes -d2 '/a b' | sort -n | tail -n 15 shows" in both.hint
    none_left = Room(Path("/a b"), 1 << 20, 2 << 30, 0)
    assert none_left.text == 'the file system "/a b" has no inode left for another file'


def test_only_a_full_disk_and_a_used_quota_are_no_room() -> None:
    errors = [OSError(number, "") for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO)]
    assert [is_no_room(error) for error in (*errors, ValueError())] == [True, True, False, False]


def test_a_full_disk_that_nothing_is_known_of() -> None:
    error = no_room(OSError(errno.ENOSPC, "No space left on device"))
    assert (error.message, error.hint) == (
        "no space left on device",
        "free some space: df -h shows which file system is full",
    )
    assert no_room(OSError(errno.ENOSPC, None)).message == "no space left on device"


def test_the_file_of_the_error_is_named_before_the_place(tmp_path: Path) -> None:
    for name in (str(tmp_path / "file"), os.fsencode(tmp_path / "file")):
        error = OSError(errno.ENOSPC, "No space left on device", name)
        assert no_room(error, Path("/else")).message.startswith(
            f'"{tmp_path}/file" cannot be written: no space'
        )


def test_a_path_that_leads_round_in_a_circle_has_no_file_system(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert room_at(tmp_path / "round" / ("x" * 300)) is None


def fill(place: Path) -> None:
    with pytest.raises(OSError, match="No space left"), (place / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_what_is_reserved_is_given_back(mount: Callable[[str], Path]) -> None:
    disk = mount("size=256k")
    reserve(disk)
    reserve(disk)
    assert shutil.disk_usage(disk).free == (256 - 64) * 1024
    with (disk / "filler").open("wb") as file, pytest.raises(OSError, match="No space"):
        file.write(bytes(256 * 1024))
        file.flush()
    with pytest.raises(OSError, match="No space"):
        reserve_elsewhere(disk)
    release(disk)
    release(disk)
    (disk / "record").write_bytes(bytes(60 * 1024))


def reserve_elsewhere(disk: Path) -> None:
    (disk / "other").mkdir()
    reserve(disk / "other")


def test_a_disk_that_became_read_only_is_found_by_writing(
    mount: Callable[[str], Path], tmp_path: Path
) -> None:
    disk = mount("size=256k")
    probe(disk)
    probe(disk / "none")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(OSError, match="Read-only") as caught:
        probe(disk)
    assert is_unwritable(caught.value) and not is_no_room(caught.value)
    error = unwritable(caught.value, disk)
    assert error.message == f'"{disk}" cannot be written: read-only file system'
    assert error.hint == "check the disk (dmesg shows its errors) and mount it writable"
