"""Whether a process holds the kernel lock of a file."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from taorunner.state_files import is_locked, open_regular


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lock"
    path.touch()
    return path


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_file_is_locked_while_its_descriptor_holds_the_exclusive_lock(file: Path) -> None:
    assert not is_locked(file)
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert is_locked(file)
    assert not is_locked(file)


def test_the_test_leaves_no_lock_and_no_descriptor_behind(file: Path) -> None:
    before = open_files()
    assert not is_locked(file)
    with file.open("rb") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert is_locked(file)
    assert open_files() == before


def test_readers_together_do_not_lock_a_file(file: Path) -> None:
    with file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not is_locked(file)


def test_only_a_regular_file_is_opened(tmp_path: Path, file: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    before = open_files()
    for name in ("missing", "link", "pipe", "."):
        assert open_regular(tmp_path / name) is None
        assert not is_locked(tmp_path / name)
    assert open_files() == before
    descriptor = open_regular(file)
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
