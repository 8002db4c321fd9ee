"""What follows from folders of classes, from values in masks, and from texts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from taorunner.catalog.load import Catalog
from taorunner.errors import UserFilesError
from taorunner.planning.derived.derive import DataFacts, WithData, read_facts, with_data
from taorunner.planning.experiment_variables import set_variables, variables_of
from taorunner.planning.new_project import new_project
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace
from taorunner.yaml_reader import read_yaml


class Bench:
    """A new project of a head; ``data`` is its empty dataset."""

    def __init__(self, root: Path, head: str) -> None:
        new_project(root, root, "new", head=head, backbone=None, experiment="e", dataset="set")
        self.workspace = Workspace(root)
        self.head, self.root = head, root
        paths = self.workspace.project("new")
        self.folder, self.data = paths.spec_dir("e"), paths.data_dir / "set"
        self.experiments = paths.experiments_file

    @property
    def texts(self) -> dict[str, str]:
        return {one.name: one.read_text() for one in sorted(self.folder.iterdir())}

    def facts(self) -> DataFacts:
        layout = Catalog().layout(self.head)
        assert layout is not None
        return read_facts(layout, self.data, self.texts, self.variables)

    @property
    def variables(self) -> dict[str, object]:
        return variables_of(self.experiments, "e")

    def apply(self, *, is_new: bool = True) -> WithData:
        layout = Catalog().layout(self.head)
        assert layout is not None
        result = with_data(layout, self.facts(), self.texts, self.variables, is_new=is_new)
        set_variables(self.experiments, "e", result.variables)
        for name, text in result.specs.items():
            (self.folder / name).write_text(text)
        return result

    def edit(self, old: str, new: str, file: str = "train.yaml") -> None:
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new))

    def spec(self, file: str = "train.yaml") -> Any:
        text = (self.folder / file).read_text().replace("[$gpu_ids]", "[0]")
        for name, value in self.variables.items():
            text = text.replace(f": ${name}", f": {value}")
        text = text.replace("$", "X")
        return read_yaml(text).value

    def codes(self) -> list[tuple[str, str]]:
        found = validate_projects(self.workspace, ["new"], {"HOME": "/nowhere"})
        return [(one.code, one.message) for one in found if "class" in one.code or "mask" in one.code]


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (64, 48), value: Any = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def class_folders(data: Path, classes: Sequence[str], images: int = 20) -> None:
    for subset in ("train", "val"):
        for name in classes:
            for number in range(images):
                picture(data / subset / name / f"{number}.jpg")
    (data / "classes.txt").write_text("".join(f"{name}\n" for name in sorted(classes)))


def masks(data: Path, values: Sequence[int | tuple[int, int, int]], images: str = "RGB") -> None:
    for subset in ("train", "val"):
        for number in range(10):
            picture(data / "images" / subset / f"{number}.png", images)
            mask = data / "masks" / subset / f"{number}.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            made = Image.new("L" if isinstance(values[0], int) else "RGB", (64, 48), values[0])
            for index, value in enumerate(values):
                made.paste(value, (index * 8, 0, index * 8 + 8, 48))
            made.save(mask)


@pytest.mark.parametrize("head", ["classification_pyt", "classification_tf2", "mae"])
def test_class_folders_are_counted(head: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, head)
    class_folders(bench.data, ("a", "b", "c", "d", "e"))
    bench.apply()
    for file in bench.texts:
        spec = bench.spec(file)
        section = "model" if head == "mae" else "dataset"
        assert spec[section]["num_classes"] == 5, file
    assert bench.codes() == []
    assert bench.apply(is_new=False).changes == ()


def test_no_more_best_classes_than_there_are(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "classification_pyt")
    class_folders(bench.data, ("a", "b", "c"))
    bench.edit("topk: [1]", "topk: [1, 5]")
    bench.apply(is_new=False)
    assert bench.spec()["model"]["head"]["topk"] == [1]


MASKS = {
    "numbers": ((0, 1, 2), [[0], [1], [2]], ""),
    "gaps": ((0, 10, 200), [[0], [10], [200]], ""),
    "white": ((0, 255), [[0], [1]], "norm"),
    "colours": (((0, 0, 0), (255, 0, 0), (0, 0, 255)), [[0, 0, 0], [0, 0, 255], [255, 0, 0]], ""),
}


@pytest.mark.parametrize("kind", MASKS)
def test_the_palette_of_segformer(kind: str, tmp_path: Path) -> None:
    values, colors, transform = MASKS[kind]
    bench = Bench(tmp_path, "segformer")
    masks(bench.data, values)
    bench.apply()
    for file in ("train.yaml", "quantize.yaml"):
        segment = bench.spec(file)["dataset"]["segment"]
        assert [one["rgb"] for one in segment["palette"]] == colors, file
        assert [one["label_id"] for one in segment["palette"]] == list(range(len(colors)))
        assert all(one["seg_class"] == one["mapping_class"] for one in segment["palette"])
        assert segment["num_classes"] == len(colors)
    assert bench.spec()["dataset"]["segment"]["label_transform"] == transform
    assert bench.spec()["dataset"]["segment"]["palette"][0]["seg_class"] == "background"
    assert bench.codes() == []
    assert bench.apply().changes == () and bench.apply(is_new=False).changes == ()


def test_a_palette_of_the_user_stays_where_it_reads_the_masks(tmp_path: Path) -> None:
    """Two values are one class here, and a third one does not occur."""
    bench = Bench(tmp_path, "segformer")
    masks(bench.data, (0, 1, 2))
    bench.edit(
        "    palette: $FILL_IN",
        "    palette:\n"
        "      - {seg_class: background, mapping_class: background, label_id: 0, rgb: [0]}\n"
        "      - {seg_class: car, mapping_class: car, label_id: 1, rgb: [1]}  # any vehicle\n"
        "      - {seg_class: rider, mapping_class: rider, label_id: 2, rgb: [9]}\n"
        "      - {seg_class: truck, mapping_class: truck, label_id: 1, rgb: [2]}\n     ",
    )
    set_variables(bench.experiments, "e", {"num_classes": 3})
    before = bench.texts["train.yaml"]
    bench.apply(is_new=False)
    assert bench.texts["train.yaml"] == before


def test_a_new_value_in_the_masks_is_one_more_entry(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "segformer")
    masks(bench.data, (0, 1))
    bench.apply()
    masks(bench.data, (0, 1, 7))
    result = bench.apply(is_new=False)
    segment = bench.spec()["dataset"]["segment"]
    assert segment["palette"][:2] == [
        {"seg_class": "background", "mapping_class": "background", "label_id": 0, "rgb": [0]},
        {"seg_class": "foreground", "mapping_class": "foreground", "label_id": 1, "rgb": [1]},
    ]
    assert segment["palette"][2] == {
        "seg_class": "class_2",
        "mapping_class": "class_2",
        "label_id": 2,
        "rgb": [7],
    }
    assert segment["num_classes"] == 3 and bench.codes() == []
    assert {change.key for change in result.changes} == {
        "dataset.segment.palette",
        "$num_classes",
    }


UNET = {
    "colour": ("RGB", (0, 1, 2), "color", 3, [0, 1, 2]),
    "white in colour": ("RGB", (0, 255), "color", 3, [0, 255]),
    "gray": ("L", (0, 255), "grayscale", 1, [0, 1]),
    "gray with numbers": ("L", (0, 1, 2), "color", 3, [0, 1, 2]),
}


@pytest.mark.parametrize("kind", UNET)
def test_the_classes_of_unet(kind: str, tmp_path: Path) -> None:
    mode, values, image_type, channels, labels = UNET[kind]
    bench = Bench(tmp_path, "unet")
    masks(bench.data, values, images=mode)
    bench.apply()
    text = bench.texts["train.txt"]
    assert re.findall(r"label_id: (\d+)", text) == [str(one) for one in labels]
    assert f'input_image_type: "{image_type}"' in text and f"model_input_channels: {channels}" in text
    assert len(set(re.findall(r'mapping_class: "(\w+)"', text))) == len(labels)
    assert bench.apply(is_new=False).changes == ()


def test_the_longest_text_of_ocrnet(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "ocrnet")
    for subset, word in (("train", "x" * 30), ("val", "y" * 33)):
        picture(bench.data / subset / "a.png")
        (bench.data / subset / "labels.txt").write_text(f"a.png\t{word}\nb.png\tshort\n")
    bench.apply()
    assert bench.spec()["dataset"]["max_label_length"] == 33
    (bench.data / "val/labels.txt").write_text("a.png\tshort\n")
    bench.apply(is_new=False)
    assert bench.spec()["dataset"]["max_label_length"] == 33  # room for more is no fault


def test_the_longest_plate_of_lprnet_needs_its_width(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "lprnet")
    for subset in ("train", "val"):
        picture(bench.data / subset / "image/a.png")
        (bench.data / subset / "label").mkdir()
        (bench.data / subset / "label/a.txt").write_text("AB12345678901\n")
    bench.apply()
    text = bench.texts["train.txt"]
    assert "max_label_length: 13 " in text and f"output_width: {(2 * 13 + 1) * 4} " in text


def test_a_dataset_that_is_not_there_or_empty(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "classification_pyt")
    with pytest.raises(UserFilesError) as raised:
        bench.facts()
    assert [one.code for one in raised.value.findings] == ["no-classes"]
    bench.data.rmdir()
    with pytest.raises(UserFilesError) as raised:
        bench.facts()
    assert [one.code for one in raised.value.findings] == ["missing-dataset"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"images": [', "json-syntax"),
        ("[]", "coco-layout"),
        (json.dumps({"images": [], "annotations": []}), "coco-layout"),
        (
            json.dumps({"images": [1], "annotations": [], "categories": [{"id": 1, "name": "a"}]}),
            "coco-image",
        ),
        ("\xff", "json-syntax"),
    ],
)
def test_an_annotation_file_that_cannot_be_read_is_named(content: str, code: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, "rtdetr")
    file = bench.data / "train/annotations.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserFilesError) as raised:
        bench.facts()
    assert [(one.code, one.file) for one in raised.value.findings] == [(code, file)]
