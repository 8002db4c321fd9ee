"""For every head that a writer exists for: what ``convert`` and ``split`` write is what its new project reads, and the
values that follow from the data are found when they differ from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from filled_in import fill_in
from PIL import Image

from taorunner.catalog.layouts import Counts
from taorunner.catalog.load import Catalog
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.split import split_dataset
from taorunner.datasets.transform.texts import lay_out_texts
from taorunner.datasets.writers.texts import TEXT_TARGETS
from taorunner.errors import Finding
from taorunner.planning.new_project import new_project
from taorunner.planning.validate import validate_projects
from taorunner.project.scaffold import scaffold_heads
from taorunner.project.workspace import Workspace

CLASSES = ("bus", "car", "cyclist", "pedestrian", "van")
FORMS = {head: layout.form for head in scaffold_heads() if (layout := Catalog().layout(head)) and layout.form}
COUNTED = [
    head
    for head in FORMS
    if (layout := Catalog().layout(head)) and any(one.counts for one in layout.computed)
]
OF_BPNET = ("coco_spec.json", "bpnet_18joints.json")
"""Files of the network, which its image has."""
ABOUT_INPUTS = ("missing-input", "empty-input", "wrong-input", "empty-dataset")


def test_no_head_is_left_out() -> None:
    assert len(FORMS) == 32
    assert sorted(set(FORMS.values())) == [
        "classification",
        "coco",
        "kitti",
        "ocdnet",
        "ocrnet",
        "odvg",
        "panoptic",
        "segmentation",
    ]
    assert COUNTED == [
        "classification_pyt", "classification_tf1", "classification_tf2", "codetr", "deformable_detr", "dino",
        "efficientdet_tf1", "efficientdet_tf2", "mask2former", "mask_rcnn", "oneformer", "rtdetr",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same 100 images, drawn as COCO with outlines, in class folders, with masks, with texts, and as words."""
    root = tmp_path_factory.mktemp("sources")
    images, annotations = [], []
    for number in range(100):
        name, place = CLASSES[number % 5], f"{number:04}.png"
        image = Image.new("RGB", (64, 64), (number * 2, 90, 200 - number))
        for folder in (
            "coco/images",
            f"classification/{name}",
            "segmentation/images",
            "ocdnet",
            "ocrnet/crops",
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
            image.save(root / folder / place)
        (root / "segmentation/masks").mkdir(exist_ok=True)
        Image.new("L", (64, 64), number % 3).save(root / "segmentation/masks" / place)
        outline = f"4,4,34,4,34,30,4,30,{name}, {number}\n5,40,9,40,9,50,5,50,###\n"
        (root / "ocdnet" / f"gt_{number:04}.txt").write_text("\ufeff" + outline, encoding="utf-8")
        with (root / "ocrnet/gt.txt").open("a", encoding="utf-8") as listed:
            listed.write(f'{place}, "{name}\u00e9{number}"\n')
        images.append({"id": number, "file_name": place, "width": 64, "height": 64})
        drawn = [[4, 4, 34, 4, 34, 30, 4, 30]]
        annotations.append({"id": number, "image_id": number, "category_id": number % 5, "area": 780,
                            "bbox": [4, 4, 30, 26], "segmentation": drawn, "iscrowd": 0})  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "coco/drawn.json").write_text(json.dumps(document))
    return root


@pytest.fixture
def made(tmp_path: Path, sources: Path) -> Callable[[str], Workspace]:
    """A new project of a head, and the split that the dataset commands write for its form."""

    def make(head: str) -> Workspace:
        form = FORMS[head]
        layout = Catalog().layout(head)
        part = "/train" if layout is not None and layout.dataset else ""
        new_project(tmp_path, tmp_path, "new", head=head, backbone=None, experiment="e", dataset=f"set{part}")
        fill_in(tmp_path / "projects/new")
        drawn = sources / form if (sources / form).is_dir() else sources / "coco"
        target = Workspace(tmp_path).project("new").data_dir / "set"
        if form in TEXT_TARGETS:
            lay_out_texts(drawn, tmp_path / "converted", to=form)
            split_dataset(
                tmp_path / "converted", target, shares={"train": 0.7, "val": 0.3}, seed=1, overwrite=True
            )
        elif form in ("classification", "segmentation"):
            split_dataset(
                drawn, target, shares={"train": 0.6, "val": 0.3, "test": 0.1}, seed=1, overwrite=True
            )
        else:
            is_panoptic = form == "panoptic"  # which is made of what was split
            convert(drawn, tmp_path / "converted", to="coco" if is_panoptic else str(form))
            split = tmp_path / "split" if is_panoptic else target
            shares = {"train": 0.7, "val": 0.3}
            split_dataset(tmp_path / "converted", split, shares=shares, seed=1, overwrite=True)
            if is_panoptic:
                convert(split, target, to="panoptic")
        return Workspace(tmp_path)

    return make


