"""The spec files a new project starts with: readable, complete, and what the catalog asks of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from filled_in import filled
from spec_checks import check_template

import taorunner.project
from taorunner.catalog.load import load_network
from taorunner.specs.spec_file import prepare_spec, read_number, read_value

SCAFFOLDS = Path(taorunner.project.__file__).parent / "scaffolds"
HEADS = tuple(sorted(path.name for path in SCAFFOLDS.iterdir()))
FILES = sorted(path for path in SCAFFOLDS.rglob("*") if path.is_file() and path.name != "vars.yml")
FORMATS = {".txt": "prototxt", ".yaml": "yaml"}
VALUES = {
    "experiment": "experiment_01",
    "project": "example_01",
    "dataset_raw": "/workspace/projects/example_01/data/train",
    "dataset": "/workspace/projects/example_01/data/train",
    "dataset_tfrecord": "/workspace/projects/example_01/data/tfrecords_experiment_01",
    "tfrecords": "/workspace/projects/example_01/data/tfrecords_experiment_01",
    "results_dir": "/workspace/projects/example_01/models/experiment_01",
    "num_gpus": 2,
    "gpu_ids": [0, 1],
    "num_classes": 3,
}


@pytest.fixture(scope="module")
def filled_scaffolds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All spec files with their marks filled in."""
    root = tmp_path_factory.mktemp("scaffolds")
    for path in FILES:
        (root / path.parent.name).mkdir(exist_ok=True)
        (root / path.parent.name / path.name).write_text(filled(path, path.parent.name), encoding="utf-8")
    return root


def values_for(head: str) -> dict[str, str | int | list[int]]:
    """The variables an experiment of that head has: weights only where its files start from them."""
    weights = "/workspace/repositories/pretrained/pretrained_vresnet18/resnet_18.hdf5"
    lines = (SCAFFOLDS / head).glob("train.*")
    text = "\n".join(re.sub(r"(?m)#.*$", "", path.read_text(encoding="utf-8")) for path in lines)
    has_weights = "$pretrained_model" in text
    return {**VALUES, **({"pretrained_model": weights} if has_weights else {})}  # type: ignore[dict-item]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_is_sound(path: Path, filled_scaffolds: Path) -> None:
    values = values_for(path.parent.name)
    assert {one.code for one in check_template(path, FORMATS[path.suffix], frozenset(values))} <= {"fill-in"}
    prepared = prepare_spec(filled_scaffolds / path.parent.name / path.name, FORMATS[path.suffix], values)
    assert prepared.findings == ()
    assert prepared.text is not None
    without_comments = re.sub(r"(?m)#.*$", "", prepared.text)
    assert "$" not in without_comments
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ") and text.endswith(
        "}\n" if path.suffix == ".txt" and "}" in text[-3:] else "\n"
    )
    assert max(map(len, text.splitlines())) <= 120 and "\t" not in text


def contracts(head: str) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    network = load_network(head)
    for action, group in network.actions().items():
        if group not in ("model", "embedded") or action in network.unknown_actions():
            continue
        spec = network.contract(action, group=group).spec
        if spec is not None:
            yield action, spec.stems, dict(spec.keys)


@pytest.mark.parametrize("head", HEADS)
def test_every_action_of_the_network_finds_its_file(head: str) -> None:
    names = {path.stem for path in (SCAFFOLDS / head).iterdir()}
    missing = {action for action, stems, _ in contracts(head) if not names & set(stems)}
    assert missing == set()


@pytest.mark.parametrize("head", HEADS)
def test_the_keys_the_catalog_names_are_there_and_can_be_set(head: str, filled_scaffolds: Path) -> None:
    (path,) = (filled_scaffolds / head).glob("train.*")
    spec_format = FORMATS[path.suffix]
    values = values_for(head)
    keys = {
        role: key for action, _, roles in contracts(head) if action == "train" for role, key in roles.items()
    }
    prepared = prepare_spec(path, spec_format, values)
    assert (read_number(prepared, keys["epochs"]) or 0) >= 10
    interval = read_number(prepared, keys["checkpoint_interval"]) if "checkpoint_interval" in keys else 1
    if head == "mask_rcnn":  # counts steps, and says how many images make an epoch
        steps = read_number(prepared, "num_examples_per_epoch") / read_number(prepared, "train_batch_size")
        interval /= steps
    assert (read_number(prepared, keys["epochs"]) or 0) % (interval or 1) == 0
    changed = prepare_spec(path, spec_format, values, keys={keys["epochs"]: 1})
    assert changed.findings == ()
    assert read_number(changed, keys["epochs"]) == 1
    for role in ("num_gpus", "gpu_ids"):
        if role in keys and head != "tinydet":
            assert read_value(prepared, keys[role]) == VALUES[role]


