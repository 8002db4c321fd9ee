"""``dataset convert`` as a person types it, in a project and outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from command_line import Cli
from shapes import SHAPES


def test_a_dataset_of_a_project_is_converted_beside_itself(
    cli: Cli, workspace_factory: Callable[..., Path]
) -> None:
    root = workspace_factory("experiments:\n  e: {head: dino, dataset: d}\n")
    (project,) = (root / "projects").iterdir()
    SHAPES["yolo-ultralytics"][1](project / "data/raw")
    done = cli("dataset", "convert", "raw", "-p", project.name, "--json", cwd=root)
    assert done.code == 0, done.err
    value = done.json
    assert (value["from"], value["to"], value["output"]) == ("yolo", "kitti", str(project / "data/raw_kitti"))
    assert value["images"] == {"before": 6, "after": 6, "backgrounds": 2}
    assert value["classes"][1] == {
        "name": "traffic light", "written": "traffic_light", "before": 2, "left_out": 0, "after": 2,
    }  # fmt: skip
    assert value["subsets"] == {"train": 4, "val": 2}
    again = cli("dataset", "convert", "raw", "-p", project.name, cwd=root)
    assert (again.code, "--overwrite" in again.err) == (2, True)


def test_a_folder_needs_an_output(cli: Cli) -> None:
    SHAPES["vott"][1](cli.home / "drawn")
    assert cli("dataset", "convert", "drawn").code == 2
    done = cli("dataset", "convert", "drawn", "-o", "made", "--to", "coco")
    assert done.code == 0, done.err
    assert "6 images linked; 2 images without boxes" in done.out
    assert (cli.home / "made/annotations.json").is_file()


def test_an_unknown_dataset_or_format_is_reported(cli: Cli) -> None:
    (cli.home / "empty").mkdir()
    done = cli("dataset", "convert", "empty", "-o", "made")
    assert (done.code, "has no annotations in a known format" in done.err) == (3, True)
    assert 'did you mean "kitti"?' in cli("dataset", "convert", "empty", "-o", "made", "--to", "kiti").err


def test_with_json_an_error_is_on_stdout_too(cli: Cli) -> None:
    SHAPES["kitti-15"][1](cli.home / "drawn")
    (cli.home / "drawn/val/label_2/four.txt").write_text("car 1 2\n")
    for words in (("convert",), ("split",), ("resize", "--size", "8x8")):
        done = cli("dataset", *words, "drawn", "-o", "made", "--json")
        assert done.code == 3
        assert len(done.out.splitlines()) == 1
        errors = [f for f in done.json if f["severity"] == "error"]
        assert [(f["code"], f["line"], f["file"].rpartition("/")[2]) for f in errors] == [
            ("kitti-columns", 1, "four.txt")
        ], words
        assert "four.txt" not in done.err
    (cli.home / "empty").mkdir()
    done = cli("dataset", "check", "empty", "--json")
    assert (done.code, [(f["severity"], f["code"]) for f in done.json]) == (
        3,
        [("error", "dataset-unreadable")],
    )
    (cli.home / "empty/file").touch()
    taken = cli("dataset", "convert", "drawn", "-o", "empty", "--json")
    (finding,) = taken.json
    assert (taken.code, finding["code"], "already exists" in finding["message"]) == (2, "usage", True)
    assert sorted(path.name for path in cli.home.iterdir()) == ["drawn", "empty"]


def test_a_copy_in_the_same_format_is_called_a_copy(cli: Cli) -> None:
    SHAPES["kitti-15"][1](cli.home / "drawn")
    copied = '"drawn" was kitti already: this is a copy of it'
    done = cli("dataset", "convert", "drawn", "-o", "again")
    assert (done.code, done.err.splitlines()[-1]) == (0, f"{copied}; --to FORMAT names another format")
    named = cli("dataset", "convert", "drawn", "--to", "kitti", "-o", "third")
    assert (named.code, named.err.splitlines()[-1]) == (0, copied)
    other = cli("dataset", "convert", "drawn", "--to", "coco", "-o", "other")
    assert (other.code, "already" in other.err) == (0, False)
