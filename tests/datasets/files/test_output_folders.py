"""Result folders are whole or not there; images are placed in them without a copy where that can be."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from taorunner.datasets.files.output_folders import Placer, new_folder, refuse_taken, replaced_folder
from taorunner.errors import MachineError, UsageError


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "not yet" / "made"
    with new_folder(target, overwrite=False) as partial:
        (partial / "file").write_text("x")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["made"]
    assert (target / "file").read_text() == "x"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder in the data of a project, into which a container may write."""
    (tmp_path / ".taorunner").mkdir()
    (tmp_path / "projects/p/data/sub").mkdir(parents=True)
    return tmp_path / "projects/p/data/sub"


def planted_link(folder: Path) -> Path:
    """``folder`` becomes a link to another one, which holds something of the same names; the other one."""
    victim = folder.parents[3] / "precious"
    (victim / "made").mkdir(parents=True)
    (victim / "made/file").write_text("precious")
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(victim)
    return victim


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("was_there", [True, False])
def test_a_link_that_is_planted_while_a_result_is_written_leads_it_nowhere(
    data: Path, was_there: bool
) -> None:
    if was_there:
        (data / "made").mkdir()
        (data / "made/old").write_text("old")
    with new_folder(data / "made", overwrite=True) as partial:
        assert list(data.rglob("*new*")) == [] and not partial.is_relative_to(data)
        victim = planted_link(data)
        (partial / "new").write_text("new")
    assert files(victim) == {"made/file": "precious"}
    assert files(data.with_name("moved")) == {"made/new": "new"}
    assert list((data.parents[3] / ".taorunner/datasets").iterdir()) == []


def test_nor_does_it_lead_a_repair_that_keeps_the_original(data: Path) -> None:
    (data / "made").mkdir()
    (data / "made/old").write_text("old")
    with replaced_folder(data / "made", data / "made.kept") as partial:
        victim = planted_link(data)
        (partial / "new").write_text("new")
    assert files(victim) == {"made/file": "precious"}
    assert files(data.with_name("moved")) == {"made/new": "new", "made.kept/old": "old"}


def test_what_appeared_meanwhile_is_not_replaced(data: Path) -> None:
    with pytest.raises(UsageError) as caught, new_folder(data / "made", overwrite=False):
        (data / "made").mkdir()
        (data / "made/other").write_text("x")
    assert caught.value.message == f'"{data / "made"}" already exists'
    assert files(data) == {"made/other": "x"}


def test_what_a_killed_command_left_below_the_state_is_removed(data: Path) -> None:
    left = data.parents[3] / ".taorunner/datasets"
    (left / "4194305-made/images").mkdir(parents=True)  # no process has such a number
    (left / "notes").touch()
    with new_folder(data / "made", overwrite=False):
        pass
    assert [path.name for path in left.iterdir()] == ["notes"]


def test_two_results_that_one_process_writes_at_a_time_stay_apart(data: Path) -> None:
    with new_folder(data / "first", overwrite=False) as first:
        (first / "file").write_text("1")
        with new_folder(data / "second", overwrite=False) as second:
            (second / "file").write_text("2")
    assert files(data) == {"first/file": "1", "second/file": "2"}


@pytest.mark.parametrize("is_link", [True, False])
def test_without_a_state_folder_a_result_is_written_beside_its_place(data: Path, is_link: bool) -> None:
    state = data.parents[3] / ".taorunner"
    state.rmdir()
    if is_link:
        state.symlink_to(data)
    with new_folder(data / "made", overwrite=False) as partial:
        assert partial.parent == data


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "made", overwrite=False) as partial:
        (partial / "file").write_text("x")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "made"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(UsageError) as caught, new_folder(target, overwrite=False):
        raise AssertionError
    assert caught.value.message == f'"{target}" already exists'
    with new_folder(target, overwrite=True) as partial:
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    refuse_taken(target, overwrite=True)
    refuse_taken(tmp_path / "free", overwrite=False)


def test_a_folder_of_nothing_but_folders_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "made/train/images").mkdir(parents=True)
    with new_folder(tmp_path / "made", overwrite=False) as partial:
        (partial / "new").touch()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["new"]


@pytest.mark.parametrize("link", ["made", "made/train/link"])
def test_a_link_is_something(link: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        refuse_taken(tmp_path / "made", overwrite=False)


def test_the_old_folder_is_kept_beside_the_new(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "old").touch()
    with replaced_folder(target, tmp_path / "kept") as partial:
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["old"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error_of_the_machine(number: int, tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught, new_folder(tmp_path / "made", overwrite=False):
        raise OSError(number, os.strerror(number))
    assert caught.value.message == f'"{tmp_path}/made" cannot be written: {os.strerror(number).lower()}'
    with pytest.raises(OSError, match="Input/output"), new_folder(tmp_path / "made", overwrite=False):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError) as caught, new_folder(tmp_path / "file" / "made", overwrite=False):
        raise AssertionError
    assert caught.value.message.startswith(f'"{tmp_path}/file/made" cannot be created: ')


def test_files_are_linked_where_they_can_be(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("x")
    (tmp_path / "link").symlink_to("source")
    placer = Placer()
    placer.place(tmp_path / "source", tmp_path / "one")
    placer.place(str(tmp_path / "link"), str(tmp_path / "two"))
    assert (tmp_path / "one").samefile(tmp_path / "source") and not (tmp_path / "two").is_symlink()
    assert placer.counts == {"hard links": 2}
    with pytest.raises(FileExistsError):
        placer.place(tmp_path / "source", tmp_path / "one")
    with pytest.raises(FileNotFoundError):
        placer.place(tmp_path / "missing", tmp_path / "three")


def test_files_of_another_disk_are_copied(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "source").write_text("x")
    os.utime(tmp_path / "source", (1, 1))
    placer = Placer()
    for name in ("one", "two"):
        placer.place(tmp_path / "source", small_disk / name)
    assert placer.counts == {"copies": 2}
    assert ((small_disk / "two").read_text(), (small_disk / "two").stat().st_mtime) == ("x", 1)
