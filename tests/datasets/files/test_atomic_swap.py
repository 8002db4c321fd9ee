"""Replaced folders, and what a killed process leaves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from taorunner.datasets.files import atomic_swap
from taorunner.datasets.files.atomic_swap import (
    exchange,
    free_name,
    recover,
    remove,
    replace_folder,
    replace_keeping_old,
)


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


def texts(place: Path) -> dict[str, str]:
    """The text in each folder of ``place``."""
    return {path.name: (path / "file").read_text() for path in sorted(place.iterdir())}


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A file system that can exchange names, and one that cannot."""
    if not request.param:
        monkeypatch.setattr(atomic_swap, "_EXCHANGE", 1 << 20)  # a flag that no kernel knows
    return bool(request.param)


def test_an_exchange_of_names(tmp_path: Path, system: bool) -> None:
    one, two = folder(tmp_path / "one", "1"), folder(tmp_path / "two", "2")
    assert exchange(one, two) == system
    assert texts(tmp_path) == ({"one": "2", "two": "1"} if system else {"one": "1", "two": "2"})
    assert not exchange(one, tmp_path / "missing")


def test_the_old_folder_is_removed(tmp_path: Path, system: bool) -> None:
    target = tmp_path / "data"
    replace_folder(folder(tmp_path / "partial", "first"), target)
    assert texts(tmp_path) == {"data": "first"}
    replace_folder(folder(tmp_path / "partial", "second"), target)
    assert texts(tmp_path) == {"data": "second"}


def test_the_old_folder_is_kept(tmp_path: Path, system: bool) -> None:
    target = folder(tmp_path / "data", "old")
    replace_keeping_old(folder(tmp_path / "partial", "new"), target, tmp_path / "backup")
    assert texts(tmp_path) == {"data": "new", "backup": "old"}


def test_a_failed_replacement_leaves_the_old_folder(tmp_path: Path, system: bool) -> None:
    target = folder(tmp_path / "data", "old")
    with pytest.raises(OSError, match="missing"):
        replace_folder(tmp_path / "missing", target)
    assert texts(tmp_path) == {"data": "old"}
    folder(tmp_path / "backup", "in the way")
    with pytest.raises(OSError, match="not empty"):
        replace_keeping_old(folder(tmp_path / "partial", "new"), target, tmp_path / "backup")
    assert texts(tmp_path)["data"] in ("old", "new")
    assert texts(tmp_path)["backup"] == "in the way"
    assert "old" in texts(tmp_path).values()


def test_a_kill_between_two_renames_is_undone(tmp_path: Path, ended: int) -> None:
    folder(tmp_path / f".data.replaced-{ended}", "old")
    folder(tmp_path / f".data.partial-{ended}", "unfinished")
    recover(tmp_path / "data")
    assert texts(tmp_path) == {"data": "old"}


def test_an_old_folder_that_was_replaced_is_removed(tmp_path: Path, ended: int) -> None:
    folder(tmp_path / f".data.replaced-{ended}", "old")
    folder(tmp_path / "data", "new")
    recover(tmp_path / "data")
    assert texts(tmp_path) == {"data": "new"}


def test_a_swap_is_ended_by_what_its_folder_holds(tmp_path: Path, ended: int) -> None:
    """Its name has the number of the new folder."""
    target = folder(tmp_path / "data", "old")
    new = folder(tmp_path / "new", "new")
    new = new.rename(tmp_path / f".data.swap-{ended}-{new.stat().st_ino}")
    recover(target)
    assert texts(tmp_path) == {"data": "old"}

    old = folder(tmp_path / f".data.swap-{ended}-{target.stat().st_ino}", "older")
    assert old.stat().st_ino != target.stat().st_ino
    recover(target)
    assert texts(tmp_path) == {"data": "old", "data.before-fix": "older"}

    waiting = folder(tmp_path / "waiting", "new")
    waiting.rename(tmp_path / f".data.swap-{ended}-{waiting.stat().st_ino}")
    target.rename(tmp_path / "data.before")
    recover(target)
    assert texts(tmp_path)["data"] == "new"


def test_what_a_living_process_or_another_folder_has_is_left_alone(tmp_path: Path, ended: int) -> None:
    with subprocess.Popen(["sleep", "60"]) as alive:
        names = [
            f".data.partial-{alive.pid}",
            f".data.replaced-{alive.pid}",
            f".other.partial-{ended}",
            f".data.partial-{ended}x",
            f".data.partial-{ended}-2-3",
            f".data.other-{ended}",
        ]
        for name in names:
            folder(tmp_path / name, "x")
        recover(tmp_path / "data")
        alive.kill()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    recover(tmp_path / "missing" / "data")


def test_what_this_process_left_is_ended(tmp_path: Path) -> None:
    folder(tmp_path / f".data.partial-{os.getpid()}", "x")
    recover(tmp_path / "data")
    assert texts(tmp_path) == {}


def test_a_free_name(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        path = free_name(tmp_path / "data", "before-fix")
        path.mkdir()
        names.append(path.name)
    assert names == ["data.before-fix", "data.before-fix-2", "data.before-fix-3"]


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    folder(tmp_path / "data", "kept")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "file").touch()
    for name in ("link", "file", "missing"):
        remove(tmp_path / name)
    assert texts(tmp_path) == {"data": "kept"}
