"""Pixels and boxes go to the same place, whatever EXIF says; the original stays; one broken image leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from shapes import SHAPES

from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.segmentation import area, polygons
from taorunner.datasets.transform.resize import parse_size, placement, resize_dataset
from taorunner.errors import UsageError, UserFilesError

SEEN = (200, 120)
BOX = (40, 30, 100, 90)
LINE = "car 0 0 0 40 30 100 90 0 0 0 0 0 0 0\n"
_BACK = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def marked(path: Path, orientation: int = 1, mode: str = "RGB") -> None:
    """A white box where the label says, as it is seen; stored as ``orientation`` asks."""
    drawn = Image.new("RGB", SEEN, (20, 20, 20))
    ImageDraw.Draw(drawn).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill=(250, 250, 250))
    turn = _BACK[orientation]
    exif = Image.Exif()
    if turn is not None:
        drawn = drawn.transpose(turn)
        exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.convert(mode).save(path, exif=exif)


def dataset(root: Path, *names: str, orientation: int = 1, mode: str = "RGB") -> Path:
    for name in names:
        marked(root / "images" / name, orientation, mode)
        label = root / "labels" / f"{name.rpartition('.')[0]}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text(LINE)
    return root


def bright_box(path: Path) -> tuple[int, int, int, int]:
    with Image.open(path) as drawn:
        assert drawn.getexif().get(0x0112, 1) == 1
        return drawn.convert("L").point(lambda value: 255 if value > 180 else 0).getbbox()  # type: ignore[return-value]


@pytest.mark.parametrize("letterbox", [False, True])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(100, 100), (400, 160), (64, 32)])
def test_the_box_is_where_the_object_is(
    tmp_path: Path, letterbox: bool, orientation: int, size: tuple[int, int]
) -> None:
    source = dataset(tmp_path / "d", "a.jpg", orientation=orientation)
    done = resize_dataset(source, tmp_path / "made", size=size, letterbox=letterbox)
    assert (done.images, done.resized, done.linked, done.boxes) == (1, 1, 0, 1)
    made = tmp_path / "made/images/a.jpg"
    with Image.open(made) as drawn:
        assert drawn.size == size
    (image,) = read_dataset(tmp_path / "made").images
    (box,) = image.boxes
    labelled = (box.x_min, box.y_min, box.x_max, box.y_max)
    assert bright_box(made) == pytest.approx(labelled, abs=1.5)


def test_a_letterbox_keeps_proportions() -> None:
    place = placement((200, 100), (100, 100), letterbox=True)
    assert (place.width, place.height, place.left, place.top) == (100, 50, 0, 25)
    assert placement((3, 1000), (32, 32), letterbox=True).width == 1


@pytest.mark.parametrize(("name", "mode", "after"), [
    ("a.png", "P", "RGB"), ("a.png", "L", "L"), ("a.png", "RGBA", "RGBA"), ("a.jpg", "CMYK", "RGB"), ("a.bmp", "RGB", "RGB"),
    ("a.jpg", "L", "L"), ("a.png", "1", "RGB"), ("a.jpg", "RGB", "RGB"),
])  # fmt: skip
def test_kinds_of_images(tmp_path: Path, name: str, mode: str, after: str) -> None:
    source = dataset(tmp_path / "d", name, mode=mode)
    resize_dataset(source, tmp_path / "made", size=(100, 90), letterbox=True)
    with Image.open(tmp_path / "made/images" / name) as drawn:
        assert (drawn.size, drawn.mode) == ((100, 90), after)


def test_several_processes_do_what_one_does(tmp_path: Path) -> None:
    source = dataset(tmp_path / "d", *(f"{n:03}.jpg" for n in range(40)))
    progress_calls: list[tuple[str, int, int]] = []
    for processes in (1, 2):
        resize_dataset(
            source, tmp_path / f"made{processes}", size=(64, 64), processes=processes,
            progress=lambda what, done, total: progress_calls.append((what, done, total)),
        )  # fmt: skip
    files = [sorted((p.relative_to(root), p.read_bytes()) for p in root.rglob("*") if p.is_file())
             for root in (tmp_path / "made1", tmp_path / "made2")]  # fmt: skip
    assert files[0] == files[1]
    assert len(files[0]) == 80
    assert ("resized", 40, 40) in progress_calls


def test_an_image_of_the_size_is_linked(tmp_path: Path) -> None:
    source = dataset(tmp_path / "d", "a.jpg")
    done = resize_dataset(source, tmp_path / "made", size=SEEN)
    assert (done.resized, done.linked) == (0, 1)
    assert (tmp_path / "made/images/a.jpg").stat().st_ino == (source / "images/a.jpg").stat().st_ino


def test_coco_stays_coco(tmp_path: Path) -> None:
    marked(tmp_path / "d/images/a.jpg")
    value = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 120}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 30, 60, 60], "area": 3600}],
        "categories": [{"id": 1, "name": "Car"}],
    }
    (tmp_path / "d/annotations.json").write_text(json.dumps(value))
    resize_dataset(tmp_path / "d", tmp_path / "made", size=(100, 60))
    made = json.loads((tmp_path / "made/annotations.json").read_text())
    assert (made["annotations"][0]["bbox"], made["annotations"][0]["area"]) == ([20, 15, 30, 30], 900)
    assert (made["images"][0]["width"], made["categories"][0]["name"]) == (100, "Car")


@pytest.mark.parametrize("letterbox", [False, True])
def test_outlines_follow_their_object(tmp_path: Path, letterbox: bool) -> None:
    """The white box as a polygon and as a mask of run lengths, both laid over the image that was made."""
    marked(tmp_path / "d/images/a.jpg")
    left, top, right, bottom = BOX
    runs = [left * SEEN[1] + top]
    for _ in range(right - left):
        runs += [bottom - top, SEEN[1] - (bottom - top)]
    runs[-1] += SEEN[0] * SEEN[1] - sum(runs)
    both = [
        [[left, top, right, top, right, bottom, left, bottom]],
        {"size": [SEEN[1], SEEN[0]], "counts": runs},
    ]
    value = {
        "images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": [40, 30, 60, 60], "segmentation": outline, "iscrowd": i}
            for i, outline in enumerate(both)
        ],
    }  # fmt: skip
    (tmp_path / "d/annotations.json").write_text(json.dumps(value))
    resize_dataset(tmp_path / "d", tmp_path / "made", size=(100, 100), letterbox=letterbox)
    polygon, mask = (b.segmentation for b in read_dataset(tmp_path / "made").images[0].boxes)
    seen = bright_box(tmp_path / "made/images/a.jpg")
    (points,) = polygons(polygon)
    around = (
        min(x for x, _ in points),
        min(y for _, y in points),
        max(x for x, _ in points),
        max(y for _, y in points),
    )
    assert around == pytest.approx(seen, abs=1.5)
    width, height = around[2] - around[0], around[3] - around[1]
    assert (area(polygon), area(mask)) == pytest.approx((width * height,) * 2, rel=0.05)
    assert mask["size"] == [100, 100]
    first = mask["counts"][0]
    assert (first // 100, first % 100) == pytest.approx(seen[:2], abs=1.5)


def test_an_outline_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    marked(tmp_path / "d/images/a.jpg")
    value = {
        "images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "car"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [4, 3, 6, 6], "segmentation": [[1, 2]]}],
    }  # fmt: skip
    (tmp_path / "d/annotations.json").write_text(json.dumps(value))
    with pytest.raises(UserFilesError, match="outlines cannot be read") as caught:
        resize_dataset(tmp_path / "d", tmp_path / "made", size=(64, 64))
    assert [f.message for f in caught.value.findings] == [
        'the outline of "car" on a.jpg cannot be read: a polygon needs three or more pairs of numbers'
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_format_stays_where_it_can_be_written(shape: str, tmp_path: Path) -> None:
    format_name, write, _ = SHAPES[shape]
    write(tmp_path / "source")
    done = resize_dataset(tmp_path / "source", tmp_path / "made", size=(64, 48))
    target = "kitti" if format_name in ("cvat", "label-studio") else format_name
    assert (done.format, done.target, done.images) == (format_name, target, 6)
    made = read_dataset(tmp_path / "made")
    before = read_dataset(tmp_path / "source")
    assert made.format == target
    assert {(i.width, i.height) for i in made.images} == {(64, 48)}
    assert sorted((i.subset, len(i.boxes)) for i in made.images) == sorted(
        (i.subset, len(i.boxes)) for i in before.images
    )


def test_every_broken_image_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    source = dataset(tmp_path / "d", *(f"{n:03}.jpg" for n in range(40)))
    for name in ("003.jpg", "030.jpg"):
        path = source / "images" / name
        path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UserFilesError, match="cannot be decoded") as caught:
        resize_dataset(source, tmp_path / "made", size=(64, 64), processes=2)
    assert [f.file.name for f in caught.value.findings if f.file] == ["003.jpg", "030.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_sizes_that_cannot_be(tmp_path: Path) -> None:
    assert parse_size("960x544") == (960, 544)
    for text in ("960", "x", "-1x5", "axb"):
        with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
            parse_size(text)
    with pytest.raises(UsageError, match="cannot be 0x5"):
        resize_dataset(dataset(tmp_path / "d", "a.jpg"), tmp_path / "made", size=(0, 5))