@pytest.mark.parametrize("head", ["detectnet_v2", "faster_rcnn", "yolo_v3", "yolo_v4"])
def test_a_validation_fold_goes_with_a_split_that_makes_it(head: str, filled_scaffolds: Path) -> None:
    values = values_for(head)
    convert = prepare_spec(filled_scaffolds / head / "convert.txt", "prototxt", values)
    train = prepare_spec(filled_scaffolds / head / "train.txt", "prototxt", values)
    assert 0 < (read_number(convert, "kitti_config.val_split") or 0) < 100
    assert read_number(train, "dataset_config.validation_fold") == 0


@pytest.mark.parametrize("head", ["ssd", "dssd", "retinanet"])
def test_images_to_validate_on_are_not_those_of_the_training(head: str, filled_scaffolds: Path) -> None:
    values = values_for(head)
    convert = prepare_spec(filled_scaffolds / head / "convert.txt", "prototxt", values)
    train = prepare_spec(filled_scaffolds / head / "train.txt", "prototxt", values)
    assert read_number(convert, "kitti_config.val_split") == 0
    assert read_value(train, "dataset_config.validation_data_sources.image_directory_path") == (
        "/workspace/projects/example_01/data/train/../val/images"
    )


def test_records_are_matched_and_nothing_beside_them() -> None:
    """The converter also writes ``tfrecord_warning.json`` and ``idx-tfrecord-fold-…``."""
    for path in FILES:
        for pattern in re.findall(r"\$dataset_tfrecord/(\S*\*)", path.read_text(encoding="utf-8")):
            by_folder = path.parent.name in ("mask_rcnn", "efficientdet_tf1")
            assert pattern.startswith("tfrecord/" if by_folder else "tfrecord-fold"), path


def test_the_embedded_network_reads_its_files(tmp_path: Path) -> None:
    spec_module = pytest.importorskip("taorunner.embedded.spec")
    for name in ("train", "convert"):
        prepared = prepare_spec(SCAFFOLDS / "tinydet" / f"{name}.yaml", "yaml", values_for("tinydet"))
        assert prepared.text is not None
        file = tmp_path / f"{name}.yaml"
        file.write_text(prepared.text, encoding="utf-8")
        spec = spec_module.load_spec(file, [])
        assert spec.results_dir == VALUES["results_dir"]
    assert spec.dataset_convert.output_filename == f"{VALUES['tfrecords']}/tfrecord"


def value(head: str, name: str, key: str) -> object:
    spec = prepare_spec(SCAFFOLDS / head / name, FORMATS[Path(name).suffix], values_for(head))
    assert spec.findings == ()
    return read_value(spec, key)


def test_words_that_go_to_lightning_are_lightnings() -> None:
    """Source: lightning 2 plugins/precision: what Trainer(precision=…) takes."""
    precisions = {
        "16-mixed",
        "16-true",
        "bf16-mixed",
        "bf16-true",
        "32-true",
        "64-true",
        "16",
        "bf16",
        "32",
        "64",
    }
    assert value("oneformer", "train.yaml", "train.precision") in precisions


def test_ocrnet_prune_has_a_file_to_write() -> None:
    assert value("ocrnet", "train.yaml", "prune.pruned_file") == f"{VALUES['results_dir']}/prune/pruned.pth"


def test_clip_takes_a_model_that_public_code_can_build() -> None:
    """None of the siglip2 names is in both lists of 7.0.1: multimodal/clip/model/builders.py, cv/backbone_v2/siglip2.py."""
    assert value("clip", "train.yaml", "model.type") in {f"c-radio_v3-{size}" for size in "bghl"}
    sizes = [
        value("clip", "train.yaml", key)
        for key in ("model.image_size", "export.input_width", "export.input_height")
    ]
    assert sizes == [224, 224, 224]


@pytest.mark.parametrize("name", ["train.yaml", "quantize.yaml"])
def test_changenet_reads_masks_of_class_numbers(name: str) -> None:
    """norm divides by 255 without a rest: 1 becomes 0."""
    assert value("visual_changenet", name, "dataset.segment.label_transform") == ""


def test_changenet_infers_without_masks() -> None:
    assert value("visual_changenet", "train.yaml", "dataset.segment.predict_split") == "predict"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_class_is_invented(path: Path) -> None:
    values = re.sub(r"#.*", "", path.read_text(encoding="utf-8")).lower()
    assert not re.search(r"\b(car|cyclist|pedestrian|bike|forklift|foreground|num_classes: [2-9])\b", values)
    for line in path.read_text(encoding="utf-8").splitlines():
        assert "$FILL_IN" not in line or re.search(r"FILL_IN.*  # \S", line), line  # says what belongs there


@pytest.mark.parametrize(
    "head",
    ["segformer", "unet", "classification_pyt", "classification_tf1", "classification_tf2", "ml_recog"],
)
def test_no_folder_is_read_that_a_split_makes_only_when_asked(head: str) -> None:
    for path in (SCAFFOLDS / head).iterdir():
        values = [re.sub(r"#.*", "", line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert [line for line in values if re.search(r"\btest\b\"?\s*$|/test/|reference\s*$", line)] == [], (
            path
        )
