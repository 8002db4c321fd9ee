"""The printed schema and the loader must say the same of a file, as far as a schema can speak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from taorunner.project.keys import EXPERIMENT_KEYS, TAO_CONFIG_KEYS
from taorunner.project.load import Project
from taorunner.project.schema import experiments_schema
from taorunner.yaml_reader import read_yaml

Load = Callable[[str | bytes], Project]
HEADS = ["dssd", "dino"]
BASE = "experiments:\n  e:\n    head: dssd\n    dataset: kitti\n"


@pytest.fixture(scope="module")
def accepts() -> Callable[[str], bool]:
    schema = experiments_schema(HEADS)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid


def test_interface_example_is_accepted(accepts: Callable[[Any], bool], interface_example: str) -> None:
    assert accepts(read_yaml(interface_example).value)


GOOD_LINES = [
    "gpus: 0", "gpus: 64", "gpu_indices: auto", "gpu_indices: [0, GPU-1a]", 'release: "5.0"', "release: 6.26.3",
    "shm_size: 16G", "shm_size: 17179869184", "shm_size: 1.5gb", "env: {A_1: x}", "user: nobody", "backend: local",
    "export_type: int8", "vars: {a: 1, b: [x, 1.5, true]}", "overrides: {a.b: {c: [null]}}", "tags: []",
    "description: ''", "extends: e", "model_key: env:KEY", "image: a/b@sha256:00", "backbone: vit_large",
]  # fmt: skip
BAD_LINES = [
    "gpus: '1'", "gpus: 1.5", "gpus: true", "gpus: -1", "gpus: 65", "gpus:", "gpu_indices: 1", "gpu_indices: []",
    "gpu_indices: all", "gpu_indices: [1.5]", "gpu_indices: [true]", "gpu_indices: [-1]", "release: 5.0", "release: 5",
    "release: five", "shm_size: 16", "shm_size: big", "env: {A: 1}", "env: {A-B: x}", "env: [A]", "user: 1000",
    "user: a b", "backend: lsf", "export_type: fp64", "vars: {a: {b: 1}}", "vars: {a b: 1}", "vars: {a: null}",
    "overrides: {a b: 1}", "overrides: [a]", "tags: a", "tags: [a b]", "description: 1", "extends: a b",
    "model_key: 1", "model_key: ''", "image: a b", "image: ''", "backbone: 18", "repository: a/b", "unknown: 1",
    "tao_config: {}", "export_model: ../x",
]  # fmt: skip


@pytest.mark.parametrize("line", GOOD_LINES)
def test_both_accept(accepts: Callable[[Any], bool], load: Load, line: str) -> None:
    text = f"experiments:\n  f:\n    head: dssd\n    dataset: kitti\n    {line}\n  e: {{head: dino, dataset: k}}\n"
    assert load(text).findings == ()
    assert accepts(read_yaml(text).value)


@pytest.mark.parametrize("line", BAD_LINES)
def test_both_refuse(accepts: Callable[[Any], bool], load: Load, line: str) -> None:
    assert load(BASE + f"    {line}\n").has_errors
    assert not accepts(read_yaml(BASE + f"    {line}\n").value)


@pytest.mark.parametrize(
    "text",
    [
        "experiments: {}", "experiments:", "tao_config: {}", "[]", "experiments: []",
        "experiments: {a b: {head: dssd, dataset: k}}",
        "experiments: {e: {head: dssd}}", "experiments: {e: {dataset: k}}", "experiments: {e: }", BASE + "other: 1",
        BASE + "tao_config: {head: dssd}", BASE + "tao_config: {vars: {}}", BASE + "tao_config: 1",
        "experiments: {e: {head: dssd, dataset: ../k}}", "experiments: {e: {head: dssd, dataset: /k}}",
        "experiments: {e: {head: dssd, dataset: k/}}", "experiments: {e: {head: dssd, dataset: 'k k'}}",
    ],
)  # fmt: skip
def test_both_refuse_the_shape(accepts: Callable[[Any], bool], load: Load, text: str) -> None:
    assert load(text).has_errors
    assert not accepts(read_yaml(text).value)


def test_empty_tao_config_is_accepted_by_both(accepts: Callable[[Any], bool], load: Load) -> None:
    assert load(BASE + "tao_config:\n").findings == ()
    assert accepts(read_yaml(BASE + "tao_config:\n").value)


def test_only_known_heads_are_accepted(accepts: Callable[[Any], bool]) -> None:
    assert not accepts(read_yaml(BASE.replace("dssd", "dsdd")).value)


def test_without_heads_every_name_is_a_head() -> None:
    schema = experiments_schema([])
    assert jsonschema.Draft202012Validator(schema).is_valid(read_yaml(BASE.replace("dssd", "anything")).value)


def test_every_key_is_described() -> None:
    schema = experiments_schema(HEADS)
    described = {
        name: {
            key
            for key, value in schema["$defs"][name]["properties"].items()
            if value["description"].endswith(".")
        }
        for name in ("ExperimentEntry", "TaoConfig")
    }
    assert described == {"ExperimentEntry": set(EXPERIMENT_KEYS), "TaoConfig": set(TAO_CONFIG_KEYS)}
    assert schema["$defs"]["ExperimentEntry"]["properties"]["head"]["enum"] == ["dino", "dssd"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_examples_of_the_schema_are_valid() -> None:
    schema = experiments_schema(HEADS)
    entry = schema["$defs"]["ExperimentEntry"]["properties"]
    checker = jsonschema.Draft202012Validator({"$defs": schema["$defs"], "properties": entry})
    examples = [{key: one} for key, value in entry.items() for one in value.get("examples", [])]
    examples += [{key: value["default"]} for key, value in entry.items() if "default" in value]
    assert [example for example in examples if not checker.is_valid(example)] == []
    assert len(examples) > 15
