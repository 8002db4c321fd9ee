"""An experiment's own variables, and those of taorunner in them."""

from __future__ import annotations

import pytest

from taorunner.planning.inputs.values import own_values

KNOWN = {"dataset_raw": "/data/train", "results_dir": "/models/e1", "num_gpus": 2, "gpu_ids": [0, 1]}


@pytest.mark.parametrize(
    ("own", "value"),
    [
        ("$dataset_raw/val", "/data/train/val"),
        ("${results_dir}_2", "/models/e1_2"),
        ("$num_gpus of $gpu_ids", "2 of 0,1"),
        ("$dataset_raw_2", "$dataset_raw_2"),
        ("$pretrained_model", "$pretrained_model"),  # not known here
        ("$mine, ${a.b} and $$", "$mine, ${a.b} and $$"),
        ("${dataset_raw", "${dataset_raw"),
        ("$$dataset_raw", "$$dataset_raw"),
        (8, 8),
        (["$dataset_raw"], ["$dataset_raw"]),
        ("", ""),
    ],
)
def test_taorunners_variables_are_filled_in_and_nothing_else(own: object, value: object) -> None:
    assert own_values({"mine": own}, KNOWN) == {"mine": value}


def test_variables_of_ones_own_are_not_looked_up_in_each_other() -> None:
    assert own_values({"a": "$b", "b": "$dataset_raw"}, KNOWN) == {"a": "$b", "b": "/data/train"}
