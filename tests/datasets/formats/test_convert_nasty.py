"""Every fault of a source is reported with its place; a result is complete or absent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shapes import SHAPES, asset, write_image

from taorunner.datasets.files.output_folders import new_folder
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.repair.run import fix_dataset
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.writers.tao_formats import TARGETS
from taorunner.errors import UsageError, UserFilesError


def broken_kitti(root: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write_image(root / "images" / name, 40, 30)
    (root / "images/d.jpg").write_bytes(b"no image")
    (root / "labels").mkdir()
    good = "car 0 0 0 1 2 11 12 0 0 0 0 0 0 0\n"
    (root / "labels/a.txt").write_text(good + "car 0 0 0 1 2 x 12 0 0 0 0 0 0 0\ncar 1 2 3\n")
    (root / "labels/b.txt").write_text("traffic light 0 0.0 0 1 2 nan 12 0 0 0 0 0 0 0\n" + good)
    (root / "labels/c.txt").write_text("Car 0 0.0 0 5 5 5 9 0 0 0 0 0 0 0\n" + good)
    (root / "labels/d.txt").write_text(good)
    (root / "labels/z.txt").write_text(good)


def test_every_bad_line_is_reported_with_its_place_and_nothing_is_written(tmp_path: Path) -> None:
    broken_kitti(tmp_path / "source")
    with pytest.raises(UserFilesError) as caught:
        convert(tmp_path / "source", tmp_path / "made", to="kitti")
    reported = {
        (f.severity.value, f.code, f.file.name if f.file else "", f.line, f.column)
        for f in caught.value.findings
    }
    assert reported == {
        ("error", "kitti-number", "a.txt", 2, 15),
        ("error", "kitti-columns", "a.txt", 3, 1),
        ("error", "kitti-number", "b.txt", 1, 27),
        ("error", "picture-unreadable", "d.jpg", None, None),
        ("error", "picture-missing", "z.txt", None, None),
        ("warning", "box-empty", "c.txt", 1, None),
        ("warning", "classes-merged", "source", None, None),
    }
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_the_bad_parts_can_be_left_out(tmp_path: Path) -> None:
    broken_kitti(tmp_path / "source")
    done = convert(tmp_path / "source", tmp_path / "made", to="kitti", skip_bad=True)
    assert (done.images_after, dict(done.after)) == (3, {"car": 3})
    assert {(c.name, c.before, c.left_out) for c in done.classes} == {("Car", 1, 1), ("car", 3, 0)}


def test_json_problems_have_line_and_column(tmp_path: Path) -> None:
    root = tmp_path / "source"
    write_image(root / "a.jpg", 40, 30)
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "gone.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 9, "bbox": [1, 1, 2, 2]},
                        {"id": 2, "image_id": 1, "category_id": 0, "bbox": [1, 1, 2]}],
        "categories": [{"id": 0, "name": "car"}],
    }  # fmt: skip
    lines = json.dumps(document, indent=1)
    (root / "labels.json").write_text(lines)
    with pytest.raises(UserFilesError) as caught:
        convert(root, tmp_path / "made", to="kitti")
    reported = {(f.code, f.line, f.column) for f in caught.value.findings}
    rows = lines.splitlines()

    def line(start: str, nth: int = 1) -> int:
        return [number for number, row in enumerate(rows, start=1) if row.strip().startswith(start)][nth - 1]

    assert reported == {
        ("coco-annotation", line('"category_id": 9'), 19),
        ("coco-annotation", line('"bbox"', 2), 12),
        ("picture-missing", line('"file_name": "gone'), 17),
    }


@pytest.mark.parametrize(
    ("orientation", "box"),
    [(1, (2, 3, 12, 8)), (3, (2, 3, 12, 8)), (6, (22, 2, 27, 12)), (8, (3, 28, 8, 38))],
)
def test_boxes_turn_with_the_image(orientation: int, box: tuple[int, ...], tmp_path: Path) -> None:
    """After half a turn the size does not show what was annotated: the boxes are taken as seen, with a warning."""
    root = tmp_path / "source"
    write_image(root / "a.jpg", 40, 30, orientation)
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 5]}],
        "categories": [{"id": 1, "name": "car"}],
    }
    (root / "a.json").write_text(json.dumps(document))
    (image,) = read_dataset(root).images
    seen = (30, 40) if orientation in (6, 8) else (40, 30)
    assert (image.width, image.height) == seen
    only = image.boxes[0]
    assert (only.x_min, only.y_min, only.x_max, only.y_max) == box
    assert [f.code for f in read_dataset(root).findings] == (["picture-turned"] if orientation != 1 else [])


def test_images_with_one_stem_all_survive(tmp_path: Path) -> None:
    root = tmp_path / "source"
    for name in ("images/x/a.jpg", "images/y/a.jpg", "images/x/a.png", "images/x/A.jpeg"):
        write_image(root / name, 40, 30)
    images = [
        {"id": i, "file_name": name} for i, name in enumerate(("x/a.jpg", "y/a.jpg", "x/a.png", "x/A.jpeg"))
    ]
    (root / "all.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    done = convert(root, tmp_path / "made", to="kitti")
    assert done.images_after == 4
    names = sorted(path.name for path in (tmp_path / "made/images").iterdir())
    assert len({name.rpartition(".")[0].lower() for name in names}) == 4
    assert len(list((tmp_path / "made/labels").iterdir())) == 4


def test_an_old_result_is_replaced_only_when_asked(tmp_path: Path) -> None:
    SHAPES["coco"][1](tmp_path / "source")
    (tmp_path / "made").mkdir()
    (tmp_path / "made/mine").write_text("x")
    with pytest.raises(UsageError):
        convert(tmp_path / "source", tmp_path / "made", to="kitti")
    assert (tmp_path / "made/mine").read_text() == "x"
    convert(tmp_path / "source", tmp_path / "made", to="kitti", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["train", "val"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "source"]


def test_a_source_is_never_replaced(tmp_path: Path) -> None:
    SHAPES["coco"][1](tmp_path / "data/source")
    for output in ("data/source", "data", "data/source/made"):
        with pytest.raises(UsageError):
            convert(tmp_path / "data/source", tmp_path / output, to="kitti", overwrite=True)
    assert read_dataset(tmp_path / "data/source").images


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal\nfrom taorunner.datasets.files.output_folders import new_folder\n"
        f"with new_folder(pathlib.Path({str(tmp_path / 'made')!r}), overwrite=False) as folder:\n"
        "    (folder / 'half').write_text('x')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".made.partial-")
    with new_folder(tmp_path / "made", overwrite=False) as folder:
        (folder / "whole").write_text("x")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["made", "made/whole"]


def test_ids_that_are_no_ids_are_reported(tmp_path: Path) -> None:
    root = tmp_path / "source"
    write_image(root / "a.jpg", 40, 30)
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": [2], "file_name": "a.jpg"}, None],
        "annotations": [{"image_id": [1], "category_id": 1, "bbox": [1, 1, 2, 2]},
                        {"image_id": 1, "category_id": {}, "bbox": [1, 1, 2, 2]}, 7],
        "categories": [{"id": 1, "name": "car", "supercategory": []}, {"id": {}, "name": "bus"}],
    }  # fmt: skip
    (root / "a.json").write_text(json.dumps(document))
    codes = [finding.code for finding in read_dataset(root).findings]
    assert sorted(codes) == ["coco-annotation"] * 3 + ["coco-category"] + ["coco-image"] * 2


def test_an_unreadable_label_makes_no_background_image(tmp_path: Path) -> None:
    """Left out with what is on it: as a background it would teach that nothing is there."""
    for name, left in (("nasty-voc", "broken"), ("nasty-kitti", "latin1")):
        done = convert(asset(name, tmp_path / name), tmp_path / f"{name}-made", to="kitti", skip_bad=True)
        assert done.images_after > 0
        assert [path.name for path in (tmp_path / f"{name}-made").rglob(f"{left}.*")] == []


def test_coordinates_of_voc_are_taken_as_they_are_written(tmp_path: Path) -> None:
    """The original VOC counted pixels from 1, most tools that write it today from 0, and no file says which: a guess
    would move the boxes of one kind by a pixel, taking them as they are moves none by more than that."""
    done = convert(asset("nasty-voc", tmp_path / "source"), tmp_path / "made", to="kitti", skip_bad=True)
    assert dict(done.after) == {"person": 1}
    assert (tmp_path / "made/labels/renamed.txt").read_text() == "person 0 0 0 1 1 96 64 0 0 0 0 0 0 0\n"


def test_what_coco_has_beyond_boxes_is_reported(tmp_path: Path) -> None:
    root = tmp_path / "source"
    write_image(root / "a.jpg", 40, 30)
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [1, 1, 9, 9],
        "area": 81,
        "keypoints": [1, 1, 2],
    }
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [annotation, {**annotation, "id": 2, "attributes": {}}],
        "categories": [{"id": 1, "name": "car"}],
    }  # fmt: skip
    (root / "a.json").write_text(json.dumps(document))
    assert convert(root, tmp_path / "made", to="coco").findings == ()
    reported = [f.message for f in convert(root, tmp_path / "kitti", to="kitti").findings]
    assert reported == [
        'kitti cannot hold "keypoints" (2 objects), "attributes" (1 object): left out',
    ]


@pytest.mark.parametrize("to", [one for one in TARGETS if one != "panoptic"])  # which needs outlines
def test_names_that_are_no_utf8_get_others(to: str, tmp_path: Path) -> None:
    """An image from an old archive with Latin-1 names, and a class whose last character was cut in half."""
    root = tmp_path / "source"
    write_image(root / "a.jpg", 40, 30)
    (root / "a.jpg").rename(root / os.fsdecode(b"\xfcber.jpg"))
    document = {
        "images": [{"id": 1, "file_name": "\udcfcber.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 90, 9]}],
        "categories": [{"id": 1, "name": "car\ud83d"}],
    }
    (root / "a.json").write_text(json.dumps(document))
    done = convert(root, tmp_path / "made", to=to)
    assert (done.renamed, dict(done.after)) == ((("\udcfcber.jpg", "images/_ber.jpg"),), {"car_": 1})
    (image,) = read_dataset(tmp_path / "made").images
    assert (image.path.name, [box.name for box in image.boxes]) == ("_ber.jpg", ["car_"])
    assert fix_dataset(root, tmp_path / "fixed").labels == 1
    (image,) = read_dataset(tmp_path / "fixed").images
    assert (image.path.name, [box.name for box in image.boxes]) == ("\udcfcber.jpg", ["car\ud83d"])
