"""Parts have every class in the shares that are asked for; groups stay together; the same seed gives the same."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from shapes import SHAPES, asset

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.datasets.model.class_names import kitti_class_names
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.resize import resize_dataset
from taorunner.datasets.transform.split import split_dataset
from taorunner.datasets.transform.split_parts import Part, assign
from taorunner.errors import Severity, UsageError, UserFilesError

SHARES = {"train": 0.8, "val": 0.2}


def entries(count: int, seed: int = 1) -> list[list[ImageEntry]]:
    """Images of a common, a middling and a rare class; every tenth has nothing on it."""
    chance = random.Random(seed)
    groups = []
    for number in range(count):
        names = [] if number % 10 == 0 else ["car"] * chance.randint(0, 6) + ["bus"] * chance.randint(0, 1)
        names += ["dog"] if number % 97 == 1 else []
        boxes = tuple(Box(name, 0, 0, 9, 9) for name in names)
        groups.append([ImageEntry(Path(f"{number:05}.jpg"), 64, 48, boxes)])
    return groups


def test_every_class_gets_its_share() -> None:
    parts = [Part(name, share) for name, share in SHARES.items()]
    assign(entries(5000), parts, 42)
    for name in ("car", "bus", "dog"):
        total = sum(part.classes[name] for part in parts)
        assert parts[1].classes[name] / total == pytest.approx(0.2, abs=0.01)
    assert len(parts[1].images) / 5000 == pytest.approx(0.2, abs=0.01)
    assert sorted(i.path.name for part in parts for i in part.images) == [f"{n:05}.jpg" for n in range(5000)]


def test_a_class_on_two_images_is_in_both_parts() -> None:
    groups = entries(50)
    for number in (3, 4):
        groups[number] = [
            ImageEntry(Path(f"x{number}"), 64, 48, (Box("cat", 0, 0, 9, 9), Box("car", 0, 0, 9, 9)))
        ]
    for seed in range(20):
        parts = [Part(name, share) for name, share in SHARES.items()]
        assign(groups, parts, seed)
        assert [part.classes["cat"] for part in parts] == [1, 1]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for video in range(10):
        for frame in range(5):
            stem = f"video_{video}_frame_{frame}"
            Image.new("RGB", (64, 48), (video * 20, frame * 40, 9)).save(root / "images" / f"{stem}.png")
            text = "" if frame == 4 else f"{'bus' if video % 2 else 'car'} 0 0 0 1 2 30 40 0 0 0 0 0 0 0\n"
            (root / "labels" / f"{stem}.txt").write_text(text)
    return root


def test_frames_of_one_video_stay_together(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    done = split_dataset(videos, out, shares=SHARES, seed=7, group=r"(video_\d+)_")
    assert (done.groups, [len(part.images) for part in done.parts]) == (10, [40, 10])
    assert [dict(part.classes) for part in done.parts] == [{"car": 16, "bus": 16}, {"car": 4, "bus": 4}]
    of_video = {n: {p for p in ("train", "val") if (out / p / "images" / f"video_{n}_frame_0.png").exists()}
                for n in range(10)}  # fmt: skip
    for number, parts in of_video.items():
        (part,) = parts
        assert len(list((out / part / "images").glob(f"video_{number}_*.png"))) == 5
    linked = out / next(iter(of_video[0])) / "images/video_0_frame_0.png"
    assert linked.stat().st_ino == (videos / "images/video_0_frame_0.png").stat().st_ino
    assert len(list(out.glob("*/labels/*.txt"))) == 50
    problems = [f for f in check_dataset(out).findings if f.severity is not Severity.INFO]
    assert problems == []


def test_the_list_is_kept_and_the_seed_repeats_it(videos: Path, tmp_path: Path) -> None:
    lists = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        split_dataset(videos, tmp_path / name, shares=SHARES, seed=seed)
        lists.append(json.loads((tmp_path / name / "split.json").read_text()))
    assert lists[0] == lists[1]
    assert lists[0]["parts"] != lists[2]["parts"]
    assert (lists[0]["seed"], lists[0]["shares"], lists[0]["group"]) == (7, SHARES, None)
    assert lists[0]["sha256_of_names"] == lists[2]["sha256_of_names"]
    assert len(lists[0]["parts"]["train"]) == 40


def test_what_cannot_be_is_refused_and_nothing_is_left(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a regular expression"):
        split_dataset(videos, tmp_path / "made", shares=SHARES, seed=1, group="(video")
    with pytest.raises(UsageError, match="shares cannot be"):
        split_dataset(videos, tmp_path / "made", shares={"train": 0.0, "val": 1.0}, seed=1)
    (videos / "labels/video_0_frame_0.txt").write_text("car 1 2\n")
    with pytest.raises(UserFilesError, match="has errors") as caught:
        split_dataset(videos, tmp_path / "made", shares=SHARES, seed=1)
    assert [(f.code, f.line) for f in caught.value.findings] == [("kitti-columns", 1)]
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_format_stays_where_it_can_be_written(shape: str, tmp_path: Path) -> None:
    format_name, write, _ = SHAPES[shape]
    write(tmp_path / "source")
    done = split_dataset(
        tmp_path / "source", tmp_path / "made", shares={"train": 0.5, "val": 0.5}, seed=1, merge=True
    )
    target = "kitti" if format_name in ("cvat", "label-studio") else format_name
    assert (done.format, done.target) == (format_name, target)
    made = read_dataset(tmp_path / "made")
    assert made.format == target
    assert Counter(i.subset for i in made.images) == {"train": 3, "val": 3}
    boxes = Counter({"car": 2, "traffic_light": 2, "person": 2})
    assert Counter({kitti_class_names([n])[n]: c for n, c in made.boxes_per_class().items()}) == boxes


def test_outlines_that_the_written_format_cannot_hold_are_counted(tmp_path: Path) -> None:
    root = asset("cvat-task", tmp_path / "source")
    text = (root / "annotations.xml").read_text()
    shape = '<polygon label="Car" points="1,1;9,1;9,9" z_order="0"></polygon></image>'
    (root / "annotations.xml").write_text(text.replace("</image>", shape, 1))
    split = split_dataset(root, tmp_path / "made", shares=SHARES, seed=1)
    assert (split.target, split.lost_outlines, split.to_json()["lost_outlines"]) == ("kitti", 1, 1)
    assert resize_dataset(root, tmp_path / "small", size=(32, 32)).lost_outlines == 1


def test_class_folders_are_split_by_class(tmp_path: Path) -> None:
    """Images of one name come from the two old splits, and the new one has every class in both parts."""
    root = asset("classification", tmp_path / "source")
    done = split_dataset(root, tmp_path / "made", shares={"train": 0.5, "val": 0.5}, seed=1, merge=True)
    assert (done.format, done.target) == ("classification", "classification")
    assert [sorted(part.classes) for part in done.parts] == [["cat", "dog"], ["cat", "dog"]]
    report = check_dataset(tmp_path / "made", deep=True)
    assert (report.kind, [f for f in report.findings if f.severity is not Severity.INFO]) == (
        "classification",
        [],
    )
    made = list((tmp_path / "made").rglob("*.jpg"))
    assert len(made) == 5
    assert {path.stat().st_ino for path in made} == {path.stat().st_ino for path in root.rglob("*.jpg")}
    assert (tmp_path / "made/classes.txt").read_text() == "cat\ndog\n"


def test_class_folders_without_subsets_are_split(tmp_path: Path) -> None:
    root = asset("classification", tmp_path / "source")
    done = split_dataset(root / "train", tmp_path / "made", shares={"train": 0.7, "val": 0.3}, seed=1)
    assert (done.target, sum(len(part.images) for part in done.parts)) == ("classification", 3)


def test_masks_go_with_their_images(tmp_path: Path) -> None:
    root = asset("segmentation", tmp_path / "source")
    done = split_dataset(root, tmp_path / "made", shares={"train": 0.7, "val": 0.3}, seed=1, merge=True)
    assert (done.target, [len(part.images) for part in done.parts]) == ("segmentation", [2, 1])
    report = check_dataset(tmp_path / "made", deep=True)
    assert (report.kind, [f for f in report.findings if f.severity is not Severity.INFO]) == (
        "segmentation",
        [],
    )
    for image_file in (tmp_path / "made/images").rglob("*.jpg"):
        mask = Path(str(image_file).replace("/images/", "/masks/")).with_suffix(".png")
        (old,) = (path for path in root.rglob("*.jpg") if path.samefile(image_file))
        assert mask.samefile(Path(str(old).replace("/images/", "/masks/")).with_suffix(".png"))


def test_a_broken_image_among_classes_stops_the_split(tmp_path: Path) -> None:
    root = asset("classification", tmp_path / "source")
    (root / "train/cat/1.jpg").write_bytes(b"nothing")
    with pytest.raises(UserFilesError, match="has errors") as caught:
        split_dataset(root, tmp_path / "made", shares=SHARES, seed=1)
    assert [f.code for f in caught.value.findings] == ["picture-unreadable"]
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def kitti(root: Path, **images: str) -> Path:
    """``SUBSET__NAME=COLOUR``: an image of this colour with one car; "" has no subset folder."""
    for name, colour in images.items():
        subset, _, stem = name.rpartition("__")
        for folder in ("images", "labels"):
            (root / subset / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), colour).save(root / subset / f"images/{stem}.png")
        (root / subset / f"labels/{stem}.txt").write_text("car 0 0 0 1 2 30 40 0 0 0 0 0 0 0\n")
    return root


COLOURS = ("red", "green", "blue", "yellow", "black", "white", "gray", "cyan", "purple", "orange")


def test_subsets_that_exist_are_kept_unless_they_are_merged(tmp_path: Path) -> None:
    many = {f"train__t{n}": colour for n, colour in enumerate(COLOURS[:8])}
    root = kitti(tmp_path / "d", **many, test__x="orange", test__y="purple")
    done = split_dataset(root, tmp_path / "made", shares={"train": 0.75, "val": 0.25}, seed=1)
    assert [(part.name, len(part.images), part.classes["car"]) for part in done.parts] == [
        ("train", 6, 6), ("val", 2, 2), ("test", 2, 2)]  # fmt: skip
    assert [(f.code, f.message) for f in done.findings] == [
        ("subsets-kept", 'kept as it is: "test" (2 images)')
    ]
    assert sorted(path.name for path in (tmp_path / "made/test/images").iterdir()) == ["x.png", "y.png"]
    again = read_dataset(tmp_path / "made")
    assert Counter(image.subset for image in again.images) == {"train": 6, "val": 2, "test": 2}
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    with_test = split_dataset(root, tmp_path / "three", shares=shares, seed=1)
    assert [len(part.images) for part in with_test.parts] == [6, 2, 2]
    merged = split_dataset(root, tmp_path / "all", shares={"train": 0.5, "val": 0.5}, seed=1, merge=True)
    assert ([len(part.images) for part in merged.parts], merged.findings) == ([5, 5], ())


@pytest.mark.parametrize(
    "images", [{"train__a": "red", "val__b": "blue"}, {"val__b": "blue", "test__c": "red"}]
)
def test_nothing_is_split_twice_without_a_word(images: dict[str, str], tmp_path: Path) -> None:
    root = kitti(tmp_path / "d", **images)
    with pytest.raises(UsageError, match=r'"val".* already: nothing is left to split') as caught:
        split_dataset(root, tmp_path / "made", shares=SHARES, seed=1)
    assert "--merge" in (caught.value.hint or "")
    assert not (tmp_path / "made").exists()


def test_copies_of_an_image_stay_in_one_part(tmp_path: Path) -> None:
    copies = {f"a{n}": COLOURS[n % 5] for n in range(20)}
    for seed in range(5):
        root = kitti(tmp_path / f"d{seed}", **copies)
        done = split_dataset(root, tmp_path / f"made{seed}", shares={"train": 0.6, "val": 0.4}, seed=seed)
        assert (done.groups, [len(part.images) for part in done.parts]) == (5, [12, 8])
        parts = [{int(image.path.stem[1:]) % 5 for image in part.images} for part in done.parts]
        assert not parts[0] & parts[1]
        assert [(f.code, f.message) for f in done.findings] == [
            ("image-copies", "20 images are copies of one another: copies stay in one part")]  # fmt: skip


def test_copies_join_the_groups_of_a_pattern(tmp_path: Path) -> None:
    root = kitti(
        tmp_path / "d", v1_a="red", v1_b="green", v2_a="green", v2_b="blue", v3_a="blue", v4_a="black"
    )
    done = split_dataset(root, tmp_path / "made", shares={"train": 0.8, "val": 0.2}, seed=1, group=r"(v\d)_")
    assert (done.groups, sorted(len(part.images) for part in done.parts)) == (2, [1, 5])


def test_copies_in_a_subset_that_is_kept_are_named(tmp_path: Path) -> None:
    root = kitti(tmp_path / "d", train__a="red", train__b="blue", train__c="black", test__x="red")
    done = split_dataset(root, tmp_path / "made", shares=SHARES, seed=1)
    assert [(f.code, f.message) for f in done.findings] == [
        ("subsets-kept", 'kept as it is: "test" (1 image)'),
        ("image-copies", '1 image of "test" is also among the others'),
    ]


def test_subsets_of_class_folders_and_masks_are_kept_too(tmp_path: Path) -> None:
    root = asset("classification", tmp_path / "source")
    with pytest.raises(UsageError, match="already"):
        split_dataset(root, tmp_path / "made", shares=SHARES, seed=1)
    with pytest.raises(UsageError, match="already"):
        split_dataset(asset("segmentation", tmp_path / "masks"), tmp_path / "made", shares=SHARES, seed=1)


def test_a_part_without_images_is_named_and_not_written(tmp_path: Path) -> None:
    """What was written is read back without an error."""
    root = kitti(tmp_path / "d", a="red", b="red")
    for source, target in ((root, "kitti"), (tmp_path / "yolo", "yolo"), (tmp_path / "odvg", "odvg")):
        if source != root:
            convert(root, source, to=target)
        done = split_dataset(source, tmp_path / f"made-{target}", shares=SHARES, seed=1)
        assert 'no image is left for "val"' in [finding.message for finding in done.findings]
        again = read_dataset(tmp_path / f"made-{target}")
        assert (again.format, len(again.images), again.subsets) == (target, 2, ("train",))
        assert not any(finding.is_error for finding in again.findings)
