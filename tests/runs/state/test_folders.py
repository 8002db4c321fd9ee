"""Folders of runs and batches are removed by name, whole, and never through a link."""

from __future__ import annotations

from pathlib import Path

import pytest
from nested_folders import nested_folders

from taorunner.errors import MachineError, RunStateError
from taorunner.runs.state.folders import checked_name, is_name, remove_folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("run-1", True), ("a" * 255, True), ("a" * 256, False), ("", False), (".", False), ("..", False),
        (".hidden", False), ("a/b", False), ("a\0b", False), (5, False), (None, False),
    ],
)  # fmt: skip
def test_names_of_entries(name: object, expected: bool) -> None:
    assert is_name(name) is expected
    if isinstance(name, str) and not expected:
        with pytest.raises(RunStateError, match="is not a batch id"):
            checked_name(name, "batch")


def test_a_folder_goes_with_all_that_is_in_it_but_not_with_what_links_lead_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("precious")
    folder = tmp_path / "runs" / "r1"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "file").write_text("")
    (folder / "deep" / "link").symlink_to(kept)
    (folder / "file link").symlink_to(kept / "file")
    remove_folder(tmp_path / "runs", "r1")
    assert list((tmp_path / "runs").iterdir()) == []
    assert (kept / "file").read_text() == "precious"


def test_folders_that_are_nested_deeper_than_a_path_can_name_go_too(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "r1"
    folder.mkdir(parents=True)
    with nested_folders(folder, levels=2500):
        remove_folder(tmp_path / "runs", "r1")
        assert list((tmp_path / "runs").iterdir()) == []


def test_what_is_gone_already_is_no_error(tmp_path: Path) -> None:
    remove_folder(tmp_path, "r1")
    remove_folder(tmp_path / "none", "r1")


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there" / "r1").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(tmp_path / "there")
    with pytest.raises(RunStateError, match=f"{tmp_path}/runs is a symbolic link"):
        remove_folder(tmp_path / "runs", "r1")
    (tmp_path / "there" / "r2").symlink_to(tmp_path / "there" / "r1")
    with pytest.raises(RunStateError, match=f"{tmp_path}/there/r2 is a symbolic link"):
        remove_folder(tmp_path / "there", "r2")
    with pytest.raises(RunStateError, match="is not a run or batch id"):
        remove_folder(tmp_path / "there", "../there")
    assert (tmp_path / "there" / "r1").is_dir()


def test_what_is_no_folder_cannot_be_removed(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(MachineError) as caught:
        remove_folder(tmp_path / "runs", "r1")
    assert caught.value.message == f"{tmp_path}/runs cannot be removed: not a directory"
