"""Two specs compared as TAO reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taorunner.planning.inspect.resolved_spec import ShownSpec, SpecValue
from taorunner.planning.inspect.spec_diff import spec_differences
from taorunner.specs.schema.schema import NO_DEFAULT, find_schema


def shown(name: str, values: dict[str, Any], *, has_schema: bool = True) -> ShownSpec:
    own = {"results_dir": f"/models/{name}", "experiment": name, "dataset_tfrecord": f"/data/tf_{name}"}
    return ShownSpec(
        "p", name, "train", "dino", "7.0.1", "yaml", Path("train.yaml"), "",
        tuple(SpecValue(key, value, "spec") for key, value in values.items()), (), (), own,
        find_schema("dino", "train", "7.0.1") if has_schema else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, 1.0, True), (1, 2, False), (1, True, False), (True, True, True), (0, False, False), (1, "1", False),
        ("a", "a", True), ("a", "b", False), (None, None, True), (None, 0, False), (float("nan"), float("nan"), True),
        ([1, 2], [1.0, 2], True), ([1], [1, 2], False), ([1], [True], False), ([1], 1, False), ({}, {}, True),
        ({"a": 1}, {"a": 2}, False), (0.5, float("nan"), False),
    ],
)  # fmt: skip
def test_which_values_are_the_same(one: Any, other: Any, is_same: bool) -> None:
    assert (spec_differences(shown("e1", {"a": one}), shown("e2", {"a": other})) == ()) is is_same
    assert (spec_differences(shown("e1", {"a": other}), shown("e2", {"a": one})) == ()) is is_same


def test_differences_are_in_the_order_of_the_first_spec() -> None:
    first = shown("e1", {"c": 1, "train.num_epochs": 3, "same": 0, "only": 1})
    second = shown("e2", {"train.num_epochs": 4, "same": 0, "train.seed": 5, "c": 2})
    found = spec_differences(first, second)
    assert [one.key for one in found] == ["c", "train.num_epochs", "only", "train.seed"]
    assert [(one.first and one.first.value, one.second and one.second.value) for one in found] == [
        (1, 2), (3, 4), (1, None), (None, 5),
    ]  # fmt: skip


def test_what_only_one_spec_has_is_told_with_taos_default() -> None:
    first, second = shown("e1", {"train.num_epochs": 3, "nope": 1}), shown("e2", {"train.gpu_ids": [1]})
    known = find_schema("dino", "train", "7.0.1")
    assert known is not None
    defaults = {name: known.find(("train", name)) for name in ("num_epochs", "gpu_ids")}
    assert [one.default for one in spec_differences(first, second)] == [
        key.default if key else None for key in (defaults["num_epochs"],)
    ] + [NO_DEFAULT] + [key.default if key else None for key in (defaults["gpu_ids"],)]
    without = spec_differences(shown("e1", {"train.num_epochs": 3}, has_schema=False), shown("e2", {}))
    assert [one.default for one in without] != [NO_DEFAULT]  # the other spec has a schema


@pytest.mark.parametrize(
    ("one", "other", "by_name"),
    [
        ("/models/e1", "/models/e2", True), ("/models/e1/train", "/models/e2/train", True), ("e1", "e2", True),
        ("/models/e1", "/models/e3", False), (["/data/tf_e1/x", 1], ["/data/tf_e2/x", 1], True), (1, 2, False),
        ("/data/e1", "/data/e2", True), ("plain", "other", False),
    ],
)  # fmt: skip
def test_paths_that_differ_by_the_experiments_names_are_told_apart(
    one: Any, other: Any, by_name: bool
) -> None:
    (found,) = spec_differences(shown("e1", {"a": one}), shown("e2", {"a": other}))
    assert found.by_name is by_name