def findings(workspace: Workspace) -> list[Finding]:
    return validate_projects(workspace, ["new"], {"HOME": "/nowhere"})


@pytest.mark.parametrize("head", FORMS)
def test_everything_that_a_new_project_names_was_written(head: str, made: Callable[[str], Workspace]) -> None:
    found = [one for one in findings(made(head)) if not (head == "bpnet" and one.message.endswith(OF_BPNET))]
    assert [one.message for one in found if one.code in ABOUT_INPUTS and one.is_error] == []
    # of the rest, only KITTI labels of DINO's own converter, which its training does not need; UNet's converter, which
    # class masks do not need either, reads COCO annotations that vars names
    rest = {one.file.name for one in found if one.code in ABOUT_INPUTS and one.file is not None}
    assert rest <= ({"experiments.yml"} if head == "unet" else {"convert.yaml"})


@pytest.mark.parametrize("head", COUNTED)
def test_a_value_that_follows_from_the_data_is_found_and_its_hint_mends_it(
    head: str, made: Callable[[str], Workspace]
) -> None:
    """The scaffold has three classes, the dataset five, with ids from 1 as ``convert`` writes them."""
    workspace = made(head)
    layout = Catalog().layout(head)
    assert layout is not None
    wanted = {Counts.HIGHEST_ID: 6, Counts.CATEGORIES: 5, Counts.CLASS_FOLDERS: 5}
    expected = {
        one.keys[0]: wanted[one.counts]
        for one in layout.computed
        if one.counts in wanted and "." in one.keys[0]
    }
    for key, number in expected.items():
        (finding,) = [one for one in findings(workspace) if one.code == "too-few-classes"]
        assert (
            f"{key.rpartition('.')[2]} is " in finding.message
            and f"the data needs {number}" in finding.message
        )
        assert finding.is_error and (finding.hint or "").startswith("taorunner specs refresh ")
        assert finding.file is not None and finding.line is not None
        lines = finding.file.read_text().splitlines(keepends=True)
        lines[finding.line - 1] = re.sub(r": \d+", f": {number}", lines[finding.line - 1], count=1)
        finding.file.write_text("".join(lines))
    left = {one.code for one in findings(workspace)} - {"pretrained-missing", "class-without-colour"}
    assert not [code for code in left if "classes" in code]
    assert bool(expected) == (head != "classification_tf1")  # which counts the folders itself


@pytest.mark.parametrize("head", [head for head in COUNTED if head in ("codetr", "dino", "rtdetr")])
def test_classes_without_a_colour_are_named(head: str, made: Callable[[str], Workspace]) -> None:
    (finding,) = [one for one in findings(made(head)) if one.code == "class-without-colour"]
    assert (
        finding.message
        == '"inference.color_map" has no colour for bus, van: inference draws no boxes of them'
    )


def test_key_points_reach_the_folders_that_bpnet_reads(tmp_path: Path, sources: Path) -> None:
    document = json.loads((sources / "coco/drawn.json").read_text())
    joints = {"keypoints": ["nose", "neck"], "skeleton": [[1, 2]]}
    document["categories"] = [{"id": 1, "name": "person", "supercategory": "person", **joints}]
    for number, one in enumerate(document["annotations"]):
        one |= {"category_id": 1, "keypoints": [9, 9, 2, number % 30, 20, 1], "num_keypoints": 2}
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "persons.json").write_text(json.dumps(document))
    (drawn / "images").symlink_to(sources / "coco/images")
    new_project(tmp_path, tmp_path, "new", head="bpnet", backbone=None, experiment="e", dataset="set")
    fill_in(tmp_path / "projects/new")
    convert(drawn, tmp_path / "converted", to="coco")
    target = Workspace(tmp_path).project("new").data_dir / "set"
    split_dataset(tmp_path / "converted", target, shares={"train": 0.7, "val": 0.3}, seed=1, overwrite=True)
    made = [json.loads((target / part / "annotations.json").read_text()) for part in ("train", "val")]
    points = sorted(one["keypoints"][3] for part in made for one in part["annotations"])
    assert points == sorted(number % 30 for number in range(100))
    assert all(one["num_keypoints"] == 2 for part in made for one in part["annotations"])
    assert [part["categories"] for part in made] == [document["categories"]] * 2
