"""A key and a value from outside of the spec: which keys there are, and which values fit."""

from __future__ import annotations

from typing import Any

import pytest

from taorunner.specs.schema.override_check import check_override
from taorunner.specs.schema.schema import find_schema
from taorunner.specs.schema.walk import Against


def against(network: str, version: str) -> Against:
    schema = find_schema(network, "train", version)
    assert schema is not None
    return Against(schema, "train", "model", frozenset())


YAML, PROTO = against("dino", "7.0.1"), against("detectnet_v2", "6.26.3")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.num_epochs", 3, None),
        ("train.num_epochs", "${n}", None),
        ("train.num_epochs", "x", "train.num_epochs"),
        ("train.num_epochs", "???", "which means that a value has to be given"),
        ("train.num_epochs.x", 3, 'train.num_epochs is a single value, so it has no "x"'),
        ("train..x", 3, '"train..x" is not a key'),
        ("train.0", 3, 'train is one section, so it has no "0"'),
        ("train.nothing", 3, '"dino" has no key "nothing"'),
        ("train.gpu_ids", [0, 1], None),
        ("train.gpu_ids", [0, "x"], "train.gpu_ids.1"),
        ("train.gpu_ids.1", 3, None),
        ("train.gpu_ids.first", 3, 'train.gpu_ids is a list, so it has no "first"'),
        ("dataset.train_data_sources.image_dir", "/a", "dataset.train_data_sources is a list"),
        ("dataset.train_data_sources.0.image_dir", "/a", None),
    ],
)
def test_overrides_of_yaml(key: str, value: Any, message: str | None) -> None:
    misfit = check_override(key.split("."), value, YAML)
    assert (misfit is None) if message is None else (misfit is not None and message in misfit.message), misfit


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training_config.num_epochs", 3, None),
        ("training_config.num_epochs", "3", 'this is the text "3"'),
        ("training_config.num_epochs", None, "training_config.num_epochs cannot be set to nothing"),
        ("training_config.num_epochs", [3], "training_config.num_epochs takes one value, this is a list"),
        (
            "training_config.num_epochs",
            {"a": 1},
            "training_config.num_epochs is a single value, not a section",
        ),
        ("training_config.num_epochs.x", 3, 'training_config.num_epochs is a single value, so it has no "x"'),
        ("training_config", {}, None),
        ("training_config", None, "training_config is a section, and cannot be set to nothing"),
        ("training_config", [1], "training_config is a section, and cannot be set to a list"),
        ("training_config", 1, "training_config is a section, and cannot be set to a value"),
        ("training_config.regularizer.type", "L1", None),
        ("training_config.regularizer.type", "L9", "training_config.regularizer.type"),
        ("training_config.enable_qat", True, None),
        ("training_config.enable_qat", "often", "training_config.enable_qat"),
        ("dataset_config.data_sources.0.tfrecords_path", "/a", None),
        ("dataset_config.data_sources.0.nothing", "/a", "nothing"),
        ("model_config.arch", "resnet", None),
        ("model_config.arch", 3, "model_config.arch"),
        ("model_config.freeze_blocks", [0, 1], None),
        ("model_config.freeze_blocks", [0, "x"], "model_config.freeze_blocks"),
        ("model_config.freeze_blocks.0", 1, None),
        ("model_config.arch", ["a"], None),
        ("model_config.arch", [["a"]], "model_config.arch takes one value, this is a list"),
    ],
)
def test_overrides_of_protobuf_text(key: str, value: Any, message: str | None) -> None:
    misfit = check_override(key.split("."), value, PROTO)
    assert (misfit is None) if message is None else (misfit is not None and message in misfit.message), misfit


@pytest.mark.parametrize(
    ("network", "key", "value", "message"),
    [
        ("dino", "inference.color_map.car", "green", None),
        ("dino", "inference.color_map.car", ["a"], None),
        ("dino", "inference.color_map.car", None, "takes a text, this is nothing"),
        ("pointpillars", "dataset.data_split.test", "val", None),
        ("pointpillars", "dataset.data_split.test", ["val"], "takes a text, this is a list"),
        ("pose_classification", "dataset.label_map.walk", 1.5, "takes a whole number, this is 1.5"),
    ],
)
def test_overrides_in_a_map(network: str, key: str, value: Any, message: str | None) -> None:
    """A container is taken for a name of the user's own, not for one that has its type by default."""
    misfit = check_override(key.split("."), value, against(network, "7.0.1"))
    assert (misfit is None) if message is None else (misfit is not None and message in misfit.message), misfit
