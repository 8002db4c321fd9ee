"""What --fix repairs is right afterwards; the dataset as it was is never written to."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.check import check_dataset
from taorunner.datasets.fix import fix_dataset
from taorunner.errors import Severity, UserFilesError

GOOD = "car 0.00 0 0.00 10 10 60 50 0 0 0 0 0 0 0\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.JPG", "c.jpg", "d.jpg")):
        Image.new("RGB", (96, 64), (number * 60, 0, 0)).save(
            root / "images" / name, "PNG" if name == "d.jpg" else "JPEG"
        )
    labels = {
        "a": "\ufeffCar 0.00 0.0 0.00 -9.5 10 60 50 0 0 0 0 0 0 0 0.97\r\n\r\n" + GOOD + GOOD
        + "traffic light 0 0 0 1 1 9 9 0 0 0 0 0 0 0\ncar 0 0 0 9 1 9 9 0 0 0 0 0 0 0\n",
        "c": GOOD, "d": "car 0 0 0 30 30 10 10 0 0 0 0 0 0 0\n",
    }  # fmt: skip
    for stem, text in labels.items():
        (root / "labels" / f"{stem}.txt").write_bytes(text.encode())
    (root / "README").write_text("kept")
    return root


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def codes(root: Path) -> list[str]:
    return [f.code for f in check_dataset(root).findings if f.severity in (Severity.ERROR, Severity.WARNING)]


def test_a_repair_into_a_new_folder(broken: Path, tmp_path: Path) -> None:
    before = content(broken)
    repair = fix_dataset(broken, tmp_path / "made")
    assert (repair.labels, repair.empty_labels, repair.renamed, repair.backup) == (
        1, 1, (("images/b.JPG", "b.jpg"), ("images/d.jpg", "d.png")), None
    )  # fmt: skip
    made = content(tmp_path / "made")
    assert made["labels/a.txt"].decode() == (
        "car 0.00 0 0.00 0 10 60 50 0 0 0 0 0 0 0\n" + GOOD + "traffic_light 0 0 0 1 1 9 9 0 0 0 0 0 0 0\n"
    )
    assert (made["labels/b.txt"], made["labels/c.txt"], made["README"]) == (b"", GOOD.encode(), b"kept")
    assert content(broken) == before
    assert (tmp_path / "made/images/a.jpg").stat().st_ino == (broken / "images/a.jpg").stat().st_ino
    assert sorted(codes(tmp_path / "made")) == ["box-inverted", "mixed-extensions"]


def test_a_repair_in_place_keeps_the_dataset_as_it_was(broken: Path) -> None:
    before = content(broken)
    repair = fix_dataset(broken, None)
    assert (repair.output, repair.backup) == (broken, broken.with_name("data.before-fix"))
    assert content(broken.with_name("data.before-fix")) == before
    assert content(broken)["labels/b.txt"] == b""
    repaired = content(broken)
    again = fix_dataset(broken, None)
    assert (again.labels, again.empty_labels, again.renamed) == (0, 0, ())
    assert again.backup == broken.with_name("data.before-fix-2")
    assert content(broken) == repaired
    assert sorted(path.name for path in broken.parent.iterdir()) == [
        "data",
        "data.before-fix",
        "data.before-fix-2",
    ]


def test_a_folder_without_labels_is_not_repaired(tmp_path: Path) -> None:
    with pytest.raises(UserFilesError, match="only KITTI labels can be repaired"):
        fix_dataset(tmp_path, None)
