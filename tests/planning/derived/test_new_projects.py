"""A scaffold on a dataset with other classes, sizes and suffixes: every rule's value, computed here once more, and no
finding of ``validate``."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from source_datasets import save_image

from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.load import Catalog
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.split import split_dataset
from taorunner.planning.derived.derive import DataFacts, WithData, read_facts, with_data
from taorunner.planning.new_project import new_project
from taorunner.planning.validate import validate_projects
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.specs.editing.yaml_edit import set_value
from taorunner.specs.syntax.prototxt_parser import ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.yaml_reader import read_yaml

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
        save_image(root / "images" / f"{number:04}.jpg", number, SIZE)
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
        changed = {name: one for name, one in self.variables.items() if experiment.vars.get(name) != one}
        experiments = paths.experiments_file.read_text()
        for variable, value in changed.items():
            experiments = set_value(experiments, ("experiments", experiment.name, "vars", variable), value)
        paths.experiments_file.write_text(experiments)

    def findings(self) -> list[tuple[str, str]]:
        found = validate_projects(self.workspace, ["new"], {"HOME": "/nowhere"}, strict=True)
        return [(one.code, one.message) for one in found if one.code not in ("not-made-yet", "image-size")]

    def yaml(self, name: str = "train.yaml") -> Any:
        text = self.filled(self.result.specs[name]).replace("[$gpu_ids]", "[0]").replace("$", "X")
        document = read_yaml(text)
        assert document.problems == []
        return document.value

    def proto(self) -> Mapping[str, list[Any]]:
        return plain(parse_prototxt(self.filled(self.result.specs["train.txt"])))

    def filled(self, text: str) -> str:
        """With the experiment's own variables in place."""
        for name, value in self.variables.items():
            text = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", str(value), text)
        return text


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


# what the values are, computed here from the files that the loaders read


def coco_of(one: Made, subset: str) -> Any:
    return json.loads((one.dataset / subset / "annotations.json").read_text())


def kitti_of(one: Made) -> list[list[tuple[str, list[float]]]]:
    """Class and box of every line of every label that trains."""
    files = sorted((one.dataset / "labels").iterdir())
    rows = [[line.split() for line in file.read_text().splitlines()] for file in files]
    return [[(row[0], [float(word) for word in row[4:8]]) for row in rows_of] for rows_of in rows]


