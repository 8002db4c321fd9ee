"""A new project reads the folders that ``dataset convert`` and ``dataset split`` write: for every detection head.

What each scaffold names is taken from what would be sent: rendered specs and argument lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dataset_layouts import put_data
from filled_in import fill_in
from PIL import Image

import taorunner.project
from taorunner.catalog.load import load_network
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.split import split_dataset
from taorunner.embedded.tfrecord import write_records
from taorunner.errors import has_errors
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.load import load_project
from taorunner.project.scaffold import scaffold_heads
from taorunner.project.workspace import Workspace

SCAFFOLDS = Path(taorunner.project.__file__).parent / "scaffolds"
EXPECTED = ("not-made-yet", "image-size", "examples-differ")
"""Records are made later, small images are scaled to the input of the network, and the number of images is a round one
until ``specs refresh``."""
CALLER = Caller(1000, 1000, (4,), "ada", {"HOME": "/nowhere"})
CLASSES = ("car", "cyclist", "pedestrian")
DATA = "/workspace/projects/new/data/"


def text_of(head: str) -> str:
    """All files of the scaffold, without comments."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((SCAFFOLDS / head).iterdir())]
    return re.sub(r"(?m)(?:^|\s)#.*$", "", "\n".join(texts))


def form_of(head: str) -> str | None:
    """Which form of dataset the scaffold asks for; None for other kinds than these, and for bpnet, which needs two files
    of its image beside: ``test_written_forms``."""
    text = text_of(head) if head != "bpnet" else ""
    for mark, form in (
        ("train/annotations.jsonl", "odvg"),
        ("train/annotations.json", "coco"),
        ("label_dir_name", "kitti"),
    ):
        if mark in text:
            return form
    return None


HEADS = [head for head in scaffold_heads() if form_of(head)]


def test_no_head_is_left_out() -> None:
    assert {form: [head for head in HEADS if form_of(head) == form] for form in ("coco", "odvg", "kitti")} == {
        "coco": [
            "codetr", "deformable_detr", "dino", "efficientdet_tf1", "efficientdet_tf2", "mal", "mask2former",
            "mask_rcnn", "rtdetr",
        ],
        "odvg": ["grounding_dino", "mask_grounding_dino"],
        "kitti": [
            "detectnet_v2", "dssd", "faster_rcnn", "retinanet", "ssd", "tinydet", "yolo_v3", "yolo_v4", "yolo_v4_tiny",
        ],
    }  # fmt: skip


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an annotation tool wrote: COCO with outlines, ids with gaps, no subsets."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "images").mkdir()
    images, annotations = [], []
    for number in range(80):
        Image.new("RGB", (48, 40), (number * 3, 90, 90)).save(root / "images" / f"{number:04}.png")
        images.append({"id": number, "file_name": f"{number:04}.png", "width": 48, "height": 40})
        outline = [[4, 4, 34, 4, 34, 30, 4, 30]]
        annotations.append({"id": number, "image_id": number, "category_id": 10 * (number % 3), "area": 780,
                            "bbox": [4, 4, 30, 26], "segmentation": outline, "iscrowd": 0})  # fmt: skip
    categories = [{"id": 10 * index, "name": name} for index, name in enumerate(CLASSES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "drawn.json").write_text(json.dumps(document))
    return root


@pytest.fixture(scope="session")
def split_of(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], None]:
    """Fills a new folder with the dataset in one form, split as ``dataset split`` does without options."""

    def fill(form: str, target: Path) -> None:
        converted = tmp_path_factory.mktemp("converted") / form
        convert(drawn, converted, to=form)
        split_dataset(converted, target, shares={"train": 0.75, "val": 0.25}, seed=42, overwrite=True)

    return fill


