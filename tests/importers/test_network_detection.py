"""Which network a spec belongs to, and which action reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.importers.network_detection import (
    SpecRead,
    action_of,
    named_in,
    read_spec,
    recognise_networks,
    unknown_names,
)
from taorunner.planning.inputs.workspace_networks import Networks

FOLDER = Path("/home/ada/mine")
SCAFFOLDS = Path(__file__).parents[2] / "src" / "taorunner" / "project" / "scaffolds"
SURE = (SCAFFOLDS / "rtdetr" / "train.yaml").read_text()
DINO = "train:\n  num_epochs: 3\nmodel:\n  num_queries: 3\n"
SHARED = "results_dir: /r\nexport:\n  checkpoint: a.pth\n  onnx_file: a.onnx\n  gpu_id: 0\n"
CONVERT = 'kitti_config { root_directory_path: "/a" image_dir_name: "i" label_dir_name: "l" }\nimage_directory_path: "/a"\n'


def spec(name: str, text: str) -> SpecRead:
    found = read_spec(Path(name), text)
    assert found is not None
    return found


def recognised(
    tmp_path: Path, texts: dict[str, str], head: str | None = None, folder: Path = FOLDER
) -> dict[str, str | None]:
    specs = [spec(name, text) for name, text in texts.items()]
    recognise_networks(specs, Networks(tmp_path / "networks"), head, folder)
    return {str(one.name): one.head for one in specs}


@pytest.mark.parametrize(
    ("name", "text", "head"),
    [
        ("a.txt", 'ssd_config { arch: "resnet" }\ntraining_config { num_epochs: 3 }\n', "ssd"),
        ("a.txt", 'dssd_config { arch: "resnet" }\ntraining_config { num_epochs: 3 }\n', "dssd"),
        ("a.txt", 'yolov4_config { arch: "resnet" loss_loc_weight: 1.0 }\n', "yolo_v4"),
        ("a.txt", 'yolov4_config { arch: "cspdarknet_tiny" loss_loc_weight: 1.0 }\n', "yolo_v4_tiny"),
        ("a.yaml", SHARED, None),
        ("my_dino.yaml", SHARED, "dino"),
        ("my_grounding_dino.yaml", SHARED, "grounding_dino"),
        ("dino/export.yaml", SHARED, "dino"),
        ("a.yaml", "nothing: {of: this}\n", None),
    ],
)
def test_the_network_of_one_file(tmp_path: Path, name: str, text: str, head: str | None) -> None:
    assert recognised(tmp_path, {name: text}) == {name: head}


@pytest.mark.parametrize(
    ("name", "text", "head"),
    [
        ("bpnet.yaml", SURE, "rtdetr"),  # bpnet has no schema, and the content is that of another network
        ("bpnet.yaml", "nothing: {of: this}\n", "bpnet"),
        ("bpnet/train.yaml", "nothing: {of: this}\n", "bpnet"),
        ("bpnet.txt", "nothing: 1\n", None),  # of another form
        ("rtdetr.yaml", "nothing: {of: this}\n", None),  # its schema is known, and knows nothing of this
        ("model_agnostic.yaml", "nothing: {of: this}\n", None),  # reads no spec
    ],
)
def test_a_name_decides_where_the_network_has_no_schema(
    tmp_path: Path, name: str, text: str, head: str | None
) -> None:
    assert recognised(tmp_path, {name: text}) == {name: head}


def test_the_folder_of_the_specs_may_name_the_network(tmp_path: Path) -> None:
    assert recognised(tmp_path, {"a.yaml": SHARED}, folder=Path("/x/dino/specs")) == {"a.yaml": "dino"}


def test_an_ambiguous_file_goes_with_a_sure_one(tmp_path: Path) -> None:
    found = recognised(tmp_path, {"a.yaml": SURE, "b.yaml": SHARED, "deep/c.yaml": SHARED})
    assert found == {"a.yaml": "rtdetr", "b.yaml": "rtdetr", "deep/c.yaml": "rtdetr"}


def test_the_users_word_decides_what_is_ambiguous_and_nothing_else(tmp_path: Path) -> None:
    assert recognised(tmp_path, {"a.yaml": SHARED}, "rtdetr") == {"a.yaml": "rtdetr"}
    assert recognised(tmp_path, {"a.yaml": "nothing: 1\n"}, "rtdetr") == {"a.yaml": "rtdetr"}
    assert recognised(tmp_path, {"a.txt": "nothing: 1\n"}, "rtdetr") == {"a.txt": None}  # of another form
    assert recognised(tmp_path, {"a.yaml": SURE}, "segformer") == {"a.yaml": "rtdetr"}


@pytest.mark.parametrize(
    ("names", "choice", "found"),
    [
        (["dino.yaml"], ["dino", "grounding_dino"], {"dino"}),
        (["grounding_dino.yaml"], ["dino", "grounding_dino"], {"grounding_dino"}),
        (["my_dinosaur.yaml"], ["dino"], set()),
        (["a.yaml", "facenet"], ["detectnet_v2"], {"detectnet_v2"}),
        (["a.yaml", "facenet"], ["dino"], set()),
        (["ssd.txt", "dino"], ["dino", "ssd"], {"ssd"}),
        (["a", "b", "c", "dino"], ["dino"], {"dino"}),
        (["a", "b", "c", "d", "dino"], ["dino"], set()),
    ],
)
def test_the_nearest_name_decides(names: list[str], choice: list[str], found: set[str]) -> None:
    assert named_in(names, choice) == found


@pytest.mark.parametrize(
    ("network", "name", "text", "action"),
    [
        ("dino", "train.yaml", DINO, "train"),
        ("dino", "my_eval_1.yaml", SHARED, "evaluate"),
        ("dino", "inference.yaml", SHARED, "inference"),
        ("dino", "retrain.yaml", DINO, "train"),
        ("dino", "experiment.yaml", SHARED, "train"),
        ("dino", "a.yaml", DINO, "train"),
        ("dino", "a.yaml", SHARED, "export"),
        ("dino", "a.yaml", SHARED + "evaluate: {checkpoint: a}\n", None),
        ("dino", "trained.yaml", SHARED, "train"),
        ("dino", "constrain.yaml", SHARED, "export"),  # not the beginning of a word
        ("detectnet_v2", "tfrecords.txt", CONVERT, "convert"),
        ("detectnet_v2", "a.txt", CONVERT, "convert"),
        ("detectnet_v2", "a.txt", "training_config { num_epochs: 3 }\n", "train"),
        ("detectnet_v2", "convert.txt", "training_config { num_epochs: 3 }\n", "train"),
    ],
)
def test_the_action_that_reads_a_file(network: str, name: str, text: str, action: str | None) -> None:
    contracts = load_network(network).contracts(None).values()
    found = action_of(spec(name, text), contracts)
    assert (found or "").replace("dataset_convert", "convert") == (action or "")


def test_names_that_a_release_does_not_know_are_counted() -> None:
    specs = [spec("a.yaml", "train: {num_epochs: 3, nothing: 1}\n"), spec("b.yaml", "other: 1\n")]
    assert unknown_names(specs, load_network("dino").contracts(None).values()) == 2
    assert unknown_names(specs[:1], load_network("dino").contracts(None).values()) == 1
    assert unknown_names(specs, load_network("classification_tf2").contracts("5.5.0").values()) is None
