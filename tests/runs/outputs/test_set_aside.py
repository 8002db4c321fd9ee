"""Results that were set aside: found by their names, put back without losing anything, removed without following links."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from taorunner.errors import MachineError, RunStateError
from taorunner.project.workspace import ProjectPaths
from taorunner.runs.outputs import set_aside
from taorunner.runs.outputs.set_aside import find_set_aside, put_back, remove

NOW = datetime(2026, 11, 29, 1, 2, tzinfo=timezone.utc)
OLD, OLDER = "20261127-201400", "20261126-184000"
Tree = dict[str, str]


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path / "ws/projects/parts")


@pytest.fixture
def write(paths: ProjectPaths) -> Callable[[Tree], None]:
    def make(tree: Tree) -> None:
        for name, text in tree.items():
            path = paths.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return make


def tree(folder: Path) -> Tree:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def own(place: Path) -> list[Path]:
    """A training that has a folder of its own."""
    return [place / "train"] if (place / "train").exists() else []


def test_all_kinds_are_found_the_newest_first(paths: ProjectPaths, write: Callable[[Tree], None]) -> None:
    write({
        "models/e/train/a.pth": "new", f"models/e.{OLD}/train/a.pth": "old", f"models/e.{OLDER}/train/a.pth": "older",
        "models/e/export/m.onnx": "m", f"models/e/export/m.onnx.{OLD}": "mm",
        f"data/tfrecords_e.{OLDER}/r-00000": "rrr",
        f"models/other.{OLD}/x": "x", f"models/e.{OLD}.txt": "x", "models/e.old/x": "x", "models/e.20269999-999999/x": "x",
    })  # fmt: skip
    found = find_set_aside(paths, "e", ["e", "other"])
    assert [(one.kind, one.path.name, one.bytes, one.files) for one in found] == [
        ("model", f"m.onnx.{OLD}", 2, 1),
        ("training", f"e.{OLD}", 3, 1),
        ("training", f"e.{OLDER}", 5, 1),
        ("records", f"tfrecords_e.{OLDER}", 3, 1),
    ]
    assert found[0].place == paths.results_dir("e") / "export/m.onnx"
    assert found[1].at == datetime(2026, 11, 27, 20, 14, tzinfo=timezone.utc)


def test_an_experiment_with_such_a_name_is_no_earlier_result(
    paths: ProjectPaths, write: Callable[[Tree], None]
) -> None:
    write({f"models/e.{OLD}/train/a.pth": "in place"})
    assert find_set_aside(paths, "e", ["e", f"e.{OLD}"]) == []


def test_links_are_no_earlier_results(
    paths: ProjectPaths, tmp_path: Path, write: Callable[[Tree], None]
) -> None:
    write({"models/e/export/m.onnx": "m"})
    (tmp_path / "elsewhere").mkdir()
    (paths.models_dir / f"e.{OLD}").symlink_to(tmp_path / "elsewhere")
    (paths.results_dir("e") / "export" / f"m.onnx.{OLD}").symlink_to("m.onnx")
    (paths.results_dir("e") / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / f"x.{OLD}").write_text("not ours")
    assert find_set_aside(paths, "e") == []


def test_models_that_lie_outside_of_the_workspace_are_left_alone(paths: ProjectPaths, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / f"e.{OLD}").mkdir(parents=True)
    paths.root.mkdir(parents=True)
    paths.models_dir.symlink_to(outside)
    assert find_set_aside(paths, "e") == []


def test_a_training_changes_places_and_the_results_of_others_stay(
    paths: ProjectPaths, write: Callable[[Tree], None]
) -> None:
    write({
        "models/e/train/a.pth": "new", "models/e/train/status.json": "new", "models/e/export/m.onnx": "m",
        f"models/e.{OLD}/train/a.pth": "old",
    })  # fmt: skip
    (chosen,) = find_set_aside(paths, "e")
    aside = put_back(chosen, own, NOW)
    assert aside == paths.models_dir / "e.20261129-010200"
    assert tree(paths.models_dir) == {
        "e/train/a.pth": "old", "e/export/m.onnx": "m",
        "e.20261129-010200/train/a.pth": "new", "e.20261129-010200/train/status.json": "new",
    }  # fmt: skip
    (back,) = find_set_aside(paths, "e")
    put_back(back, own, NOW)
    assert tree(paths.results_dir("e")) == {
        "train/a.pth": "new", "train/status.json": "new", "export/m.onnx": "m",
    }  # fmt: skip


def test_a_training_that_owns_the_whole_folder(paths: ProjectPaths, write: Callable[[Tree], None]) -> None:
    write({"models/e/weights/a": "new", "models/e/log": "new", f"models/e.{OLD}/weights/a": "old"})
    (chosen,) = find_set_aside(paths, "e")
    put_back(chosen, lambda place: [place], NOW)
    assert tree(paths.models_dir) == {
        "e/weights/a": "old", "e.20261129-010200/weights/a": "new", "e.20261129-010200/log": "new",
    }  # fmt: skip


def test_an_empty_place_is_filled(paths: ProjectPaths, write: Callable[[Tree], None]) -> None:
    write({f"models/e.{OLD}/train/a.pth": "old"})
    (chosen,) = find_set_aside(paths, "e")
    assert put_back(chosen, own, NOW) is None
    assert tree(paths.models_dir) == {"e/train/a.pth": "old"}


def test_files_and_records_change_places(paths: ProjectPaths, write: Callable[[Tree], None]) -> None:
    write({
        "models/e/export/m.onnx": "new", f"models/e/export/m.onnx.{OLD}": "old",
        "data/tfrecords_e/r": "new", f"data/tfrecords_e.{OLD}/r": "old",
    })  # fmt: skip
    for chosen in find_set_aside(paths, "e"):
        put_back(chosen, own, NOW)
    assert tree(paths.root) == {
        "models/e/export/m.onnx": "old", "models/e/export/m.onnx.20261129-010200": "new",
        "data/tfrecords_e/r": "old", "data/tfrecords_e.20261129-010200/r": "new",
    }  # fmt: skip


def test_a_name_that_is_taken_is_not_used(paths: ProjectPaths, write: Callable[[Tree], None]) -> None:
    write(
        {
            "models/e/train/a": "new",
            f"models/e.{OLD}/train/a": "old",
            "models/e.20261129-010200/train/a": "other",
        }
    )
    chosen = find_set_aside(paths, "e")[1]
    assert put_back(chosen, own, NOW) == paths.models_dir / "e.20261129-010201"
    assert tree(paths.models_dir)["e.20261129-010200/train/a"] == "other"


def test_a_step_that_fails_undoes_the_steps_before(
    paths: ProjectPaths, write: Callable[[Tree], None], mount: Callable[..., Path]
) -> None:
    """A file system that is mounted there cannot be moved."""
    write({"models/e/train/a": "new", f"models/e.{OLD}/train/a": "old"})
    mount("size=64k", at=paths.models_dir / f"e.{OLD}" / "zz")
    write({f"models/e.{OLD}/zz/b": "old"})
    before = tree(paths.models_dir)
    (chosen,) = find_set_aside(paths, "e")
    with pytest.raises(MachineError, match="cannot be moved: device or resource busy"):
        put_back(chosen, own, NOW)
    assert tree(paths.models_dir) == before
    assert sorted(os.listdir(paths.models_dir)) == ["e", f"e.{OLD}"]


class Interrupt:
    """Ctrl-C right before or right after the n-th change of the file system."""

    def __init__(self, number: int, event: str) -> None:
        self.left, self.event = number, event

    def __call__(self, _frame: FrameType, event: str, called: Any) -> None:
        if event == self.event and getattr(called, "__name__", "") in ("rename", "mkdir", "rmdir"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("event", ["c_call", "c_return"])
@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("is_taken", [True, False])
def test_an_interruption_undoes_the_steps_before(
    number: int, event: str, is_taken: bool, paths: ProjectPaths, write: Callable[[Tree], None]
) -> None:
    write({f"models/e.{OLD}/train/a": "old", f"models/e.{OLD}/b": "old", f"models/e.{OLD}/c": "old"})
    if is_taken:
        write({"models/e/train/a": "new", "models/e/export/m": "m"})
    before = tree(paths.models_dir)
    (chosen,) = find_set_aside(paths, "e")
    with pytest.raises(KeyboardInterrupt):
        sys.setprofile(Interrupt(number if is_taken else min(number, 5), event))
        try:
            put_back(chosen, own, NOW)
        finally:
            sys.setprofile(None)
    assert tree(paths.models_dir) == before
    assert sorted(os.listdir(paths.models_dir)) == (["e", f"e.{OLD}"] if is_taken else [f"e.{OLD}"])


def test_a_place_that_became_a_link_is_refused(
    paths: ProjectPaths, tmp_path: Path, write: Callable[[Tree], None]
) -> None:
    write({f"models/e.{OLD}/train/a": "old"})
    (chosen,) = find_set_aside(paths, "e")
    (tmp_path / "elsewhere").mkdir()
    paths.results_dir("e").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunStateError, match="symbolic link"):
        put_back(chosen, own, NOW)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_gone_is_refused(paths: ProjectPaths, write: Callable[[Tree], None]) -> None:
    write({f"models/e.{OLD}/train/a": "old"})
    (chosen,) = find_set_aside(paths, "e")
    remove(chosen)
    with pytest.raises(RunStateError, match="no longer there"):
        put_back(chosen, own, NOW)


def test_removal_follows_no_link(paths: ProjectPaths, tmp_path: Path, write: Callable[[Tree], None]) -> None:
    write(
        {
            f"models/e.{OLD}/train/a": "old",
            f"models/e/export/m.onnx.{OLD}": "old",
            "models/e/export/m.onnx": "new",
        }
    )
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    (paths.models_dir / f"e.{OLD}" / "link").symlink_to(precious)
    for one in find_set_aside(paths, "e"):
        remove(one)
    assert tree(paths.models_dir) == {"e/export/m.onnx": "new"}
    assert (precious / "file").read_text() == "kept"


def test_nothing_in_place_is_ever_removed(paths: ProjectPaths, write: Callable[[Tree], None]) -> None:
    write({f"models/e.{OLD}/train/a": "old", "models/e/train/a": "new"})
    (chosen,) = find_set_aside(paths, "e")
    wrong = set_aside.SetAside(
        "e", "training", chosen.place, chosen.place, chosen.at, 1, 1, 0.0, chosen.root
    )  # fmt: skip
    with pytest.raises(RunStateError, match="was not set aside"):
        remove(wrong)
    assert (chosen.place / "train/a").exists()
