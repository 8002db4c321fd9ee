"""Class folders and images with masks, laid out as TAO reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.transform.folder_datasets import lay_out
from taorunner.datasets.transform.split_folders import kind_of
from taorunner.errors import UserFilesError


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two images of each class; the third of "bus" is no image."""
    root = tmp_path / "classes"
    for name in ("bus", "car"):
        (root / name).mkdir(parents=True)
        for number in range(2):
            Image.effect_noise((32, 24), 40 + number).convert("RGB").save(root / name / f"{name}{number}.png")
    (root / "bus/bus2.png").write_bytes(b"no image")
    return root


def test_what_cannot_be_read_stops_or_is_left_out(classes: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(UserFilesError, match=r"^nothing was written, because something is wrong") as caught:
        lay_out(classes, made, to="classification")
    assert caught.value.hint == "correct the errors above, or leave the bad parts out with --skip-bad"
    assert [finding.file for finding in caught.value.findings if finding.is_error] == [
        classes / "bus/bus2.png"
    ]
    assert not made.exists()
    done = lay_out(classes, made, to="classification", skip_bad=True)
    assert [finding.code for finding in done.findings] == ["picture-unreadable"]
    assert sorted(path.name for path in made.rglob("*.png")) == [
        "bus0.png",
        "bus1.png",
        "car0.png",
        "car1.png",
    ]
    assert (made / "classes.txt").read_text() == "bus\ncar\n"


def test_a_folder_without_images_is_refused_also_with_skip_bad(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserFilesError, match=r"^no images for classification here in"):
        lay_out(tmp_path / "empty", tmp_path / "made", to="classification", skip_bad=True)


def drawn(path: Path, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 1).save(path)


DEEP = "give the folder whose subfolders are the classes, or move the images up"
FIRST = "put class folders into it: SPLIT/CLASS/"
BOXES = "for boxes use --to kitti or --to coco"
FULL = "add some, or remove the class from all splits"


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (("a.png", "cat/b.png"), [("class-missing", "the image is not in a class folder", "a.png", None)]),
        (
            ("x/in/1.png", "x/in/2.png", "x/out/3.png"),
            [
                (
                    "class-folder-deep",
                    "images lie deeper than SPLIT/CLASS/ or CLASS/ in 2 folders, such as "
                    '"x/in": it is unclear which folder is the class',
                    "x/in/1.png",
                    DEEP,
                )
            ],
        ),
        (
            ("train/x/in/1.png", "train/x/2.png"),
            [
                (
                    "class-folder-deep",
                    "images lie deeper than SPLIT/CLASS/ or CLASS/ in 1 folder, such as "
                    '"train/x/in": it is unclear which folder is the class',
                    "train/x/in/1.png",
                    DEEP,
                )
            ],
        ),
        (("Masks/1.png", "cat/2.png"), [("class-folder-name", '"Masks" is a folder of formats with boxes, not a class', ".", BOXES)]),
        (("test/1.png", "cat/2.png"), [("class-folder-name", '"test" is the name of a subset, not of a class', ".", FIRST)]),
        (
            ("train/cat/1.png", "train/dog/2.png", "val/cat/3.png"),
            [("class-set-differs", 'the class "dog" has images in another split, but none in "val"', ".", FULL)],
        ),
        (
            ("cat/a.png", "train/cat/a.png"),
            [("name-twice", '"train/cat/a.png" would hold both this file and "cat/a.png"', "train/cat/a.png", "rename one of them")],
        ),
    ],
)  # fmt: skip
def test_each_fault_of_class_folders_has_its_place(
    files: tuple[str, ...], wanted: list[tuple[str, str, str, str | None]], tmp_path: Path
) -> None:
    root = tmp_path / "source"
    for file in files:
        drawn(root / file)
    with pytest.raises(UserFilesError) as caught:
        lay_out(root, tmp_path / "made", to="classification")
    found = [(one.code, one.message, one.file, one.hint) for one in caught.value.findings]
    assert found == [(code, message, root / place, hint) for code, message, place, hint in wanted]


