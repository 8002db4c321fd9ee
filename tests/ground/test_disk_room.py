"""How much room is left where a path lies: on a real file system of 2 MB."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.disk_room import Room, naming, no_room, room_at


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


def fill(place: Path) -> None:
    with pytest.raises(OSError, match="No space left"), (place / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