def made_project(root: Path, head: str, split_of: Callable[[str, Path], None]) -> tuple[Workspace, str]:
    """A new project of the head on the split. KITTI heads train on one part and know the other as its neighbour."""
    form = form_of(head)
    assert form is not None
    dataset = "cars/train" if form == "kitti" else "cars"
    new_project(root, root, "new", head=head, backbone=None, experiment=None, dataset=dataset)
    fill_in(root / "projects/new")
    workspace = Workspace(root)
    split_of(form, workspace.project("new").data_dir / "cars")
    (experiment,) = load_project(workspace, "new").experiments.values()
    if experiment.repository is not None:
        name = f"{experiment.repository}/{experiment.repository}_v{experiment.backbone}/weights.hdf5"
        weights = root / "repositories" / name
        weights.parent.mkdir(parents=True)
        weights.touch()
    return workspace, experiment.name


def plans_of(workspace: Workspace, experiment: str, head: str) -> Iterator[RunPlan]:
    """Of each action that reads the dataset, training first: the others need a checkpoint."""
    network = load_network(head)
    wanted = ("train", "dataset_convert", "kmeans", "evaluate", "inference", "quantize", "distill")
    results = workspace.project("new").results_dir(experiment)
    named = None
    for action in [one for one in wanted if one in network.contracts()]:
        request = ActionRequest(action, (experiment,), checkpoint=named, dry_run=True)
        site = Site("run", workspace.runs_dir / "run")
        planned = plan_action(workspace, "new", request, CALLER, lambda *_, site=site: site)
        assert not has_errors(planned.findings), (action, planned.findings)
        yield planned.items[0].plan
        if action == "train":
            glob = network.contract("train").checkpoints.globs[0]
            named = re.sub(r"(?:\[0-9\])+|\*", "003", glob)
            (results / named).parent.mkdir(parents=True)
            (results / named).touch()
            named = None  # the newest one is taken


def named_in(plan: RunPlan, data: Path) -> set[Path]:
    """Every path of the dataset in its spec and its arguments, but for records, which a conversion makes."""
    spec = re.sub(r"(?m)(?:^|\s)#.*$", "", plan.spec.text) if plan.spec is not None else ""
    text = "\n".join((spec, *plan.argv)).replace(f"{data}/", DATA)
    found = re.findall(rf"{re.escape(DATA)}([^\s\"',\]}}]+)", text)
    return {data / one for one in found if not one.startswith("tfrecords_")}


