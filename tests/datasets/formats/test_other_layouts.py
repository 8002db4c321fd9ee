"""Datasets of networks without boxes, class folders or masks are named and refused by every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from taorunner.catalog.load import network_names
from taorunner.catalog.other_layouts import other_layouts
from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.other_layouts import other_layout
from taorunner.datasets.report.stats import read_stats
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.folder_datasets import lay_out
from taorunner.datasets.transform.resize import resize_dataset
from taorunner.datasets.transform.split import split_dataset
from taorunner.datasets.writers.texts import TEXT_TARGETS
from taorunner.errors import UserFilesError

SHARES = {"train": 0.5, "val": 0.5}


def lay(root: Path, *names: str) -> Path:
    """An image for the name of an image; ``NAME=TEXT`` for every other file."""
    for number, name in enumerate(names):
        path = root / name.partition("=")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".jpg", ".png") and "=" not in name:
            Image.new("RGB", (20 + number, 16)).save(path)
        else:
            path.write_text(name.partition("=")[2])
    return root


LAYOUTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "changenet-masks": ("visual_changenet", ("train/A/1.png", "train/B/1.png", "train/label/1.png")),
    "changenet-list": ("visual_changenet", ("A/1.png", "B/1.png", "list/train.txt=1.png\n")),
    "changenet-table": ("visual_changenet", (
        "images/x/p_l.jpg", "images/g/p_l.jpg", "t.csv=input_path,golden_path,label,object_name\nx,g,ok,p\n")),
    "mvtec": ("visual_changenet", (
        "bottle/train/good/1.png", "bottle/test/crack/1.png", "bottle/ground_truth/crack/1_mask.png")),
    "stereo": ("depth_net", ("left/1.png", "right/1.png", "train.txt=left/1.png right/1.png d/1.pfm\n")),
    "depth": ("depth_net", ("s1/images/1.png", "s1/depth/1.png")),
    "ocdnet": ("ocdnet", ("train/img/i1.jpg", "train/gt/gt_i1.txt=1,1,9,1,9,9,1,9,word\n")),
    "ocrnet": ("ocrnet", ("train/w1.png", "train/gt_new.txt=w1.png hello\n")),
    "lprnet": ("lprnet", ("train/image/p1.jpg", "train/label/p1.txt=AB123C\n")),
    "plates": ("lprnet", ("train/images/1.jpg", "train/labels/1.txt=AB123\n")),
    "icdar": ("ocdnet", (
        "ch4_training_images/i1.jpg", "ch4_training_gt/gt_i1.txt=1,1,9,1,9,9,1,9,word\n")),
    "fpenet": ("fpenet", (
        "a.png", 'd.json=[{"filename": "a.png", "annotations": [{"class": "FiducialPoints", "P1x": 3}]}]')),
    "centerpose": ("centerpose", ("train/a.png", 'train/a.json={"camera_data": {}, "objects": []}')),
    "videos": ("action_recognition", ("train/walk/v1/rgb/0001.png", "train/run/v2/rgb/0001.png")),
    "reid": ("re_identification", ("train/1_c1.jpg", "gallery/1_c2.jpg", "query/1_c3.jpg")),
    "market": ("re_identification", ("bounding_box_train/1_c1s1_1.jpg", "query/1_c2s1_1.jpg")),
    "metric": ("ml_recog", ("train/a/1.jpg", "reference/a/2.jpg", "val/a/3.jpg")),
    "multitask": ("multitask_classification", ("images/1.jpg", "train.csv=fname,colour,kind\n1.jpg,red,a\n")),
    "clip": ("clip", ("train/images/1.jpg", "train/captions/1.txt=a red car\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_command_names_the_layout_and_its_network(name: str, tmp_path: Path) -> None:
    head, files = LAYOUTS[name]
    root = lay(tmp_path / "d", *files)
    before = sorted(root.rglob("*"))
    commands: list[Callable[[], object]] = [
        lambda: convert(root, tmp_path / "k", to="kitti"),
        lambda: convert(root, tmp_path / "c", to="coco"),
        lambda: lay_out(root, tmp_path / "f", to="classification"),
        lambda: read_stats(root),
        lambda: resize_dataset(root, tmp_path / "r", size=(32, 32)),
    ]
    if head not in TEXT_TARGETS:
        commands += [
            lambda: check_dataset(root),
            lambda: split_dataset(root, tmp_path / "s", shares=SHARES, seed=1),
        ]
    for command in commands:
        with pytest.raises(UserFilesError) as caught:
            command()
        assert f" has the layout of {head}" in caught.value.message
        assert caught.value.hint is not None
        assert (f"taorunner dataset convert {root} --to {head}" in caught.value.hint) == (
            head in TEXT_TARGETS
        )
    assert sorted(root.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_the_layouts_are_those_of_heads_that_exist() -> None:
    heads = {head for layout in other_layouts() for head in layout.heads}
    assert heads <= set(network_names())


@pytest.mark.parametrize("files", [
    ("left/1.jpg", "right/2.jpg", "classes.txt=left\nright\n"),
    ("train/good/1.jpg", "train/bad/2.jpg", "test/good/3.jpg", "test/bad/4.jpg"),
    ("A/1.jpg", "B/2.jpg", "C/3.jpg"),
    ("images/1.jpg", "labels/1.txt=car 0 0 0 1 1 9 9 0 0 0 0 0 0 0\n"),
    ("image/1.jpg", "label/1.txt=car 0 0 0 1 1 9 9 0 0 0 0 0 0 0\n"),
])  # fmt: skip
def test_ordinary_datasets_pass(files: tuple[str, ...], tmp_path: Path) -> None:
    assert other_layout(Folder(lay(tmp_path, *files))) is None


@pytest.mark.parametrize(("files", "code"), [
    (("cat/1.jpg", "dog/2.jpg", "cat/1.json={}"), "files-beside-pictures"),
    (("train/cat/in/1.jpg", "train/cat/out/2.jpg"), "class-folder-deep"),
])  # fmt: skip
def test_class_folders_with_more_than_classes_are_not_rearranged(
    files: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    root = lay(tmp_path / "d", *files)
    with pytest.raises(UserFilesError) as caught:
        lay_out(root, tmp_path / "made", to="classification")
    assert code in [finding.code for finding in caught.value.findings]


def test_what_people_keep_beside_class_folders_is_no_fault(tmp_path: Path) -> None:
    root = lay(tmp_path / "d", "cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "classes.txt=cat\ndog\n", "README.md=x")
    assert split_dataset(root, tmp_path / "s", shares=SHARES, seed=1).target == "classification"


def test_folders_of_subsets_are_no_classes(tmp_path: Path) -> None:
    """Images and label images of a segmentation whose folders are not the ones that are known."""
    root = lay(tmp_path / "d", "images/train/1.png", "images/val/2.png", "annotations/train/1.png")
    with pytest.raises(UserFilesError):
        split_dataset(root, tmp_path / "s", shares=SHARES, seed=1)
    assert not (tmp_path / "s").exists()
