"""Names and values as an MLflow server takes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import LOCK

from taorunner.tracking.mapping import name_there, parameters
from taorunner.values.value import replace


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("val_mAP50", "val_mAP50"),
        ("[bbox] val_mAP", "bbox/val_mAP"),
        ("val/i2t_R@1", "val/i2t_R_at_1"),
        ("val Mean Average Precision", "val Mean Average Precision"),
        ("AP_0.50:0.95_all", "AP_0.50:0.95_all"),
        ("categorical average_precision/größe", "categorical average_precision/gr__e"),
        ("../../etc", "etc"),
        ("/a//b/", "a/b"),
        ("", "_"),
        ("x" * 300, "x" * 250),
    ],
)
def test_names(name: str, there: str) -> None:
    assert name_there(name, {}) == there


def test_two_names_are_never_one() -> None:
    taken = {"a_at_b": "a@b"}
    assert name_there("a@b", taken) == "a_at_b"
    other = name_there("a[@b", {**taken, "a__at_b": "a]@b"})
    assert re.fullmatch(r"a__at_b_[0-9a-f]{6}", other)


@given(st.text(max_size=400))
def test_every_name_is_one_that_the_server_takes(name: str) -> None:
    there = name_there(name, {})
    assert re.fullmatch(r"[\w/. :-]{1,250}", there, re.ASCII)
    assert not there.startswith("/") and ".." not in there.split("/")


def test_long_values_are_cut_by_bytes() -> None:
    found = parameters(replace(LOCK, spec={"a": "ü" * 5000, "b": [1, None, True], "c": None}))
    assert len(found["a"].encode()) <= 6000 and found["a"].endswith("ü…")
    assert (found["b"], found["c"]) == ("[1, null, true]", "null")