@pytest.mark.parametrize("head", HEADS)
def test_what_a_new_project_names_is_what_split_writes(
    head: str, tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    workspace, experiment = made_project(tmp_path, head, split_of)
    data = workspace.project("new").data_dir
    named: set[Path] = set()
    for plan in plans_of(workspace, experiment, head):
        named |= named_in(plan, data)
        spec = plan.spec.text if plan.spec is not None else ""
        folders = re.findall(r"(?:image|label)_dir_name: \"?(\w+)", spec)
        named |= {data / "cars/train" / folder for folder in folders}
    assert sorted(str(path) for path in named if not path.exists()) == []
    parts = {path.resolve().relative_to((data / "cars").resolve()).parts[:1] for path in named}
    assert {("train",), ("val",)} - parts == (
        {("val",)} if "kmeans" in load_network(head).contracts() else set()
    )


@pytest.mark.parametrize("head", HEADS)
def test_a_new_project_on_a_split_has_no_findings(
    head: str, tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    workspace, _ = made_project(tmp_path, head, split_of)
    found = validate_projects(workspace, ["new"], {"HOME": "/nowhere"}, strict=True)
    assert [(f.code, f.message) for f in found if f.code not in EXPECTED] == []


@pytest.mark.parametrize("head", [head for head in HEADS if form_of(head) == "coco"])
def test_the_class_map_names_each_category(
    head: str, tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    """By the id that the catalog states for line 1: rtdetr and codetr count from 0, the others from 1."""
    contract = load_network(head).contract("inference")
    first = contract.spec.classmap_first_id if contract.spec is not None else None
    workspace, experiment = made_project(tmp_path, head, split_of)
    data = workspace.project("new").data_dir
    plans = [plan for plan in plans_of(workspace, experiment, head) if plan.contract.action == "inference"]
    maps = [path for plan in plans for path in named_in(plan, data) if path.suffix == ".txt"]
    assert (len(maps) == 1) == (first is not None)
    for path in maps:
        lines = path.read_text().splitlines()
        document = json.loads((data / "cars/train/annotations.json").read_text())
        for category in document["categories"]:
            assert lines[category["id"] - first] == category["name"]


def test_the_label_map_of_mask2former_fits_the_categories(
    tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    split_of("coco", tmp_path / "split")
    for part in ("train", "val"):
        listed = json.loads((tmp_path / "split" / part / "label_map.json").read_text())
        document = json.loads((tmp_path / "split" / part / "annotations.json").read_text())
        assert [(one["id"], one["name"]) for one in listed] == [
            (one["id"], one["name"]) for one in document["categories"]
        ]
        assert all(one["isthing"] == 1 and len(one["color"]) == 3 for one in listed)
        assert len({tuple(one["color"]) for one in listed}) == len(listed)


@pytest.mark.parametrize("head", ["dino", "deformable_detr"])
def test_convert_of_labels_finds_every_folder_and_class(
    head: str, tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    """Their own converter starts from KITTI; train.yaml reads COCO, so it is looked at by itself."""
    new_project(tmp_path, tmp_path, "new", head=head, backbone=None, experiment="e", dataset="cars")
    fill_in(tmp_path / "projects/new")
    workspace = Workspace(tmp_path)
    data = workspace.project("new").data_dir
    split_of("kitti", data / "cars")
    site = Site("run", workspace.runs_dir / "run")
    planned = plan_action(workspace, "new", ActionRequest("convert", ("e",)), CALLER, lambda *_: site)
    assert planned.findings == ()
    (item,) = planned.items
    assert [str(path) for path in named_in(item.plan, data) if not path.exists()] == []
    spec = item.plan.spec.text
    sources = (data / re.search(r"input_source: \S*/data/(\S+)", spec)[1]).read_text().splitlines()
    assert sources == ["train", "val"]
    for source in sources:
        for folder in re.findall(r"(?:image|label)_dir_name: (\w+)", spec):
            assert len(list((data / "cars" / source / folder).iterdir())) == {"train": 60, "val": 20}[source]
    mapping = json.loads((data / re.search(r"mapping_path: \S*/data/(\S+)", spec)[1]).read_text())
    assert mapping == {name: name for name in CLASSES}


@pytest.mark.parametrize("head", ["mask_rcnn", "efficientdet_tf1"])
def test_two_subsets_are_converted_to_records_of_two_names(
    head: str, tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    """TAO names records after the annotations file, and every subset has an ``annotations.json``."""
    workspace, experiment = made_project(tmp_path, head, split_of)
    val = f"{DATA}cars/val"
    argvs, records = [], set()
    for extra in ((), ("-i", f"{val}/images", "-a", f"{val}/annotations.json")):
        request = ActionRequest("dataset_convert", (experiment,), extra=extra)
        site = Site("run", workspace.runs_dir / "run")
        planned = plan_action(workspace, "new", request, CALLER, lambda *_, site=site: site)
        assert planned.findings == ()  # the records of the other subset are not in the way
        plan = planned.items[0].plan
        argvs.append(plan.argv)
        tag, folder = plan.argv[plan.argv.index("-t") + 1], plan.argv[plan.argv.index("-o") + 1]
        place = workspace.project("new").data_dir / folder.removeprefix(DATA)
        place.mkdir(parents=True, exist_ok=True)
        write_records(place / f"{tag}-00000-of-00001.tfrecord", [b"x"])
        records.add(place / f"{tag}-00000-of-00001.tfrecord")
    train = next(plans_of(workspace, experiment, head))
    patterns = re.findall(rf"{re.escape(DATA)}(tfrecords_\S+\.tfrecord)", train.spec.text)
    data = workspace.project("new").data_dir
    assert [sorted(data.glob(pattern)) for pattern in patterns] == [[one] for one in sorted(records)]
    assert argvs[1].count("-a") == 1 and argvs[1].count("-i") == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_records_of_the_same_subset_are_in_the_way(
    overwrite: bool, tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    workspace, experiment = made_project(tmp_path, "mask_rcnn", split_of)
    folder = workspace.project("new").tfrecords_dir(experiment) / "tfrecord"
    folder.mkdir(parents=True)
    for name in ("train", "val"):
        write_records(folder / f"{name}-00000-of-00001.tfrecord", [b"x"])
    request = ActionRequest("dataset_convert", (experiment,), overwrite=overwrite)
    site = Site("run", workspace.runs_dir / "run")
    planned = plan_action(workspace, "new", request, CALLER, lambda *_: site)
    if overwrite:
        assert planned.items[0].plan.set_aside == (folder / "train-00000-of-00001.tfrecord",)
    else:
        assert [finding.message for finding in planned.findings] == [
            f'{folder} already holds records of "train"'
        ]


@pytest.mark.parametrize("release", ["5.0.0", "5.1.0", "5.5.0", "6.0.0", "6.26.3"])
def test_efficientdet_tf2_has_no_key_that_its_release_does_not_know(
    release: str, tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    """Releases up to 5.5 ship version 5.0, which takes its GPUs as options and has no such keys in its spec."""
    workspace, experiment = made_project(tmp_path, "efficientdet_tf2", split_of)
    file = workspace.project("new").experiments_file
    file.write_text(file.read_text().replace("    head:", f'    release: "{release}"\n    head:'))
    found = validate_projects(workspace, ["new"], {"HOME": "/nowhere"}, strict=True)
    assert [finding for finding in found if finding.code not in EXPECTED] == []
    for plan in plans_of(workspace, experiment, "efficientdet_tf2"):
        keys = re.findall(r"(?m)^ *(num_gpus|gpu_ids|validation_interval):", plan.spec.text)
        assert keys == [] or release.startswith(("5.5", "6")), plan.contract.action
        if plan.contract.action == "train":
            given = [token for token in plan.argv if "gpu" in token]
            by_option = ["--gpus", "--gpu_index"]
            assert given == (["num_gpus=1", "gpu_ids=[0]"] if release.startswith(("5.5", "6")) else by_option)


def test_inference_of_efficientdet_tf2_has_the_names_that_its_labels_need(
    tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    """It writes labels by name; evaluate reads a map of another form, and is given none."""
    workspace, experiment = made_project(tmp_path, "efficientdet_tf2", split_of)
    (inference,) = [
        p for p in plans_of(workspace, experiment, "efficientdet_tf2") if p.contract.action == "inference"
    ]
    sections = dict(re.findall(r"(?m)^(\w+):\n((?:  .*\n)+)", inference.spec.text))
    assert "dump_label: true" in sections["inference"] and "label_map.txt" in sections["inference"]
    assert "label_map" not in sections["evaluate"]


def test_a_tensorflow_2_network_trains_without_weights(
    tmp_path: Path, split_of: Callable[[str, Path], None]
) -> None:
    workspace, experiment = made_project(tmp_path, "efficientdet_tf2", split_of)
    paths = workspace.project("new")
    spec = paths.spec_dir(experiment) / "train.yaml"
    spec.write_text(re.sub(r"(?m)^  checkpoint: .*\n", "", spec.read_text()))
    experiments = re.sub(r"(?m)^    (?:backbone|repository):.*\n", "", paths.experiments_file.read_text())
    paths.experiments_file.write_text(experiments)
    found = validate_projects(workspace, ["new"], {"HOME": "/nowhere"}, strict=True)
    assert [finding for finding in found if finding.code not in EXPECTED] == []
    assert next(plans_of(workspace, experiment, "efficientdet_tf2")).contract.action == "train"


@pytest.mark.parametrize("backbone", ["resnet_10", "efficientnet_b3"])
def test_a_chosen_backbone_is_no_fault_of_the_spec(tmp_path: Path, backbone: str) -> None:
    new_project(
        tmp_path,
        tmp_path,
        "new",
        head="classification_tf2",
        backbone=backbone,
        experiment=None,
        dataset="train",
    )
    fill_in(tmp_path / "projects/new")
    put_data("classification_tf2", tmp_path / "projects/new/data/train")
    (spec,) = (tmp_path / "projects/new/specs").glob("*/train.yaml")
    assert f"backbone: {backbone.replace('net_b', 'net-b')} " in spec.read_text()
    found = validate_projects(Workspace(tmp_path), ["new"], {"HOME": "/nowhere"}, strict=True)
    assert [finding.code for finding in found if finding.file == spec] == []
