"""What a conversion counts, leaves out and says of it: small KITTI datasets, each with one thing in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from shapes import write_image

from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.transform.convert import convert, refuse_overlap
from taorunner.datasets.transform.usable_boxes import box_findings
from taorunner.errors import Severity, UsageError, UserFilesError

GOOD = "1 1 20 20"


def kitti(root: Path, **labels: tuple[str, ...]) -> Path:
    """An image for each word, ``__`` before its suffix; its boxes are ``name x_min y_min x_max y_max``."""
    for word, boxes in labels.items():
        stem, _, suffix = word.partition("__")
        write_image(root / "images" / f"{stem}.{suffix or 'jpg'}", 40, 30)
        lines = [f"{box.split()[0]} 0 0 0 {' '.join(box.split()[1:])} 0 0 0 0 0 0 0\n" for box in boxes]
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{stem}.txt").write_text("".join(lines))
    return root


@pytest.mark.parametrize(
    ("corners", "code"),
    [
        ("20 1 10 20", "box-inverted"),
        ("1 20 10 10", "box-inverted"),
        ("20 20 10 10", "box-inverted"),
        ("10 1 10 20", "box-empty"),
        ("1 10 20 10", "box-empty"),
        ("10 10 10 10", "box-empty"),
        ("10 20 10 10", "box-inverted"),  # no width, and its height is swapped
        ("20 10 10 10", "box-inverted"),
        (GOOD, None),
    ],
)
def test_a_box_that_is_none_is_left_out_or_refused(corners: str, code: str | None, tmp_path: Path) -> None:
    source = kitti(tmp_path / "d", a=(f"car {corners}", f"car {GOOD}"))
    is_inverted = code == "box-inverted"
    found = [one.code for one in box_findings(read_dataset(source)) if one.is_error]
    assert found == (["box-inverted"] if is_inverted else [])
    if is_inverted:
        with pytest.raises(UserFilesError) as caught:
            convert(source, tmp_path / "made", to="coco")
        (finding,) = caught.value.findings
        assert finding.message == f'"car" on "a.jpg": the box {corners} has its corners swapped'
        assert (finding.severity, finding.line) == (Severity.ERROR, 1)
        assert (finding.file, finding.hint) == (
            source / "labels/a.txt", "correct its corners; dataset convert --skip-bad leaves it out",
        )  # fmt: skip
        assert not (tmp_path / "made").exists()
    done = convert(source, tmp_path / "made", to="coco", skip_bad=True)
    left = 0 if code is None else 1
    assert [one.code for one in done.findings] == ([] if code is None else [code])
    (count,) = done.classes
    assert (count.name, count.before, count.left_out, done.after["car"]) == ("car", 2, left, 2 - left)
    if code == "box-empty":
        message = f'1 box without area: left out, such as "car" {corners} on "a.jpg"'
        assert done.findings[0].message == message
        assert done.findings[0].severity is Severity.WARNING


def test_the_numbers_of_a_conversion(tmp_path: Path) -> None:
    source = kitti(
        tmp_path / "d", a=(f"Car {GOOD}", f"bus {GOOD}"), b=(), c=(f"car {GOOD}",), d__png=("bus 1 1 1 2",)
    )
    done = convert(source, tmp_path / "made", to="kitti")
    assert (done.format, done.target, done.images_before, done.images_after, done.backgrounds) == (
        "kitti", "kitti", 4, 4, 2,
    )  # fmt: skip
    assert {one.name: (one.written, one.before, one.left_out) for one in done.classes} == {
        "Car": ("car", 1, 0), "car": ("car", 1, 0), "bus": ("bus", 2, 1),
    }  # fmt: skip
    assert (dict(done.after), done.subsets, done.renamed) == ({"car": 2, "bus": 1}, {"": 4}, ())
    messages = {one.code: (one.message, one.file) for one in done.findings}
    assert messages == {
        "box-empty": (
            '1 box without area: left out, such as "bus" 1 1 1 2 on "d.png"',
            source / "labels/d.txt",
        ),
        "picture-emptied": (
            'no box of 1 image can be used, such as those of "d.png": written as background',
            source / "images/d.png",
        ),
        "classes-merged": ('the classes "Car", "car" become one, "car"', source),
        "extensions-mixed": ("the images have several extensions: 3 .jpg, 1 .png", source),
    }
    body = done.to_json()
    assert body["images"] == {"before": 4, "after": 4, "backgrounds": 2}
    assert [(one["name"], one["written"], one["after"]) for one in body["classes"]] == [
        (one.name, one.written, done.after[one.written]) for one in done.classes
    ]
    assert body["subsets"] == {"": 4} and body["renamed"] == [] and len(body["findings"]) == 4
    assert sum(body["placed"].values()) == 4


@pytest.mark.parametrize(
    ("suffixes", "wanted"),
    [
        (("jpg", "jpeg"), {}),
        (("png", "png"), {}),
        (
            ("webp", "webp"),
            {"images-converted": "2 images saved as PNG, as TAO's networks do not read 2 WEBP"},
        ),
        (("tif", "png"), {"images-converted": "1 image saved as PNG, as TAO's networks do not read 1 TIFF"}),
    ],
)
def test_extensions_that_tao_does_not_read(
    suffixes: tuple[str, str], wanted: dict[str, str], tmp_path: Path
) -> None:
    source = kitti(
        tmp_path / "d", **{f"{stem}__{suffix}": () for stem, suffix in zip("ab", suffixes, strict=True)}
    )
    (source / "labels/a.txt").write_text(f"car 0 0 0 {GOOD} 0 0 0 0 0 0 0\n")
    done = convert(source, tmp_path / "made", to="kitti")
    assert {one.code: one.message for one in done.findings} == wanted
    names = {path.suffix for path in (tmp_path / "made/images").iterdir()}
    assert names == ({".jpg"} if suffixes == ("jpg", "jpeg") else {".png"})


def test_progress_is_told_for_each_hundred_images(tmp_path: Path) -> None:
    source = kitti(tmp_path / "d", a=(f"car {GOOD}",))
    for number in range(200):
        (source / "images" / f"{number:03}.jpg").hardlink_to(source / "images/a.jpg")
        (source / "labels" / f"{number:03}.txt").hardlink_to(source / "labels/a.txt")
    told: list[tuple[str, int, int]] = []
    convert(source, tmp_path / "made", to="kitti", progress=lambda *words: told.append(words))
    assert [one for one in told if one[0] == "writing"] == [("writing", 100, 201), ("writing", 200, 201)]


@pytest.mark.parametrize(
    ("output", "is_refused"),
    [("d", True), ("d/made", True), (".", True), ("made", False), ("d2", False), ("d/../made", False), ("made/../d/x", True)],
)  # fmt: skip
def test_a_result_is_not_in_around_or_at_its_source(output: str, is_refused: bool, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    if not is_refused:
        refuse_overlap(tmp_path / "d", tmp_path / output)
        return
    with pytest.raises(UsageError, match="cannot be in, around or at the source"):
        refuse_overlap(tmp_path / "d", tmp_path / output)