def test_images_without_a_split_are_for_training(tmp_path: Path) -> None:
    for file in ("cat/1.png", "cat/2.png", "dog/3.png", "val/cat/4.png", "val/dog/5.png", "images/dog/6.png"):
        drawn(tmp_path / "source" / file)
    done = lay_out(tmp_path / "source", tmp_path / "made", to="classification")
    assert [(one.name, one.before, one.left_out) for one in done.classes] == [("cat", 3, 0), ("dog", 3, 0)]
    assert dict(done.subsets) == {"train": 4, "val": 2}
    assert (done.images_before, done.images_after, done.findings) == (6, 6, ())


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ((("images/a.png", "RGB"),), [("mask-missing", "no mask has the same name", "images/a.png")]),
        ((("masks/a.png", "L"),), [("picture-missing", "no image has the same name", "masks/a.png")]),
        (
            (("images/val/a.png", "RGB"), ("masks/train/a.png", "L")),
            [
                ("picture-missing", "no image has the same name", "masks/train/a.png"),
                ("mask-missing", "no mask has the same name", "images/val/a.png"),
            ],
        ),
        (
            (("images/a.png", "RGB"), ("images/a.jpg", "RGB"), ("masks/a.png", "P")),
            [("name-twice", 'same name as "images/a.jpg": it is unclear which mask belongs to which image', "images/a.png")],
        ),
        (
            (("images/a.png", "RGB"), ("masks/a.png", "RGB")),
            [("mask-kind", "a mask must be a grayscale or palette PNG, not PNG with 3 channels", "masks/a.png")],
        ),
        (
            (("images/a.png", "RGB"), ("masks/a.bmp", "L")),
            [("mask-kind", "a mask must be a grayscale or palette PNG, not BMP with 1 channels", "masks/a.bmp")],
        ),
    ],
)  # fmt: skip
def test_each_fault_of_masks_has_its_place(
    files: tuple[tuple[str, str], ...], wanted: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    root = tmp_path / "source"
    drawn(root / "images/good.png")
    drawn(root / "masks/good.png", "L")
    for file, mode in files:
        drawn(root / file, mode)
    with pytest.raises(UserFilesError) as caught:
        lay_out(root, tmp_path / "made", to="segmentation")
    found = [(one.code, one.message, one.file) for one in caught.value.findings]
    assert sorted(found) == sorted((code, message, root / place) for code, message, place in wanted)


@pytest.mark.parametrize(("width", "height"), [(9, 8), (8, 9)])
def test_a_mask_has_the_size_of_its_image(width: int, height: int, tmp_path: Path) -> None:
    root = tmp_path / "source"
    for name, size in (("a", (width, height)), ("b", (8, 8))):
        drawn(root / "images/test" / f"{name}.png")
        drawn(root / "masks/test" / f"{name}.png", "L", size)
    with pytest.raises(UserFilesError) as caught:
        lay_out(root, tmp_path / "made", to="segmentation")
    (found,) = caught.value.findings
    message = f"the mask has {width}x{height} pixels, its image 8x8"
    assert (found.code, found.message, found.file) == ("mask-size", message, root / "masks/test/a.png")
    done = lay_out(root, tmp_path / "made", to="segmentation", skip_bad=True)
    assert (done.images_before, done.images_after, dict(done.subsets)) == (1, 1, {"test": 1})
    made = sorted(path.relative_to(tmp_path / "made").as_posix() for path in (tmp_path / "made").rglob("*.*"))
    assert made == ["images/test/b.png", "masks/test/b.png"]


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ((), None),
        (("a.png",), None),
        (("cat/1.png",), None),  # one folder is no class
        (("cat/1.png", "dog/1.png"), "classification"),
        (("train/cat/1.png", "val/cat/2.png"), "classification"),
        (("cat/1.png", "images/2.png"), None),
        (("Image_2/1.png",), None),
        (("images/1.png", "masks/1.png"), "segmentation"),
        (("cat/1.png", "dog/1.png", "train.csv"), "classification"),
    ],
)
def test_the_kind_of_a_folder_without_boxes(files: tuple[str, ...], kind: str | None, tmp_path: Path) -> None:
    for file in files:
        if file.endswith(".png"):
            drawn(tmp_path / file, "L" if "masks" in file else "RGB")
        else:
            (tmp_path / file).touch()
    assert kind_of(tmp_path) == kind
