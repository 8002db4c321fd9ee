"""Names and values of older releases lead to a hint that says what they are today."""

from __future__ import annotations

import pytest

from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.schema import find_schema
from taorunner.specs.schema.walk import Against, walk_prototxt, walk_yaml
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.yaml_reader import read_yaml


def hint_of(text: str, network: str, release: str) -> str | None:
    schema = find_schema(network, "train", release, SpecMemory())
    assert schema is not None
    against = Against(schema, "train")
    if schema.format == "yaml":
        walk = walk_yaml(text, read_yaml(text), against)
    else:
        walk = walk_prototxt(parse_prototxt(text), against)
    (problem,) = walk.problems
    return problem.misfit.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("train_config: {}\n", 'TAO 3 and 4 called it so: write "train"'),
        ("model_config: {}\n", 'TAO 3 and 4 called it so: write "model"'),
        ("output_dir: /r\n", 'TAO 3 and 4 called it so: write "results_dir"'),
        ("train: {epochs: 3}\n", 'TAO 3 and 4 called it so: write "num_epochs"'),
        ("train: {num_epoch: 3}\n", 'did you mean "num_epochs"?'),
    ],
)
def test_a_key_of_tao_3_is_named_as_today(text: str, hint: str) -> None:
    assert hint_of(text, "pose_classification", "7.0.1") == hint


def test_a_fraction_that_is_a_count_since_tao_5_says_so() -> None:
    text = (
        'postprocessing_config { target_class_config { key: "car" value { clustering_config { '
        "dbscan_min_samples: %s } } } }"
    )
    said = "write 1, which TAO takes for all below it; it counts boxes now"
    assert hint_of(text % "0.05", "detectnet_v2", "5.0.0") == said
    assert hint_of(text % '"5"', "detectnet_v2", "5.0.0") == "leave the quotes out"
