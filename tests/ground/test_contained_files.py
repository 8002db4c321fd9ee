"""Nothing below a folder is reached through a link: what is found, opened, made, moved and removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from nested_folders import nested_folders

from taorunner import contained_files
from taorunner.contained_files import (
    MOST_LEVELS,
    NotContainedError,
    files_below,
    is_contained,
    matches,
    open_file,
    root_of,
    walk,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``train/a.pth`` and a link to it, ``out`` and ``up``, which lead to a folder elsewhere and to the root's parent."""
    root = tmp_path / "results"
    for folder in (root / "train", tmp_path / "elsewhere" / "inner"):
        folder.mkdir(parents=True)
        (folder / "a.pth").write_text(folder.name)
    (root / "train" / "latest.pth").symlink_to("a.pth")
    (root / "train" / "stolen.pth").symlink_to(tmp_path / "elsewhere/inner/a.pth")
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "up").symlink_to("..")
    return root


def everything(place: Path) -> dict[str, str]:
    return {
        path.relative_to(place).as_posix(): path.read_text() if path.is_file() else ""
        for path in place.rglob("*")
    }


def test_folders_that_are_nested_without_end_are_walked_as_far_as_results_go(root: Path) -> None:
    expected = [root / "train/a.pth"]
    with nested_folders(root / "train"):
        assert list(files_below(root, root)) == expected
        unread: list[OSError] = []
        walked = list(walk(root / "train", unread.append))
        assert len(walked) == MOST_LEVELS + 1
        assert [error.strerror for error in unread] == ["folders are nested too deeply"]
    assert [
        Path(place, name) for place, _, names in walk(root / "train") for name in names if name == "a.pth"
    ] == expected


def test_what_is_found_lies_in_folders_that_are_no_links(root: Path) -> None:
    names = {path.relative_to(root).as_posix() for path in matches(root, "*/*.pth")}
    assert names == {"train/a.pth", "train/latest.pth", "train/stolen.pth"}
    assert (
        matches(root, "out/inner/*.pth")
        == matches(root, "up/elsewhere/*/a.pth")
        == matches(root, "no/*")
        == []
    )
    assert matches(root, "train/a.pth") == [root / "train/a.pth"]
    assert sorted(path.name for path in contained_files.files_below(root, root)) == ["a.pth"]
    assert [*contained_files.files_below(root, root / "out/inner")] == []


def test_the_target_of_a_link_decides_whether_it_is_contained(root: Path) -> None:
    known = {path.name: is_contained(root, path) for path in matches(root, "train/*")}
    assert known == {"a.pth": True, "latest.pth": True, "stolen.pth": False}
    assert not is_contained(root, root)


@pytest.mark.parametrize(
    "name", ["out/inner/a.pth", "up/results/train/a.pth", "train/latest.pth", "train", "train/none"]
)
def test_only_a_regular_file_is_opened_and_never_through_a_link(root: Path, name: str) -> None:
    assert open_file(root, root / name) is None


def test_a_pipe_does_not_block(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert open_file(root, root / "pipe") is None


def test_a_file_is_opened_below_a_root_that_is_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    descriptor = open_file(tmp_path / "link", tmp_path / "link/train/a.pth")
    assert descriptor is not None
    assert os.read(descriptor, 10) == b"train"
    os.close(descriptor)


WAYS: list[Callable[[Path, Path], object]] = [
    lambda root, through: contained_files.make_folders(root, through / "new" / "folder"),
    lambda root, through: contained_files.make_folder(root, through / "new"),
    lambda root, through: contained_files.move(root, through / "inner", root, root / "inner"),
    lambda root, through: contained_files.move(root, root / "train", root, through / "train"),
    lambda root, through: contained_files.remove_file(root, through / "inner" / "a.pth"),
    lambda root, through: contained_files.remove_empty_folder(root, through / "inner"),
    lambda root, through: contained_files.opened_folder(root, through / "inner").__enter__(),
]


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("through", ["out", "train/../out", "up/elsewhere"])
def test_nothing_is_changed_through_a_link_or_upwards(root: Path, way: int, through: str) -> None:
    before = everything(root.parent)
    with pytest.raises(NotContainedError) as refused:
        WAYS[way](root, root / through)
    assert str(refused.value.filename).startswith(str(root))
    assert everything(root.parent) == before


def test_a_regular_file_is_removed_and_a_link_is_not(root: Path) -> None:
    names = ("train/latest.pth", "out/inner/a.pth", "train", "train/none", "train/a.pth")
    assert [contained_files.remove_regular_file(root, root / name) for name in names] == [False] * 4 + [True]
    assert (root.parent / "elsewhere/inner/a.pth").exists() and (root / "train/latest.pth").is_symlink()


def test_a_link_is_moved_and_not_followed_and_nothing_is_replaced(root: Path, tmp_path: Path) -> None:
    contained_files.make_folders(root, root / "aside" / "deep")
    contained_files.make_folders(root, root / "aside" / "deep")
    contained_files.move(root, root / "out", root, root / "aside/deep/out")
    assert (root / "aside/deep/out").readlink() == tmp_path / "elsewhere"
    with pytest.raises(FileExistsError):
        contained_files.move(root, root / "train", root, root / "aside/deep")
    assert (root / "train/a.pth").read_text() == "train"


def test_the_deepest_folder_above_a_path_is_its_root() -> None:
    models, results = Path("/w/models"), Path("/w/models/e")
    known = [results, models]
    assert root_of(results / "train", known) == results
    assert root_of(results, known) == root_of(Path("/w/models/e.1/x"), known) == models
    assert root_of(Path("/data/x/m.onnx"), known) == Path("/data/x")