@pytest.mark.parametrize("head", ["rtdetr", "dino", "deformable_detr", "codetr"])
def test_classes_of_the_detr_family(head: str, tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    one = made(tmp_path, head, split_of)
    documents = [coco_of(one, subset) for subset in ("train", "val")]
    ids = {row["id"] for document in documents for row in document["categories"]}
    names = [row["name"] for row in sorted(documents[0]["categories"], key=lambda row: row["id"])]
    for file in one.result.specs:
        spec = one.yaml(file)
        if "num_classes" in spec.get("dataset", {}):
            assert spec["dataset"]["num_classes"] == max(ids) + 1 == 6
    colors = one.yaml()["inference"]["color_map"]
    assert list(colors) == names and len(set(colors.values())) == 5
    reasons = {change.key: change.reason for change in one.result.changes}
    assert reasons.get("$num_classes", reasons.get("dataset.num_classes")) == "largest id 5, plus 1"


@pytest.mark.parametrize("head", ["efficientdet_tf1", "efficientdet_tf2", "mask_rcnn"])
def test_numbers_of_images(head: str, tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    one = made(tmp_path, head, split_of)
    train, val = (len(coco_of(one, subset)["images"]) for subset in ("train", "val"))
    if head == "efficientdet_tf2":
        spec = one.yaml()
        found = (
            spec["dataset"]["num_classes"],
            spec["train"]["num_examples_per_epoch"],
            spec["evaluate"]["num_samples"],
        )
    elif head == "efficientdet_tf1":
        proto = one.proto()
        found = (
            proto["dataset_config"][0]["num_classes"][0],
            proto["training_config"][0]["num_examples_per_epoch"][0],
            proto["eval_config"][0]["eval_samples"][0],
        )
    else:
        proto = one.proto()
        data = proto["data_config"][0]
        found = data["num_classes"][0], proto["num_examples_per_epoch"][0], data["eval_samples"][0]
    assert found == (6, train, val)


def test_steps_of_mask_rcnn_are_as_many_epochs_as_before(
    tmp_path: Path, split_of: Callable[[str], Path]
) -> None:
    """The scaffold: 1,000 images in batches of 2, so 500 steps an epoch; 40 epochs."""
    one = made(tmp_path, "mask_rcnn", split_of)
    proto = one.proto()
    steps = -(-len(coco_of(one, "train")["images"]) // 2)
    assert proto["num_steps_per_eval"] == [5 * steps] and proto["warmup_steps"] == [2 * steps]
    assert proto["learning_rate_steps"] == [f"[{24 * steps}, {32 * steps}, {36 * steps}]"]


def test_the_schedule_of_oneformer(tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    one = made(tmp_path, "oneformer", split_of)
    document = json.loads((one.dataset / "train/panoptic.json").read_text())
    train = one.yaml()["train"]
    steps = -(-len(document["images"]) // one.yaml()["dataset"]["train"]["batch_size"])
    assert one.yaml()["model"]["sem_seg_head"]["num_classes"] == len(document["categories"]) == 5
    assert (train["iters_per_epoch"], train["optim"]["max_iter"]) == (steps, train["num_epochs"] * steps)
    assert train["optim"]["warmup_iters"] == train["num_epochs"] * steps // 10


@pytest.mark.parametrize("head", [head for head in KITTI if head != "tinydet"])
def test_mappings_and_suffixes_of_kitti_heads(
    head: str, tmp_path: Path, split_of: Callable[[str], Path]
) -> None:
    one = made(tmp_path, head, split_of)
    names = sorted({name for rows in kitti_of(one) for name, _ in rows})
    assert names == sorted(WRITTEN)
    for file, text in one.result.specs.items():
        proto = plain(parse_prototxt(text.replace("$", "_")))
        for where in (proto, *proto.get("dataset_config", ())):
            if "target_class_mapping" in where:
                rows = where["target_class_mapping"]
                assert [(row["key"], row["value"]) for row in rows] == [([name], [name]) for name in names], (
                    file
                )
        for section, suffix in (("kitti_config", ".jpg"), ("dataset_config", "jpg")):
            for where in proto.get(section, ()):
                assert where.get("image_extension", [suffix]) == [suffix], file


def test_every_block_of_detectnet_v2_names_the_classes(
    tmp_path: Path, split_of: Callable[[str], Path]
) -> None:
    one = made(tmp_path, "detectnet_v2", split_of)
    names = sorted(WRITTEN)
    proto = one.proto()
    for section, block, by in (
        ("bbox_rasterizer_config", "target_class_config", "key"),
        ("cost_function_config", "target_classes", "name"),
        ("postprocessing_config", "target_class_config", "key"),
        ("evaluation_config", "minimum_detection_ground_truth_overlap", "key"),
        ("evaluation_config", "evaluation_box_config", "key"),
    ):
        rows = proto[section][0][block]
        assert [row[by][0] for row in rows] == names, block
        bodies = [{key: value for key, value in row.items() if key != by} for row in rows]
        assert all(body == bodies[0] for body in bodies)
    inference = plain(parse_prototxt(one.result.specs["inference.txt"].replace("$", "_")))
    assert inference["inferencer_config"][0]["target_classes"] == names
    handlers = inference["bbox_handler_config"][0]["classwise_bbox_handler_config"]
    assert [(row["key"][0], row["value"][0]["output_map"][0]) for row in handlers] == list(
        zip(names, names, strict=True)
    )
    colors = [tuple(row["value"][0]["bbox_color"][0].values()) for row in handlers]
    assert len({str(color) for color in colors}) == len(names)


def test_sizes_are_multiples_near_the_images(tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    """192x108, made larger to the least side of 160: 284x160."""
    for head, multiple in (("detectnet_v2", 16), ("yolo_v4", 32), ("faster_rcnn", 16)):
        one = made(tmp_path / head, head, split_of)
        proto = one.proto()
        section = proto["augmentation_config"][0]
        section = section.get("preprocessing", [section])[0]
        prefix = "output" if head == "yolo_v4" else "output_image"
        size = section[f"{prefix}_width"][0], section[f"{prefix}_height"][0]
        assert size == (288, 160) and all(side % multiple == 0 for side in size)
    assert proto["model_config"][0]["input_image_config"][0]["size_height_width"] == [
        {"height": [160], "width": [288]}
    ]


def test_sizes_of_the_command_line_are_those_of_the_spec(
    tmp_path: Path, split_of: Callable[[str], Path]
) -> None:
    one = made(tmp_path, "yolo_v3", split_of)
    assert (one.variables["image_width"], one.variables["image_height"]) == (288, 160)


@pytest.mark.parametrize(("head", "count"), [("yolo_v3", 9), ("yolo_v4", 9), ("yolo_v4_tiny", 6)])
def test_anchors_fit_the_boxes(
    head: str, count: int, tmp_path: Path, split_of: Callable[[str], Path]
) -> None:
    """By rising area, the largest three are big; every box has an anchor near it."""
    one = made(tmp_path, head, split_of)
    config = next(value[0] for key, value in one.proto().items() if key.startswith("yolov"))
    names = ("small", "mid", "big")[3 - count // 3 :]
    shapes = [
        tuple(map(float, pair))
        for name in names
        for pair in re.findall(r"\(([\d.]+), ([\d.]+)\)", config[f"{name}_anchor_shape"][0])
    ]
    areas = [w * h for w, h in shapes]
    assert len(shapes) == count and areas == sorted(areas) and len(set(shapes)) == count
    boxes = [
        ((b[2] - b[0]) * 288 / 192, (b[3] - b[1]) * 160 / 108) for rows in kitti_of(one) for _, b in rows
    ]
    best = [max(overlap(box, shape) for shape in shapes) for box in boxes]
    assert sum(best) / len(best) > 0.65
    scaffold = re.findall(r"\((\d+), (\d+)\)", one.texts["train.txt"])
    before = [max(overlap(box, (float(w), float(h))) for w, h in scaffold) for box in boxes]
    assert sum(best) > sum(before)


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    shared = min(one[0], other[0]) * min(one[1], other[1])
    return shared / (one[0] * one[1] + other[0] * other[1] - shared)


def test_limits_follow_the_fullest_image(tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    """The scaffolds have room for 100 and more; a tighter spec is widened, an ample one stays."""
    one = made(tmp_path, "efficientdet_tf2", split_of)
    counts = Counter(
        (subset, row["image_id"])
        for subset in ("train", "val")
        for row in coco_of(one, subset)["annotations"]
    )
    assert max(counts.values()) == 5
    tight = {
        "train.yaml": one.result.specs["train.yaml"].replace(
            "instances_per_image: 100", "instances_per_image: 5"
        )
    }
    wide = with_data(one.layout, one.facts, tight, {}, is_new=False)
    assert "max_instances_per_image: 6" in wide.specs["train.yaml"]
    assert [change.reason for change in wide.changes] == ["up to 5 objects in an image"]


def test_names_that_are_looked_for(tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    one = made(tmp_path, "grounding_dino", split_of)
    names = list(json.loads((one.dataset / "train/label_map.json").read_text()).values())
    spec = one.yaml()
    assert spec["dataset"]["infer_data_sources"]["captions"] == names
    assert list(spec["inference"]["color_map"]) == [name.lower() for name in names]


def test_small_objects_are_not_left_out(tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    one = made(tmp_path, "mal", split_of)
    areas = [row["bbox"][2] * row["bbox"][3] for row in coco_of(one, "train")["annotations"]]
    assert min(areas) < 2048 and one.yaml()["dataset"]["min_obj_size"] == 0


@pytest.mark.parametrize("head", FORMS)
def test_comments_and_other_lines_stay(head: str, tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    one = made(tmp_path, head, split_of)
    changed = {(change.file, change.key.rpartition(".")[2]) for change in one.result.changes}
    for file, text in one.texts.items():
        comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
        left = [line.partition("#")[2] for line in one.result.specs[file].splitlines() if "#" in line]
        assert list(dict.fromkeys(left)) == list(
            dict.fromkeys(comments)
        )  # a block has its comment for each class
        keys = {key for where, key in changed if where == file}
        if not keys:
            assert one.result.specs[file] == text


# open values of a scaffold


FILLED = {
    "rtdetr": {"num_classes": "$num_classes", "color_map": "$FILL_IN"},
    "grounding_dino": {"captions": "$FILL_IN", "color_map": "$FILL_IN"},
    "mask2former": {"num_classes": "$num_classes"},
    "efficientdet_tf1": {"num_classes": "$num_classes", "num_examples_per_epoch": "$FILL_IN", "eval_samples": "$FILL_IN"},
}  # fmt: skip


def test_open_steps_are_shares_of_all_epochs(tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    """As the scaffold has them: 5, 2, and 24, 32 and 36 of 40 epochs."""
    one = made(tmp_path, "mask_rcnn", split_of)
    keys = "num_examples_per_epoch|num_steps_per_eval|warmup_steps|learning_rate_steps"
    opened = re.sub(
        rf'(?m)^({keys}): ("?)[^#"\n]*?("?)(  #.*)?$', r"\1: \2$FILL_IN\3\4", one.texts["train.txt"]
    )
    assert opened.count("$FILL_IN") == 5 and 'learning_rate_steps: "$FILL_IN"' in opened
    result = with_data(one.layout, one.facts, {**one.texts, "train.txt": opened}, {}, is_new=True)
    assert result.specs == one.result.specs


@pytest.mark.parametrize("head", FILLED)
def test_open_values_are_filled_in(head: str, tmp_path: Path, split_of: Callable[[str], Path]) -> None:
    one = made(tmp_path, head, split_of)
    opened = {}
    for file, text in one.texts.items():
        for key, value in FILLED[head].items():
            text = re.sub(rf"(?m)^( *{key}: )[^#\n]*?(  #.*)?$", rf"\g<1>{value}\g<2>", text)
        opened[file] = text
    assert "$FILL_IN" in "".join(opened.values()) or head == "mask2former"
    for variables in ({"num_classes": "$FILL_IN"}, {}):
        result = with_data(one.layout, one.facts, opened, variables, is_new=True)
        assert "$FILL_IN" not in "".join(result.specs.values())
        if "$num_classes" in "".join(opened.values()):
            assert "$num_classes" in "".join(result.specs.values())
            assert result.variables["num_classes"] == (5 if head == "mask2former" else 6)
        count = str(result.variables.get("num_classes"))
        whole = {file: one.filled(text.replace("$num_classes", count)) for file, text in result.specs.items()}
        assert whole == {file: one.filled(text) for file, text in one.result.specs.items()}


def test_one_open_block_becomes_a_block_for_each_class(
    tmp_path: Path, split_of: Callable[[str], Path]
) -> None:
    one = made(tmp_path, "detectnet_v2", split_of)
    only_car = with_data(
        one.layout, replaced_classes(one.facts, ("car",)), one.texts, one.variables, is_new=True
    ).specs
    opened = {file: text.replace('"car"', '"$FILL_IN"') for file, text in only_car.items()}
    assert opened["train.txt"].count("$FILL_IN") == 7
    result = with_data(one.layout, one.facts, opened, one.variables, is_new=True)
    assert result.specs == one.result.specs
    assert all(change.old is None for change in result.changes)


def replaced_classes(facts: DataFacts, classes: tuple[str, ...]) -> DataFacts:
    return replace(facts, classes=classes)
