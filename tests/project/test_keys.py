"""What passes without the validator passes the validator too, and what people write does pass without it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.project import keys, models

WORDS = st.one_of(
    st.text(max_size=12),
    st.from_regex(keys.DATASET_PATTERN),
    st.from_regex(keys.SIZE_PATTERN),
    st.from_regex(keys.RELEASE_PATTERN),
    st.from_regex(keys.OVERRIDE_PATTERN),
    st.sampled_from(
        ["auto", "fp16", "docker", "1000:1000", "5.0.0", "16G", "1k", "a\n", "GPU-1", "env:X", "x" * 101]
    ),
)
SCALARS = st.one_of(WORDS, st.integers(), st.integers(-2, 70), st.floats(), st.booleans(), st.none())
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=4),
    st.dictionaries(WORDS, SCALARS, max_size=4),
    st.lists(st.integers(0, 9)),
)


@given(st.sampled_from(keys.EXPERIMENT_KEYS), VALUES)
@settings(max_examples=1500, deadline=None)
def test_what_is_plain_is_valid(key: str, value: Any) -> None:
    if keys.are_plain({key: value}, keys.EXPERIMENT_KEYS):
        assert models.check_experiment({key: value}) == {key: value}
    if keys.are_plain({key: value}, keys.TAO_CONFIG_KEYS):
        assert models.check_tao_config({key: value}) == {key: value}


def test_the_keys_are_those_of_the_models() -> None:
    assert tuple(models.ExperimentEntry.__annotations__) == keys.EXPERIMENT_KEYS
    assert set(models.TaoConfig.__annotations__) == set(keys.TAO_CONFIG_KEYS)
    assert tuple(models.ExperimentsFile.__annotations__) == keys.FILE_KEYS


@pytest.mark.parametrize(
    "entry",
    [
        {"head": "dssd", "backbone": "resnet18", "dataset": "kitti_detection/train", "model_key": "env:KEY"},
        {
            "gpus": 2,
            "gpu_indices": [0, 1],
            "release": "5.0.0",
            "backend": "docker",
            "shm_size": "16G",
            "user": "1:1",
        },
        {
            "image": "nvcr.io/nvidia/tao/tao-toolkit:5.0.0-tf1.15.5",
            "env": {"A": "b"},
            "tags": ["a"],
            "extends": "b",
        },
        {
            "vars": {"rate": 1e-4, "size": 16, "flip": True, "name": "x"},
            "overrides": {"train.num_epochs": 12},
        },
        {"export_model": "dssd_resnet18_epoch_080", "export_type": "int8", "description": "a sentence"},
    ],
)
def test_what_people_write_is_plain(entry: dict[str, Any]) -> None:
    assert keys.are_plain(entry, keys.EXPERIMENT_KEYS)


@pytest.mark.parametrize(
    "entry", [{"gpus": True}, {"gpus": 1.0}, {1: 2}, {"unknown": 1}, {"vars": {"a": float("nan")}}]
)
def test_what_is_not_plain_is_left_to_the_validator(entry: dict[Any, Any]) -> None:
    assert not keys.are_plain(entry, keys.EXPERIMENT_KEYS)


def test_reading_a_plain_project_loads_no_validator() -> None:
    script = "import sys, taorunner.planning.planner; print('pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
