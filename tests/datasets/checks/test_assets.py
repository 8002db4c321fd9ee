"""The datasets under ``tests/assets``: they are what ``make.py`` writes, and every fault in them is found."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from shapes import ASSETS, SHAPES

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.files.image_header import ImageError, read_header
from taorunner.datasets.files.names import is_image
from taorunner.errors import Severity


def content(root: Path) -> dict[str, object]:
    """Bytes of labels; of images what their header says, as encoders differ."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            try:
                found[path.relative_to(root).as_posix()] = (
                    read_header(path) if is_image(path.name) else path.read_bytes()
                )
            except ImageError as error:
                found[path.relative_to(root).as_posix()] = str(error)
    return found


def test_the_script_writes_what_lies_there(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_assets", ASSETS.parent / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make(tmp_path / "made")
    assert content(tmp_path / "made") == content(ASSETS)


NASTY = {
    "nasty-kitti": {
        "box-beyond-edge": 1, "box-duplicate": 1, "box-empty": 1, "box-inverted": 1, "box-outside": 1, "box-tiny": 1,
        "class-imbalance": 2, "class-missing-in-subset": 2, "class-name-blank": 1, "class-name-case": 1,
        "class-names-merge": 1, "extension-case": 1, "image-16-bit": 1, "image-alpha": 1, "image-cmyk": 1,
        "image-corrupt": 1, "image-empty": 1, "image-exif-rotation": 1, "image-grayscale": 1, "image-name": 1,
        "image-truncated": 1, "image-undecodable": 3, "image-without-label": 1, "image-wrong-extension": 1,
        "label-blank-line": 1, "label-bom": 1, "label-columns": 2, "label-crlf": 1, "label-not-a-number": 1,
        "label-not-finite": 1, "label-not-utf8": 1, "label-occluded": 1, "label-without-image": 1,
        "mixed-extensions": 2, "same-image-in-subsets": 1, "stem-collision": 1,
    },
    "nasty-coco": {
        "box-beyond-edge": 1, "box-empty": 1, "box-inverted": 1, "box-outside": 1, "coco-annotation": 5,
        "coco-area": 1, "coco-image": 1, "picture-missing": 1,
    },
    "nasty-yolo": {
        "box-beyond-edge": 1, "box-empty": 1, "picture-unlisted": 1, "yolo-class": 1,
        "subset-unlabelled": 1, "yolo-columns": 1, "yolo-number": 1,
    },
    "nasty-voc": {"label-missing": 1, "picture-missing": 1, "voc-number": 1, "voc-object": 1, "xml-syntax": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_every_fault_of_a_nasty_dataset_is_found_and_none_invented(name: str) -> None:
    found = check_dataset(ASSETS / name, deep=True).findings
    assert Counter(f.code for f in found if f.severity is not Severity.INFO) == NASTY[name]


@pytest.mark.parametrize("name", [name for name in SHAPES if not name.startswith("kitti")])
def test_a_dataset_without_a_fault_has_none(name: str) -> None:
    """The tools' own shapes; two classes are not in val, and COCO's own ``area`` is what some tools leave out."""
    report = check_dataset(ASSETS / name, deep=True)
    codes = {f.code for f in report.findings if f.severity is not Severity.INFO}
    expected = {"class-missing-in-subset"} if SHAPES[name][2] else set()
    expected |= {"coco-area"} if SHAPES[name][0] == "coco" else set()
    expected |= {"label-missing"} if name == "voc-beside" else set()
    assert (report.kind, codes) == (SHAPES[name][0], expected)


@pytest.mark.parametrize("name", ["classification", "segmentation"])
def test_folders_and_masks_without_a_fault(name: str) -> None:
    report = check_dataset(ASSETS / name, deep=True)
    assert (report.kind, [f for f in report.findings if f.severity is not Severity.INFO]) == (name, [])
