"""Class folders and images with masks: laid out as TAO reads them, or refused with the fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from shapes import asset, write_image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.repair.run import fix_dataset
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.folder_datasets import lay_out
from taorunner.datasets.transform.resize import resize_dataset
from taorunner.errors import MachineError, UserFilesError


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_class_folders_are_laid_out_with_their_list(tmp_path: Path) -> None:
    for name in ("train/cat/a.jpg", "train/dog/b.jpg", "valid/cat/c.jpg", "valid/dog/d.png"):
        write_image(tmp_path / "source" / name, 20, 20)
    done = lay_out(tmp_path / "source", tmp_path / "made", to="classification")
    wanted = ["classes.txt", "train/cat/a.jpg", "train/dog/b.jpg", "val/cat/c.jpg", "val/dog/d.png"]
    assert files_of(tmp_path / "made") == wanted
    assert (tmp_path / "made/classes.txt").read_text() == "cat\ndog\n"
    assert (done.images_before, done.images_after, done.subsets) == (4, 4, {"train": 2, "val": 2})
    assert dict(done.after) == {"cat": 2, "dog": 2}


def test_a_class_that_a_split_lacks_is_reported(tmp_path: Path) -> None:
    for name in ("train/cat/a.jpg", "train/dog/b.jpg", "val/cat/c.jpg"):
        write_image(tmp_path / "source" / name, 20, 20)
    with pytest.raises(UserFilesError) as caught:
        lay_out(tmp_path / "source", tmp_path / "made", to="classification")
    assert [finding.code for finding in caught.value.findings] == ["class-set-differs"]
    assert not (tmp_path / "made").exists()


def test_two_files_for_one_place_are_reported(tmp_path: Path) -> None:
    for name in ("cat/a.jpg", "train/cat/a.jpg"):
        write_image(tmp_path / "source" / name, 20, 20)
    with pytest.raises(UserFilesError) as caught:
        lay_out(tmp_path / "source", tmp_path / "made", to="classification")
    assert [finding.code for finding in caught.value.findings] == ["name-twice"]


def mask(path: Path, width: int, height: int, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height)).save(path)


def test_images_and_masks_are_paired_by_name(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for split in ("train", "valid"):
        write_image(source / split / "images/a.jpg", 20, 10)
        mask(source / split / "masks/a.png", 20, 10, "P")
    done = lay_out(source, tmp_path / "made", to="segmentation")
    wanted = ["images/train/a.jpg", "images/val/a.jpg", "masks/train/a.png", "masks/val/a.png"]
    assert files_of(tmp_path / "made") == wanted
    assert (done.images_after, done.subsets) == (2, {"train": 1, "val": 1})


def test_masks_that_do_not_fit_are_all_reported(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("good", "small", "colour", "alone"):
        write_image(source / f"images/{name}.jpg", 20, 10)
    mask(source / "masks/good.png", 20, 10)
    mask(source / "masks/small.png", 10, 10)
    mask(source / "masks/colour.png", 20, 10, "RGB")
    mask(source / "masks/other.png", 20, 10)
    with pytest.raises(UserFilesError) as caught:
        lay_out(source, tmp_path / "made", to="segmentation")
    assert sorted((f.code, f.file.name if f.file else "") for f in caught.value.findings) == [
        ("mask-kind", "colour.png"), ("mask-missing", "alone.jpg"), ("mask-size", "small.png"),
        ("picture-missing", "other.png"),
    ]  # fmt: skip


def test_a_dataset_with_boxes_is_no_classification(tmp_path: Path) -> None:
    with pytest.raises(UserFilesError) as caught:
        lay_out(asset("yolo-roboflow", tmp_path / "d"), tmp_path / "made", to="classification")
    assert [f.message for f in caught.value.findings] == [
        '"images" is a folder of formats with boxes, not a class'
    ]


def test_what_was_laid_out_is_checked_as_what_it_is(tmp_path: Path) -> None:
    """Its ``classes.txt`` is what labelImg writes beside YOLO's labels, too."""
    lay_out(asset("classification", tmp_path / "d"), tmp_path / "made", to="classification")
    report = check_dataset(tmp_path / "made")
    assert (report.kind, [dict(part.classes) for part in report.subsets]) == (
        "classification", [{"cat": 2, "dog": 1}, {"cat": 1, "dog": 1}],
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
def test_commands_for_boxes_say_where_folders_belong(kind: str, tmp_path: Path) -> None:
    root = asset(kind, tmp_path / "d")
    for command in (
        lambda: resize_dataset(root, tmp_path / "made", size=(8, 8)),
        lambda: convert(root, tmp_path / "made", to="kitti"),
        lambda: fix_dataset(root, None),
    ):
        with pytest.raises(UserFilesError, match=f"has images for {kind}, and no boxes") as caught:
            command()
        assert f"dataset convert DATASET --to {kind}" in (caught.value.hint or "")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_place_where_nothing_can_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (Path("/proc/made"), tmp_path / "file" / "made"):
        with pytest.raises(MachineError, match="cannot be created: "):
            lay_out(asset("classification", tmp_path / f"d-{place.parent.name}"), place, to="classification")
