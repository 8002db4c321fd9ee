"""KITTI in, TFRecord out; the generated dataset; changed images."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taorunner.embedded.augmentation import _moved, augment
from taorunner.embedded.console import Console
from taorunner.embedded.dataset import load_kitti
from taorunner.embedded.example_proto import decode_example
from taorunner.embedded.kitti import KittiObject, label_line, parse_label_line, read_kitti
from taorunner.embedded.loss import Objects
from taorunner.embedded.network import Architecture, Normalisation, normalise
from taorunner.embedded.run import Run, StopRequest
from taorunner.embedded.sample_dataset import draw_sample
from taorunner.embedded.status_log import StatusLog
from taorunner.embedded.tfrecord import read_records

from .conftest import Start, command

LINE = "Car 0.00 1.0 -1.57 1.5 2.5 30 40 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"


def make_kitti(root: Path, labels: dict[str, str], size: tuple[int, int] = (40, 50)) -> Path:
    for folder in ("image_2", "label_2"):
        (root / folder).mkdir(parents=True)
    for name, text in labels.items():
        Image.new("RGB", size, (10, 20, 30)).save(root / "image_2" / f"{name}.png")
        (root / "label_2" / f"{name}.txt").write_text(text)
    return root


def convert(start: Start, root: Path, **keys: object) -> tuple[int, str, str]:
    spec = root / "convert.yaml"
    section = {"root_directory_path": str(root), "output_filename": str(root / "records" / "r"), **keys}
    spec.write_text(json.dumps({"results_dir": str(root / "results"), "dataset_convert": section}))
    result = start("tinydet", "dataset_convert", "-e", spec)
    return result.returncode, result.stdout, result.stderr


def names_in(root: Path) -> dict[str, list[str]]:
    return {
        path.name: [bytes(decode_example(record)["frame/id"][0]).decode() for record in read_records(path)]
        for path in sorted((root / "records").iterdir())
        if not path.name.endswith(".json")
    }


def test_label_line_is_read() -> None:
    assert parse_label_line(LINE) == KittiObject(
        "car", 0.0, 1, -1.57, (1.5, 2.5, 30.0, 40.0), (1.65, 1.67, 3.64, -0.65, 1.71, 46.7, -1.59)
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE + " 0.9", "16 columns, KITTI labels have 15; a 16th column is a detector's score"),
        ("Car 0 0 0 1 2 3 4", "8 columns, KITTI labels have 15"),
        ("Traffic " + LINE, "16 columns"),
        (LINE.replace("30", "thirty"), '"thirty" is not a number'),
        (LINE.replace("30", "nan"), '"nan" is out of range'),
        (LINE.replace("30", "inf"), '"inf" is out of range'),
    ],
)
def test_wrong_label_line_stops_the_conversion_at_its_place(
    tmp_path: Path, start: Start, line: str, reason: str
) -> None:
    root = make_kitti(tmp_path / "k", {"a": f"{LINE}\n{line}\n"})
    code, _, errors = convert(start, root)
    assert code == 1
    assert f"Parameter validation error: {root}/label_2/a.txt:2: {reason}" in errors


def test_written_label_line_has_sixteen_columns() -> None:
    line = label_line("car", (1, 2.345, 30, 40), 0.5)
    assert line == (
        "car 0.00 0 0.00 1.0000 2.3450 30.0000 40.0000 0.00 0.00 0.00 0.00 0.00 0.00 0.00 0.5000000"
    )
    assert len(line.split()) == 16


def test_records_hold_image_boxes_and_classes(tmp_path: Path, start: Start) -> None:
    root = make_kitti(tmp_path / "k", {"a": LINE + "\n", "b": ""})
    assert convert(start, root, val_split=50, num_shards=1)[0] == 0
    (record,) = read_records(root / "records" / "r-fold-000-of-002-shard-00000-of-00001")
    example = decode_example(record)
    assert example.pop("frame/encoded") == [(root / "image_2" / "a.png").read_bytes()]
    world = ("h", "w", "l", "x", "y", "z", "rot_y")
    values = (1.65, 1.67, 3.64, -0.65, 1.71, 46.70, -1.59)
    assert {
        key: pytest.approx(value) if isinstance(value[0], float) else value for key, value in example.items()
    } == {
        "frame/id": [b"image_2/a"],
        "frame/width": [40],
        "frame/height": [50],
        "target/object_class": [b"car"],
        "target/truncation": [0.0],
        "target/occlusion": [1],
        "target/observation_angle": [-1.57],
        "target/coordinates_x1": [1.5],
        "target/coordinates_y1": [2.5],
        "target/coordinates_x2": [30.0],
        "target/coordinates_y2": [40.0],
        **{f"target/world_bbox_{part}": [value] for part, value in zip(world, values, strict=True)},
    }


def test_validation_fold_is_the_first_part_of_the_sorted_names(tmp_path: Path, start: Start) -> None:
    root = make_kitti(tmp_path / "k", {f"{number:02d}": "" for number in range(10)})
    assert convert(start, root, val_split=20, num_shards=3)[0] == 0
    found = names_in(root)
    assert list(found) == [
        f"r-fold-{fold:03d}-of-002-shard-{shard:05d}-of-00003" for fold in (0, 1) for shard in range(3)
    ]
    by_fold = [
        sorted(name for key, names in found.items() if f"fold-{fold:03d}" in key for name in names)
        for fold in (0, 1)
    ]
    assert by_fold == [["image_2/00", "image_2/01"], [f"image_2/{number:02d}" for number in range(2, 10)]]
    assert [len(names) for names in found.values()] == [0, 0, 2, 2, 2, 4]


def test_without_validation_the_training_data_are_fold_zero(tmp_path: Path, start: Start) -> None:
    root = make_kitti(tmp_path / "k", {"a": "", "b": ""})
    code, output, _ = convert(start, root, val_split=0, num_shards=0)
    assert (code, sorted(names_in(root))) == (0, ["r-fold-000-of-002"])
    assert "val_split is 0: as in TAO, the training data are written as fold-000" in output


def test_converting_again_removes_shards_of_before(tmp_path: Path, start: Start) -> None:
    root = make_kitti(tmp_path / "k", {"a": "", "b": ""})
    assert convert(start, root, val_split=50, num_shards=3)[0] == 0
    (root / "records" / "r-fold-notes.txt").write_text("mine")
    assert convert(start, root, val_split=50, num_shards=1)[0] == 0
    assert sorted(path.name for path in (root / "records").iterdir()) == [
        "r-fold-000-of-002-shard-00000-of-00001",
        "r-fold-001-of-002-shard-00000-of-00001",
        "r-fold-notes.txt",
    ]


def test_empty_and_inverted_boxes_are_skipped_and_noted(tmp_path: Path, start: Start) -> None:
    inverted, empty = LINE.replace(" 30 ", " 1.0 "), LINE.replace(" 40 ", " 2.5 ")
    root = make_kitti(tmp_path / "k", {"a": f"{inverted}\n{LINE}\n\n{empty}\n"})
    assert convert(start, root, val_split=0)[0] == 0
    noted = json.loads((root / "records" / "r_warning.json").read_text())
    assert noted == {"image_2/a": [inverted, empty]}
    (picture,) = read_kitti(root, "image_2", "label_2", ".png")
    assert picture.objects == (parse_label_line(LINE),)


def test_missing_label_and_broken_image_are_named(tmp_path: Path, start: Start) -> None:
    root = make_kitti(tmp_path / "k", {"a": "", "b": ""})
    (root / "label_2" / "b.txt").unlink()
    code, _, errors = convert(start, root)
    assert code == 1
    assert f'"{root}/image_2/b.png" has no label file "{root}/label_2/b.txt"' in errors
    (root / "label_2" / "b.txt").write_text("")
    (root / "image_2" / "b.png").write_bytes(b"not an image")
    code, _, errors = convert(start, root)
    assert code == 1
    assert f'cannot read image "{root}/image_2/b.png"' in errors


def test_names_with_several_dots_and_other_extensions(tmp_path: Path, start: Start) -> None:
    root = make_kitti(tmp_path / "k", {"a.b": "", "c": ""})
    shutil.copy(root / "image_2" / "c.png", root / "image_2" / "d.PNG")
    assert convert(start, root, val_split=0, num_shards=0)[0] == 0
    assert {key: sorted(names) for key, names in names_in(root).items()} == {
        "r-fold-000-of-002": ["image_2/a.b", "image_2/c"]
    }


def test_generated_dataset_is_the_same_for_the_same_seed(tmp_path: Path, start: Start) -> None:
    contents = []
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        assert (
            start(
                "sample-dataset", tmp_path / name, "--images", 6, "--held-out", 2, "--seed", seed
            ).returncode
            == 0
        )
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append({str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files})
    assert contents[0] == contents[1] != contents[2]
    assert sorted(contents[0]) == sorted(
        f"{part}/{folder}/{number:06d}.{suffix}"
        for number, part in enumerate(["train"] * 4 + ["test"] * 2)
        for folder, suffix in (("image_2", "png"), ("label_2", "txt"))
    )
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["one", "three", "two"]


def test_generated_labels_are_valid_and_inside_the_image() -> None:
    names = set()
    for number in range(60):
        picture, lines = draw_sample(1, number, 96)
        assert picture.size == (96, 96) and lines
        for found in map(parse_label_line, lines):
            names.add(found.name)
            x_min, y_min, x_max, y_max = found.box
            assert 0 <= x_min < x_max <= 96 and 0 <= y_min < y_max <= 96
    assert names == {"circle", "square", "triangle"}


ZEROS = " 0.00" * 7


def test_a_generated_image_stays_what_it_is() -> None:
    """Who has trained on these images can make them again with a later version."""
    picture, lines = draw_sample(1, 1, 64)
    assert lines == [
        f"triangle 0.00 0 0.00 22.23 8.97 41.22 26.78{ZEROS}",
        f"triangle 0.00 0 0.00 30.16 26.75 51.78 47.07{ZEROS}",
        f"circle 0.00 0 0.00 7.54 25.51 26.96 45.26{ZEROS}",
        f"square 0.00 0 0.00 42.89 16.15 61.51 34.72{ZEROS}",
        f"circle 0.00 0 0.00 11.12 1.54 29.12 21.18{ZEROS}",
    ]
    small = np.asarray(picture.resize((2, 2), Image.Resampling.BOX), np.int64)
    wanted = [[[70, 139, 108], [122, 155, 88]], [[92, 175, 82], [93, 165, 122]]]
    assert np.abs(small - np.array(wanted)).max() <= 2  # other versions of Pillow round otherwise


def test_generated_dataset_never_goes_over_files(tmp_path: Path, start: Start) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = start("sample-dataset", tmp_path, "--images", 2)
    assert result.returncode == 1
    assert result.stderr == f'error: "{tmp_path}" exists and is not an empty folder; choose a new one\n'
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_stopped_generation_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("sample-dataset", tmp_path / "d", "--images", 100000), stderr=subprocess.PIPE
    )
    while not list(tmp_path.rglob("*.txt")):
        assert process.poll() is None
        time.sleep(0.02)
    process.terminate()
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors, list(tmp_path.iterdir())) == (
        143,
        b"error: interrupted: SIGTERM\n",
        [],
    )


def test_held_out_must_leave_images_to_train_on(tmp_path: Path, start: Start) -> None:
    result = start("sample-dataset", tmp_path / "d", "--images", 5, "--held-out", 5)
    assert (result.returncode, (tmp_path / "d").exists()) == (2, False)
    assert "--held-out 5 leaves none of --images 5 to train on" in result.stderr


def test_boxes_follow_the_changed_image() -> None:
    """A white square on black, changed a hundred times: its box stays where the white is."""
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    picture[0, 24:40, 20:36] = 255
    objects = [Objects(np.array([[20, 24, 36, 40]], np.float32), np.array([0]))]
    for seed in range(100):
        inputs, changed = augment(picture, objects, np.random.default_rng(seed), Normalisation())
        middle = (inputs.min() + inputs.max()) / 2
        rows, columns = np.nonzero((inputs[0] > middle).all(axis=2))
        (box,) = changed[0].boxes
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box, seen, atol=1.3, err_msg=str(seed))


def test_images_are_normalised_to_about_one() -> None:
    values = normalise(np.array([[0, 127, 255]], np.uint8).T.repeat(3, 1), Normalisation())[:, 0]
    np.testing.assert_allclose(values, [-1.9921875, -0.0078125, 1.9921875])


@pytest.mark.parametrize(("images", "labels"), [("image_2", "label_2"), ("images", "labels")])
def test_images_held_out_may_have_either_pair_of_folder_names(
    images: str, labels: str, tmp_path: Path
) -> None:
    """``dataset split`` writes images and labels, KITTI itself image_2 and label_2."""
    for folder in (images, labels):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (96, 96)).save(tmp_path / images / "a.png")
    (tmp_path / labels / "a.txt").write_text("circle 0 0 0 10 10 50 50 0 0 0 0 0 0 0\n")
    architecture = Architecture("small", 96, 96, ("circle",))
    run = Run("evaluate", tmp_path, Console(io.StringIO()), StatusLog(tmp_path / "log"), StopRequest())
    dataset = load_kitti(tmp_path, ".png", architecture, run)
    assert [len(objects.classes) for objects in dataset.objects] == [1]


@pytest.mark.parametrize(
    ("box", "moved"),
    [
        ([10, 20, 30, 24], [[30, 20, 50, 24]]),  # 20 to the right
        ([30, 8, 50, 12], [[50, 8, 64, 12]]),  # 70 % stay inside
        ([38, 8, 58, 12], []),  # 30 % do
    ],
)
def test_an_object_that_mostly_left_the_image_is_dropped(box: list[float], moved: list[list[float]]) -> None:
    objects = Objects(np.array([box], np.float32), np.array([3]))
    found = _moved(objects, 1.0, np.array([20.0, 0.0]), False, 64, 48)
    assert (found.boxes.tolist(), found.classes.tolist()) == (moved, [3] * len(moved))
    mirrored = _moved(objects, 1.0, np.array([20.0, 0.0]), True, 64, 48)
    assert mirrored.boxes.tolist() == [[64 - right, top, 64 - left, end] for left, top, right, end in moved]
