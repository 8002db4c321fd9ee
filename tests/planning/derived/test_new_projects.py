"""A scaffold on a dataset with other classes, sizes and suffixes: every rule's value, computed here once more, and no
finding of ``validate``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from PIL import Image

import taorunner.project
from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.load import Catalog
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.split import split_dataset
from taorunner.planning.derived.derive import DataFacts, WithData, read_facts, with_data
from taorunner.planning.new_project import new_project
from taorunner.planning.validate import validate_projects
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.specs.spec_file import prepare_spec
from taorunner.specs.syntax.prototxt_parser import ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.yaml_reader import read_yaml

SCAFFOLDS = Path(taorunner.project.__file__).parent / "scaffolds"
CLASSES = ("Bolt", "lock nut", "clip", "hook", "washer")
WRITTEN = ("bolt", "lock_nut", "clip", "hook", "washer")
SIZE = (192, 108)
COCO = ("rtdetr", "dino", "deformable_detr", "codetr", "efficientdet_tf1", "efficientdet_tf2", "mask_rcnn",
        "mask2former", "mal")  # fmt: skip
KITTI = (
    "detectnet_v2",
    "ssd",
    "dssd",
    "retinanet",
    "yolo_v3",
    "yolo_v4",
    "yolo_v4_tiny",
    "faster_rcnn",
    "tinydet",
)
FORMS = {
    **dict.fromkeys(COCO, "coco"), **dict.fromkeys(KITTI, "kitti"), "grounding_dino": "odvg",
    "mask_grounding_dino": "odvg", "oneformer": "panoptic",
}  # fmt: skip


def boxes_of(number: int) -> list[tuple[int, list[int]]]:
    """Class number and box (x, y, width, height) of an image: 1 to 5 boxes of many shapes."""
    return [
        (
            (number + index) % 5,
            [4 + index, 6, 12 + (number * 7 + index * 13) % 90, 10 + (number * 5 + index * 11) % 70],
        )
        for index in range(1 + number % 5)
    ]


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an annotation tool wrote: COCO with outlines."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "images").mkdir()
    images, annotations = [], []
    for number in range(100):
        Image.new("RGB", SIZE, (number * 2, 90, 90)).save(root / "images" / f"{number:04}.jpg")
        images.append({"id": number, "file_name": f"{number:04}.jpg", "width": SIZE[0], "height": SIZE[1]})
        for kind, (x, y, w, h) in boxes_of(number):
            outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            annotations.append({"id": len(annotations), "image_id": number, "category_id": kind, "area": w * h,
                                "bbox": [x, y, w, h], "segmentation": outline, "iscrowd": 0})  # fmt: skip
    categories = [{"id": index, "name": name} for index, name in enumerate(CLASSES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "drawn.json").write_text(json.dumps(document))
    return root


@pytest.fixture(scope="session")
def split_of(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def folder(form: str) -> Path:
        if form not in made:
            first, then = tmp_path_factory.mktemp("first") / form, tmp_path_factory.mktemp("then") / form
            shares = {"train": 0.75, "val": 0.25}
            if form == "panoptic":  # which split does not read
                split_dataset(drawn, first, shares=shares, seed=42)
                convert(first, then, to=form)
            else:
                convert(drawn, first, to=form)
                split_dataset(first, then, shares=shares, seed=42)
            made[form] = then
        return made[form]

    return folder


class Made:
    """A new project of a head on a dataset, with everything that follows from the data set in its specs."""

    def __init__(self, root: Path, head: str, data: Path, dataset: str) -> None:
        new_project(root, root, "new", head=head, backbone=None, experiment=None, dataset=dataset)
        self.workspace = Workspace(root)
        paths = self.workspace.project("new")
        target = paths.data_dir / dataset.split("/")[0]
        if target.is_dir():
            for below in sorted(target.rglob("*"), reverse=True):
                below.rmdir()
            target.rmdir()
        target.symlink_to(data)
        (experiment,) = load_project(self.workspace, "new").experiments.values()
        if experiment.repository is not None:
            name = f"{experiment.repository}/{experiment.repository}_v{experiment.backbone}/weights.hdf5"
            weights = root / "repositories" / name
            weights.parent.mkdir(parents=True)
            weights.touch()
        layout = Catalog().layout(head)
        assert layout is not None
        self.layout: DataLayout = layout
        self.folder = paths.spec_dir(experiment.name)
        self.texts = {one.name: one.read_text() for one in sorted(self.folder.iterdir())}
        self.dataset = paths.dataset_dir(dataset)
        self.facts: DataFacts = read_facts(layout, self.dataset, self.texts, experiment.vars)
        self.result: WithData = with_data(layout, self.facts, self.texts, experiment.vars, is_new=True)
        for name, text in self.result.specs.items():
            (self.folder / name).write_text(text)
        self.variables = dict(self.result.variables)

    def findings(self) -> list[tuple[str, str]]:
        found = validate_projects(self.workspace, ["new"], {"HOME": "/nowhere"}, strict=True)
        return [(one.code, one.message) for one in found]

    def yaml(self, name: str = "train.yaml") -> Any:
        text = self.result.specs[name].replace("[$gpu_ids]", "[0]").replace("$", "X")
        document = read_yaml(text)
        assert document.problems == []
        return document.value

    def proto(self, name: str = "train.txt") -> Mapping[str, list[Any]]:
        return plain(parse_prototxt(self.result.specs[name]))


def plain(message: ProtoMessage) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for field in message.fields:
        value = field.value
        read: Any = plain(value) if isinstance(value, ProtoMessage) else None
        read = value.value if isinstance(value, ProtoScalar) else read
        found.setdefault(field.name, []).append(read)
    return found


def made(tmp_path: Path, head: str, split_of: Callable[[str], Path]) -> Made:
    form = FORMS[head]
    return Made(tmp_path, head, split_of(form), "set/train" if form == "kitti" else "set")


@pytest.mark.parametrize("head", FORMS)
def test_it_has_no_findings(head: str, tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    one = made(tmp_path, head, split_of)
    assert one.findings() == []
    again = with_data(one.layout, one.facts, one.result.specs, one.variables, is_new=True)
    assert (again.changes, again.specs) == ((), one.result.specs)
    refreshed = with_data(one.layout, one.facts, one.result.specs, one.variables, is_new=False)
    assert (refreshed.changes, refreshed.specs) == ((), one.result.specs)

    import difflib, os

    if os.environ.get("SHOW"):
        for name, text in one.texts.items():
            print(
                "".join(
                    difflib.unified_diff(
                        text.splitlines(True), one.result.specs[name].splitlines(True), head, name, n=0
                    )
                )
            )
        for change in one.result.changes:
            print(change)
        print(one.result.kept, dict(one.variables))
