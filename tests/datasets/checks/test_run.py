"""Every row of the table of checks: planted in a clean dataset, found by its name, and nothing else invented."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from shapes import SHAPES

from taorunner.datasets.checks.classes import ClassNeeds
from taorunner.datasets.checks.run import check_dataset
from taorunner.errors import Severity, UserFilesError

LINE = "car 0.00 0 0.00 {} 0 0 0 0 0 0 0\n"


def a_line(box: str = "10 10 60 50", name: str = "car") -> str:
    return LINE.format(box).replace("car", name, 1)


def write_image(
    path: Path, size: tuple[int, int] = (96, 64), seed: int = 0, mode: str = "RGB", **options: object
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": 1, "RGBA": 4, "CMYK": 4}.get(mode, 3)
    data = bytes((i * 7 + seed * 31) % 251 for i in range(size[0] * size[1] * channels))
    Image.frombytes(mode, size, data).save(path, **options)  # type: ignore[arg-type]
    return path


def make_clean(root: Path) -> Path:
    """Two subsets, a background image in each, both classes in both."""
    for number, subset in enumerate(("train", "val")):
        for i in range(4):
            seed = number * 10 + i
            write_image(root / subset / "images" / f"{subset}_{i}.jpg", seed=seed)
            text = "" if i == 3 else a_line() + a_line("5 5 25 30", "person")
            label = root / subset / "labels" / f"{subset}_{i}.txt"
            label.parent.mkdir(exist_ok=True)
            label.write_text(text)
    return root


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return make_clean(tmp_path / "data")


def problems(
    root: Path, *, deep: bool = False, needs: tuple[ClassNeeds, ...] = ()
) -> list[tuple[str, str, str]]:
    """(code, file name, "line:column") of errors and warnings, in order."""
    found = check_dataset(root, deep=deep, needs=needs).findings
    return sorted(
        (f.code, f.file.name if f.file else "", ":".join(str(n) for n in (f.line, f.column) if n))
        for f in found
        if f.severity in (Severity.ERROR, Severity.WARNING)
    )


def test_a_clean_dataset_has_no_problem(clean: Path) -> None:
    assert problems(clean, deep=True) == []
    assert [f.message for f in check_dataset(clean).findings] == [
        "train: 4 images, 1 of them background (25 %); car 3, person 3",
        "val: 4 images, 1 of them background (25 %); car 3, person 3",
    ]


def rewritten(old: str, new: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        path = root / "train/labels/train_0.txt"
        path.write_bytes(path.read_bytes().replace(old.encode(), new.encode("utf-8", "surrogateescape"), 1))

    return plant


def line_with(line: str) -> Callable[[Path], None]:
    """A third line."""

    def plant(root: Path) -> None:
        path = root / "train/labels/train_0.txt"
        path.write_text(path.read_text() + line)

    return plant


def saved(**options: object) -> Callable[[Path], None]:
    return lambda root: _replace(root / "train/images/train_0.jpg", options)


def _replace(path: Path, options: dict[str, object]) -> None:
    path.unlink()
    write_image(path, seed=77, **options)  # type: ignore[arg-type]


def an_image(name: str, **options: object) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        path = write_image(root / "train/images" / name, seed=55, **options)  # type: ignore[arg-type]
        (root / "train/labels" / f"{path.stem}.txt").write_text(a_line())

    return plant


def sixteen_bits(root: Path) -> None:
    for path in root.rglob("*.jpg"):
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()
    Image.new("I;16", (96, 64), 900).save(root / "train/images/train_0.png")


def with_alpha(root: Path) -> None:
    for path in root.rglob("*.jpg"):
        write_image(
            path.with_suffix(".png"), mode="RGBA" if path.stem == "train_0" else "RGB", seed=len(path.stem)
        )
        Image.open(path).convert("RGBA" if path.stem == "train_0" else "RGB").save(path.with_suffix(".png"))
        path.unlink()


def rotated(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = root / "train/images/train_0.jpg"
    path.unlink()
    write_image(path, (64, 96), seed=77, exif=exif)


def truncated(root: Path) -> None:
    path = root / "train/images/train_0.jpg"
    path.write_bytes(path.read_bytes()[:-200])


def rare(root: Path) -> None:
    for subset in ("train", "val"):
        path = root / subset / "labels" / f"{subset}_0.txt"
        path.write_text(
            "".join(a_line(f"{i} {i} {i + 20} {i + 20}") for i in range(30)) + a_line("5 5 25 30", "dog")
        )


PLANTED: dict[str, tuple[Callable[[Path], object], list[tuple[str, str, str]]]] = {
    "label without image": (
        lambda root: (root / "train/labels/lost.txt").write_text(""), [("label-without-image", "lost.txt", "")]),
    "image without label": (
        lambda root: (root / "val/labels/val_3.txt").unlink(), [("image-without-label", "val_3.jpg", "")]),
    "16 columns": (line_with(a_line("1 1 30 30")[:-1] + " 0.93\n"), [("label-columns", "train_0.txt", "3")]),
    "14 columns": (line_with("car 0 0 0 1 1 30 30 0 0 0 0 0 0\n"), [("label-columns", "train_0.txt", "3")]),
    "no number": (rewritten("10 10", "10 ten"), [("label-not-a-number", "train_0.txt", "1:20")]),
    "not a number": (rewritten("10 10", "nan 10"), [("label-not-finite", "train_0.txt", "1:17")]),
    "infinite": (rewritten("60 50", "60 inf"), [("label-not-finite", "train_0.txt", "1:26")]),
    "occluded with a point": (rewritten("0.00 0 ", "0.00 0.0 "), [("label-occluded", "train_0.txt", "1:10")]),
    "blank line": (line_with("\n"), [("label-blank-line", "train_0.txt", "3")]),
    "CR LF": (rewritten("0\n", "0\r\n"), [("label-crlf", "train_0.txt", "1")]),
    "byte order mark": (rewritten("car", "\ufeffcar"), [("label-bom", "train_0.txt", "1:1")]),
    "Latin-1": (rewritten("car", "ca\udcfc"), [
        ("class-missing-in-subset", "images", ""), ("label-not-utf8", "train_0.txt", "1")]),
    "class with a blank": (line_with(a_line("1 1 30 30", "traffic light")), [
        ("class-missing-in-subset", "images", ""), ("class-name-blank", "train_0.txt", "3:1")]),
    "upper case and differing case": (rewritten("car", "Car"), [
        ("class-name-case", "train_0.txt", "1:1"), ("class-names-merge", "train_0.txt", "1:1")]),
    "outside": (line_with(a_line("97 1 120 30")), [("box-outside", "train_0.txt", "3:17")]),
    "beyond the edge": (line_with(a_line("-9 1 30 30")), [("box-beyond-edge", "train_0.txt", "3:17")]),
    "inverted": (line_with(a_line("30 1 10 30")), [("box-inverted", "train_0.txt", "3:17")]),
    "no area": (line_with(a_line("30 1 30 30")), [("box-empty", "train_0.txt", "3:17")]),
    "tiny": (line_with(a_line("30 1 31 30")), [("box-tiny", "train_0.txt", "3:17")]),
    "duplicate box": (line_with(a_line()), [("box-duplicate", "train_0.txt", "3:17")]),
    "empty image": (
        lambda root: (root / "train/images/train_0.jpg").write_bytes(b""), [("image-empty", "train_0.jpg", "")]),
    "corrupt image": (
        lambda root: (root / "train/images/train_0.jpg").write_bytes(b"<html>" * 90),
        [("image-corrupt", "train_0.jpg", "")]),
    "truncated image": (truncated, [("image-truncated", "train_0.jpg", "")]),
    "wrong extension": (saved(format="png"), [("image-wrong-extension", "train_0.jpg", "")]),
    "CMYK": (saved(mode="CMYK"), [("image-cmyk", "train_0.jpg", "")]),
    "grayscale among colours": (saved(mode="L"), [("image-grayscale", "train_0.jpg", "")]),
    "16 bits": (sixteen_bits, [("image-16-bit", "train_0.png", ""), ("image-grayscale", "train_0.png", "")]),
    "alpha": (with_alpha, [("image-alpha", "train_0.png", "")]),
    "rotation": (rotated, [("image-exif-rotation", "train_0.jpg", "")]),
    "mixed extensions": (an_image("other.png"), [("mixed-extensions", "other.png", "")]),
    "upper-case extension": (an_image("other.JPG", format="jpeg"), [
        ("extension-case", "other.JPG", ""), ("mixed-extensions", "other.JPG", "")]),
    "colliding stems": (an_image("train_1.png"), [
        ("mixed-extensions", "train_1.png", ""), ("stem-collision", "train_1.png", "")]),
    "blank in a name": (an_image("two words.jpg"), [("image-name", "two words.jpg", "")]),
    "beyond ASCII in a name": (an_image("grün.jpg"), [("image-name", "grün.jpg", "")]),
    "same image in train and val": (
        lambda root: shutil.copy(root / "train/images/train_1.jpg", root / "val/images/val_3.jpg"),
        [("same-image-in-subsets", "val_3.jpg", "")]),
    "same image twice": (
        lambda root: shutil.copy(root / "train/images/train_1.jpg", root / "train/images/train_2.jpg"),
        [("image-twice", "train_2.jpg", "")]),
    "class missing in val": (line_with(a_line("1 1 30 30", "dog")), [("class-missing-in-subset", "images", "")]),
    "rare class": (rare, [("class-imbalance", "images", "")]),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(clean: Path, name: str) -> None:
    plant, expected = PLANTED[name]
    plant(clean)
    assert problems(clean) == expected


def test_all_faults_of_all_files_are_reported_at_once(clean: Path) -> None:
    expected = []
    for i, name in enumerate(("no number", "inverted", "duplicate box")):
        work = clean.parent / f"w{i}"
        make_clean(work)
        PLANTED[name][0](work)
        path = work / "train/labels/train_0.txt"
        shutil.copy(path, clean / f"train/labels/train_{i}.txt")
        expected += [(code, f"train_{i}.txt", place) for code, _, place in PLANTED[name][1]]
    (clean / "train/images/train_3.jpg").write_bytes(b"")
    assert problems(clean) == sorted([*expected, ("image-empty", "train_3.jpg", "")])


def test_only_decoding_finds_pixels_that_are_broken(clean: Path) -> None:
    path = clean / "train/images/train_0.jpg"
    path.unlink()
    write_image(path.with_suffix(".png"), seed=77)
    data = bytearray(path.with_suffix(".png").read_bytes())
    data[60:90] = bytes(30)
    path.with_suffix(".png").unlink()
    for other in clean.rglob("*.jpg"):
        Image.open(other).save(other.with_suffix(".png"))
        other.unlink()
    path.with_suffix(".png").write_bytes(data)
    assert problems(clean) == []
    assert problems(clean, deep=True) == [("image-undecodable", "train_0.png", "")]


def test_images_of_another_size_than_the_input_are_counted(clean: Path) -> None:
    spec = clean / "train.txt"
    needs = ClassNeeds(spec, input_size=(100, 64))
    assert problems(clean, needs=(needs,)) == [("image-size", "train.txt", "")]
    fitting = ClassNeeds(spec, input_size=(96, 64))
    assert problems(clean, needs=(fitting,)) == []


def test_boxes_too_small_for_the_network_are_reported(clean: Path) -> None:
    """4 pixels of 16 are 16 of 64 and 24 of 96: the looser of both counts."""
    line_with(a_line("5 5 20 35"))(clean)
    needs = ClassNeeds(clean / "train.txt", input_size=(16, 16))
    assert problems(clean, needs=(needs,)) == [
        ("box-tiny", "train_0.txt", "3:17"),
        ("image-size", "train.txt", ""),
    ]


def test_coco_is_read(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    write_image(root / "images/a.jpg", seed=1)
    annotation = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [10, 10, 20, 20], "area": 400}
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 96, "height": 64}],
        "annotations": [annotation],
        "categories": [{"id": 3, "name": "car"}],
    }
    (root / "annotations.json").write_text(json.dumps(document))
    assert problems(root) == []
    del annotation["area"]
    annotation["bbox"] = [90, 10, 20, 20]
    (root / "annotations.json").write_text(json.dumps(document))
    assert problems(root) == [
        ("box-beyond-edge", "annotations.json", ""),
        ("coco-area", "annotations.json", ""),
    ]


def test_class_folders_and_masks(tmp_path: Path) -> None:
    folders = tmp_path / "folders"
    for number, place in enumerate(("train/cat/a.jpg", "train/dog/b.jpg", "val/cat/c.jpg", "val/dog/d.jpg")):
        write_image(folders / place, seed=number)
    assert problems(folders) == []
    shutil.rmtree(folders / "val/dog")
    (folders / "train/cat/a.jpg").unlink()
    assert problems(folders) == [("class-folder-empty", "cat", ""), ("class-sets-differ", "val", "")]
    pairs = tmp_path / "pairs"
    for number, name in enumerate(("a", "b", "c")):
        write_image(pairs / "images/train" / f"{name}.png", seed=number)
        mask = pairs / "masks/train" / f"{name}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (96, 64), number).save(mask)
    needs = ClassNeeds(pairs / "spec.yaml", num_classes=3)
    assert problems(pairs, deep=True, needs=(needs,)) == []
    Image.new("L", (90, 64), 1).save(pairs / "masks/train/a.png")
    Image.new("RGB", (96, 64)).save(pairs / "masks/train/b.png")
    Image.new("L", (96, 64), 3).save(pairs / "masks/train/c.png")
    assert problems(pairs, deep=True, needs=(needs,)) == [
        ("mask-mode", "b.png", ""), ("mask-size", "a.png", ""), ("mask-value", "c.png", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_format_is_checked_as_what_it_is(tmp_path: Path, shape: str) -> None:
    SHAPES[shape][1](tmp_path / "d")
    report = check_dataset(tmp_path / "d")
    assert report.kind == SHAPES[shape][0]
    assert sum(part.images for part in report.subsets) == 6
    assert sum(part.classes.total() for part in report.subsets) == 6
    codes = {finding.code for finding in report.findings if finding.is_error}
    assert codes <= {
        "label-occluded",
        "mixed-extensions",
        "coco-area",
        "label-columns",
        "class-name-blank",
        "label-bom",
    }


def labelled(root: Path, files: str) -> Path:
    """Images and empty other files, at the paths named."""
    for number, name in enumerate(files.split()):
        if name.endswith((".jpg", ".png")):
            write_image(root / name, seed=number)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("0")
    return root


OTHER_LAYOUTS = {
    "ocdnet": "train/img/a.jpg train/img/b.jpg train/gt/gt_a.txt train/gt/gt_b.txt test/img/c.jpg test/gt/gt_c.txt",
    "depth_net": "scene_01/images/a.png scene_01/depth/a.pfm scene_02/images/b.png scene_02/depth/b.npy",
    "clip": "train/images/a.jpg train/captions/a.txt val/images/b.jpg val/captions/b.txt test/c.jpg prompts.txt",
    "action_recognition": "train/walk/v1/rgb/0.jpg train/run/v2/rgb/0.jpg val/walk/v3/rgb/0.jpg videos/v4/rgb/0.jpg",
    "action_recognition, loose frames to try": "train/walk/v1/rgb/0.jpg val/walk/v3/rgb/0.jpg videos/v4/0.jpg",
    "centerpose": "train/bike_1/0.png train/bike_1/0.json val/bike_2/0.png val/bike_2/0.json",
    "lprnet": "train/image/a.jpg train/label/a.txt val/image/b.jpg val/label/b.txt characters.txt",
}


@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
def test_folders_of_other_layouts_are_no_classes(tmp_path: Path, layout: str) -> None:
    with pytest.raises(
        UserFilesError, match=r"cannot be checked|no annotations in a known format|has the layout of"
    ):
        check_dataset(labelled(tmp_path, OTHER_LAYOUTS[layout]))


def test_a_class_of_unreadable_files_is_an_empty_class(tmp_path: Path) -> None:
    labelled(tmp_path, "train/cat/a.jpg train/dog/b.heic train/dog/Thumbs.db val/cat/c.jpg val/dog/d.jpg")
    empty = [("class-folder-empty", "dog", ""), ("files-beside-pictures", "b.heic", "")]
    assert problems(tmp_path) == empty


def test_classes_that_a_network_does_not_read_as_a_fixed_set_may_differ(tmp_path: Path) -> None:
    labelled(tmp_path, "train/cat/a.jpg train/dog/b.jpg val/cat/c.jpg val/cow/d.jpg")
    spec = tmp_path / "train.yaml"
    metric, classes = (ClassNeeds(spec, has_class_folders=has) for has in (False, True))
    assert problems(tmp_path, needs=(metric,)) == []
    differ = [("class-sets-differ", "train", ""), ("class-sets-differ", "val", "")]
    assert problems(tmp_path) == problems(tmp_path, needs=(metric, classes)) == differ


def test_a_panoptic_file_is_not_held_for_one_of_boxes(tmp_path: Path) -> None:
    write_image(tmp_path / "train/a.jpg")
    segment = {"id": 1, "category_id": 1, "iscrowd": 0, "area": 4, "bbox": [0, 0, 2, 2]}
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 96, "height": 64}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [segment]}],
        "categories": [{"id": 1, "name": "car", "isthing": 1}],
    }
    file = tmp_path / "annotations/train.json"
    file.parent.mkdir()
    file.write_text(json.dumps(document))
    with pytest.raises(UserFilesError) as refused:
        check_dataset(tmp_path)
    assert "no annotations in a known format" in str(refused.value)
