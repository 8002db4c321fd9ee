"""An archive where a dataset command takes a folder: unpacked for the command, and gone after it."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from command_line import Cli
from shapes import write_image

COMMANDS = {
    "convert": ("convert", "--to", "coco", "-o", "made"), "split": ("split", "-o", "made"), "check": ("check",),
    "stats": ("stats",), "resize": ("resize", "--size", "32x32", "-o", "made"),
}  # fmt: skip
PARTS = ("convert", "split", "resize")


def exported(home: Path, top: str = "export", bad: bool = False) -> Path:
    """What a tool would pack: YOLO in one folder, ten images."""
    root = home / "packed" / top
    for number in range(10):
        write_image(root / f"train/images/{number}.png", 40 + number, 30)
        label = root / f"train/labels/{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.5 0.5\n" + ("0 nan 2 3 4\n" if bad and number == 3 else ""))
    (root / "data.yaml").write_text("train: train/images\nnames: [car]\n")
    return home / "packed"


def packed(folder: Path, archive: Path) -> Path:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as made:
            for path in files:
                made.write(path, path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz") as made:
            for path in files:
                made.add(path, path.relative_to(folder))
    return archive


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_archive_is_read_as_its_folder_is(cli: Cli, command: str, ending: str, tmp_path: Path) -> None:
    folder = exported(cli.home)
    packed(folder, cli.home / f"set.{ending}")
    verb, *options = COMMANDS[command]
    of_folder = cli("dataset", verb, str(folder / "export"), *options, "--json").json
    made = {path.relative_to(cli.home / "made") for path in (cli.home / "made").rglob("*")}
    if options[-2:] == ["-o", "made"]:
        options[-1] = "other"
    (tmp_path / "temporary").mkdir()
    before = sorted(path.name for path in cli.home.iterdir())
    done = cli(
        "dataset", verb, f"set.{ending}", *options, "--json", env={"TMPDIR": str(tmp_path / "temporary")}
    )
    assert done.code == 0, done.err
    text = json.dumps(done.json).replace(f"{cli.home}/set.{ending}/export", str(folder / "export"))
    text = text.replace(f"{cli.home}/set.{ending}", str(folder / "export")).replace("/other", "/made")
    wanted = json.dumps(of_folder)
    if command == "check":
        text, wanted = (
            one.replace(f"check set.{ending} ", f"check {folder / 'export'} ") for one in (text, wanted)
        )
    assert json.loads(text) == json.loads(wanted)
    assert {path.relative_to(cli.home / "other") for path in (cli.home / "other").rglob("*")} == made
    after = sorted(path.name for path in cli.home.iterdir())
    assert after == sorted([*before, *(["other"] if command in PARTS else [])])
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_result_owns_its_images(cli: Cli) -> None:
    packed(exported(cli.home), cli.home / "set.zip")
    done = cli("dataset", "convert", "set.zip", "--to", "kitti", "-o", "deep/made")
    assert done.code == 0, done.err
    assert "10 images linked" in done.out  # none was copied: it was unpacked on the same file system
    images = list((cli.home / "deep/made").rglob("*.png"))
    assert len(images) == 10 and {path.stat().st_nlink for path in images} == {1}
    assert [path.name for path in (cli.home / "deep").iterdir()] == ["made"]


def test_a_split_is_that_of_the_folder(cli: Cli) -> None:
    folder = exported(cli.home)
    packed(folder, cli.home / "set.zip")
    assert cli("dataset", "split", str(folder / "export"), "-o", "a").code == 0
    assert cli("dataset", "split", "set.zip", "-o", "b").code == 0
    lists = [json.loads((cli.home / name / "split.json").read_text()) for name in ("a", "b")]
    assert lists[0] == lists[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_finding_has_its_place_in_the_archive(cli: Cli, command: str) -> None:
    packed(exported(cli.home, bad=True), cli.home / "set.zip")
    verb, *options = COMMANDS[command]
    done = cli("dataset", verb, "set.zip", *options)
    assert "unpacked-" not in done.err + done.out and not re.search(
        "/taorunner-(?!tests)", done.err + done.out
    )
    if command != "stats":
        assert done.code == 3
        assert "set.zip/export/train/labels/3.txt:2" in done.err + done.out
    if command in ("split", "resize"):
        assert "taorunner dataset check set.zip\n" in done.err
    assert not (cli.home / "made").exists()
    assert sorted(path.name for path in cli.home.iterdir() if "set" in path.name or "made" in path.name) == [
        "set.zip"
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_archive_is_refused_by_each_command(cli: Cli, command: str) -> None:
    verb, *options = COMMANDS[command]
    (cli.home / "set.zip").write_bytes(b"PK")
    (cli.home / "labels.json").write_text('{"images": [], "annotations": [], "categories": []}')
    (cli.home / "notes.bin").write_bytes(b"x")
    cut = cli("dataset", verb, "set.zip", *options)
    assert cut.code == 3
    assert (
        'set.zip" cannot be read as ZIP: file is not a zip file' in cut.err and "export it again" in cut.err
    )
    bare = cli("dataset", verb, "labels.json", *options)
    assert bare.code == 2
    assert 'labels.json" is an annotation file; a dataset is a folder or an archive' in bare.err
    assert f"name the folder that has both the annotations and the images, such as {cli.home}\n" in bare.err
    other = cli("dataset", verb, "notes.bin", *options)
    assert other.code == 2 and 'notes.bin" is a file; a dataset is a folder or an archive' in other.err
    assert not (cli.home / "made").exists()


def test_an_archive_is_never_replaced_by_its_result(cli: Cli) -> None:
    archive = packed(exported(cli.home), cli.home / "set.zip")
    before = archive.read_bytes()
    for output in ("set.zip", "set.zip/made", "."):
        done = cli("dataset", "convert", "set.zip", "-o", output, "--overwrite")
        assert done.code == 2 and "cannot be in, around or at the source" in done.err
    (cli.home / "made").mkdir()
    (cli.home / "made/mine.txt").touch()
    assert cli("dataset", "convert", "set.zip", "-o", "made").code == 2
    assert archive.read_bytes() == before and (cli.home / "made/mine.txt").exists()


def test_fix_wants_a_folder(cli: Cli) -> None:
    packed(exported(cli.home), cli.home / "set.zip")
    done = cli("dataset", "check", "set.zip", "--fix")
    assert done.code == 2
    assert "--fix repairs a folder, not an archive" in done.err
    assert "unzip set.zip -d set\n" in done.err


def test_the_name_of_an_archive_below_data_is_enough(cli: Cli) -> None:
    assert cli("init-project", "cars", "--head", "rtdetr").code == 0
    data = cli.home / "projects/cars/data"
    data.mkdir(exist_ok=True)
    packed(exported(cli.home), data / "set.zip")
    done = cli("dataset", "convert", "set.zip", "--to", "coco", "-p", "cars")
    assert done.code == 0, done.err
    assert (data / "set_coco/train/annotations.json").is_file()


def test_what_a_kill_left_is_removed_by_the_next_command(cli: Cli) -> None:
    packed(exported(cli.home), cli.home / "set.zip")
    process = cli.start("--version")
    process.communicate()
    (cli.home / f".made.unpacked-{process.pid}/set").mkdir(parents=True)
    done = cli("dataset", "convert", "set.zip", "-o", "made")
    assert done.code == 0, done.err
    assert not list(cli.home.glob(".made*"))


def test_a_folder_that_holds_only_an_archive_names_it(cli: Cli) -> None:
    (cli.home / "d").mkdir()
    packed(exported(cli.home), cli.home / "d/set.zip")
    done = cli("dataset", "check", "d")
    assert done.code == 3
    assert "give the archive itself: d/set.zip\n" in done.err
    assert cli("dataset", "check", str(cli.home / "d/set.zip")).code == 0
