"""One rule for boxes in every command: what is a warning, what is clipped or left out, and what stops."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shapes import write_image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.report.stats import read_stats
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.resize import resize_dataset
from taorunner.datasets.transform.split import split_dataset
from taorunner.errors import Finding, UserFilesError

SHARES = {"train": 0.5, "val": 0.5}
GOOD = [5, 5, 20, 20]


def coco(root: Path, *boxes: list[float]) -> Path:
    """Boxes on the first of two images of 64x48; the second has a good one."""
    for name in ("a.jpg", "b.jpg"):
        write_image(root / name, 64, 48)
    listed = [
        {"id": n, "image_id": 1, "category_id": 1, "area": 9, "bbox": box} for n, box in enumerate(boxes, 2)
    ]
    listed += [{"id": 1, "image_id": 2, "category_id": 1, "area": 9, "bbox": GOOD}]
    images = [
        {"id": n, "file_name": name, "width": 64, "height": 48} for n, name in ((1, "a.jpg"), (2, "b.jpg"))
    ]
    document = {"images": images, "annotations": listed, "categories": [{"id": 1, "name": "car"}]}
    (root / "r.json").write_text(json.dumps(document))
    return root


def shown(findings: object) -> list[tuple[str, str]]:
    assert isinstance(findings, list | tuple)
    return [
        (f.severity.value, f.code) for f in findings if isinstance(f, Finding) and f.severity.value != "info"
    ]


@pytest.mark.parametrize(("box", "code", "written"), [
    ([5, 5, 0, 9], "box-empty", []), ([5, 5, 9, 0], "box-empty", []),
    ([50, 5, 50, 9], "box-beyond-edge", [[50, 5, 14, 9]]), ([-9, -9, 20, 20], "box-beyond-edge", [[0, 0, 11, 11]]),
])  # fmt: skip
def test_a_warning_counts_what_is_left_out_or_clipped(
    box: list[float], code: str, written: list[list[float]], tmp_path: Path
) -> None:
    root = coco(tmp_path / "d", box, box, GOOD)
    assert shown(check_dataset(root).findings)[:2] == [("warning", code), ("warning", code)]
    done = convert(root, tmp_path / "made", to="coco")
    assert shown(done.findings) == [("warning", code)]
    assert done.findings[0].message.startswith("2 boxes ")
    document = json.loads((tmp_path / "made/annotations.json").read_text())
    assert [one["bbox"] for one in document["annotations"]] == [*written, *written, GOOD, GOOD]
    split = split_dataset(root, tmp_path / "split", shares=SHARES, seed=1)
    resized = resize_dataset(root, tmp_path / "resized", size=(32, 32), processes=1)
    for findings, count in ((split.findings, split.parts), (resized.findings, None)):
        assert shown(findings) == [("warning", code)]
        assert count is None or sum(part.classes.total() for part in count) == 4
    assert resized.boxes == 4
    assert read_stats(root)[0].left_out == 0


@pytest.mark.parametrize(
    ("box", "code"),
    [([30, 30, -20, 9], "box-inverted"), ([500, 5, 9, 9], "box-outside"), ([-50, 5, 9, 9], "box-outside")],
)
def test_a_mistake_stops_every_command_and_is_named_when_it_is_left_out(
    box: list[float], code: str, tmp_path: Path
) -> None:
    root = coco(tmp_path / "d", box)
    assert ("error", code) in shown(check_dataset(root).findings)
    for command in (
        lambda: convert(root, tmp_path / "made", to="coco"),
        lambda: split_dataset(root, tmp_path / "split", shares=SHARES, seed=1),
        lambda: resize_dataset(root, tmp_path / "resized", size=(32, 32), processes=1),
    ):
        with pytest.raises(UserFilesError) as caught:
            command()
        assert shown(caught.value.findings) == [("error", code)] + [("warning", "picture-emptied")] * (
            "written" in caught.value.message
        )
    assert read_stats(root)[0].left_out == 1
    done = convert(root, tmp_path / "made", to="coco", skip_bad=True)
    assert shown(done.findings) == [("error", code), ("warning", "picture-emptied")]
    assert '"car" on "a.jpg": the box' in done.findings[0].message
    assert [(one.before, one.left_out, done.after[one.written]) for one in done.classes] == [(2, 1, 1)]


def test_an_image_without_a_usable_box_is_no_silent_background(tmp_path: Path) -> None:
    done = convert(coco(tmp_path / "d", [5, 5, 0, 0]), tmp_path / "made", to="kitti")
    assert (done.backgrounds, shown(done.findings)) == (
        1,
        [("warning", "box-empty"), ("warning", "picture-emptied")],
    )
    assert done.findings[1].message == (
        'no box of 1 image can be used, such as those of "a.jpg": written as background'
    )


def test_a_file_that_says_the_same_again_is_read_once(tmp_path: Path) -> None:
    root = coco(tmp_path / "d", GOOD)
    shutil.copy(root / "r.json", root / "again.json")
    done = convert(root, tmp_path / "made", to="kitti")
    assert (done.images_after, done.after.total()) == (2, 2)
    assert shown(done.findings) == [("warning", "annotations-twice")]
    message = '2 images with the same labels as in "again.json": read once'
    assert (done.findings[0].message, done.findings[0].file) == (message, root / "r.json")
    assert read_stats(root)[0].images == 2


def test_an_image_in_two_files_stops_every_command(tmp_path: Path) -> None:
    root = coco(tmp_path / "d", GOOD)
    document = json.loads((root / "r.json").read_text())
    document["annotations"] = document["annotations"][:1]
    (root / "other.json").write_text(json.dumps({**document, "images": document["images"][:1]}))
    assert ("error", "picture-twice") in shown(check_dataset(root).findings)
    for command in (
        lambda: convert(root, tmp_path / "made", to="coco"),
        lambda: split_dataset(root, tmp_path / "split", shares=SHARES, seed=1),
        lambda: resize_dataset(root, tmp_path / "resized", size=(32, 32), processes=1),
    ):
        with pytest.raises(UserFilesError) as caught:
            command()
        assert shown(caught.value.findings) == [("error", "picture-twice")]
        assert '"a.jpg" is annotated twice, in "other.json" and "r.json"' in caught.value.findings[0].message
    assert read_stats(root)[0].left_out == 1


def test_what_is_kept_by_split_is_read_back(tmp_path: Path) -> None:
    root = coco(tmp_path / "d", [5, 5, 0, 9], [50, 5, 50, 9])
    split_dataset(root, tmp_path / "split", shares=SHARES, seed=1)
    again = read_dataset(tmp_path / "split")
    assert sum(len(image.boxes) for image in again.images) == 3
