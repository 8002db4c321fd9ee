"""Values of an experiment as edits of its spec: where each goes, and what stands in for its variables."""

from __future__ import annotations

from typing import Any

import pytest

from taorunner.specs.editing.spec_edits import Edit, flat_edits, set_in, with_variables
from taorunner.specs.schema.schema import find_schema

VALUES: dict[str, Any] = {"gpu_ids": (0, 1), "name": "e1", "n": 3}


def test_nested_and_dotted_keys_are_one_edit_for_each_value() -> None:
    values = {"train": {"optim": {"lr": 1}, "ids": [0]}, "a.b": {"c.d": 2, "e": {}}, "last": None}
    assert list(flat_edits(values)) == [
        (("train", "optim", "lr"), Edit(("train", "optim", "lr"), 1)),
        (("train", "ids"), Edit(("train", "ids"), [0])),
        (("a.b", "c.d"), Edit(("a", "b", "c", "d"), 2)),
        (("a.b", "e"), Edit(("a", "b", "e"), {})),
        (("last",), Edit(("last",), None)),
    ]
    assert Edit(("a", "b.c"), 1).key == "a.b.c"


def test_names_of_the_users_own_are_not_parted() -> None:
    schema = find_schema("classification_tf2", "train", "6.26.3")
    dino = find_schema("dino", "train", "7.0.1")
    assert schema is not None and dino is not None
    values = {"dataset": {"infer_data_sources": {"a.b": "/x"}, "num.x": 1}}
    assert [edit.steps for _, edit in flat_edits(values, dino)] == [
        ("dataset", "infer_data_sources", "a.b"), ("dataset", "num", "x"),
    ]  # fmt: skip
    assert [edit.steps for _, edit in flat_edits(values)] == [
        ("dataset", "infer_data_sources", "a", "b"), ("dataset", "num", "x"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected", "unknown"),
    [
        ("$gpu_ids", [0, 1], []), ("x$gpu_ids", "x0,1", []), ("$n", 3, []), ("a/$name/b", "a/e1/b", []),
        ("5$$", "5$", []), ("$nope/x", "$nope/x", ["nope"]), ("${nope}", "${nope}", []), ("${name}", "e1", []),
        ("plain", "plain", []), (7, 7, []), (None, None, []),
        ({"a": "$n", "b": ["$name", "$bad"]}, {"a": 3, "b": ["e1", "$bad"]}, ["bad"]),
    ],
)  # fmt: skip
def test_variables_are_put_in_place(value: Any, expected: Any, unknown: list[str]) -> None:
    found, names = with_variables(value, VALUES, omegaconf=True)
    assert names == unknown
    if value != "x$gpu_ids":  # how a list looks inside of a text is told in another test
        assert found == expected and type(found) is type(expected)


def test_braces_are_ours_where_there_is_no_omegaconf() -> None:
    assert with_variables("${nope}", VALUES, omegaconf=False) == ("${nope}", ["nope"])


@pytest.mark.parametrize(
    ("spec_format", "text", "changed"),
    [("yaml", "a: 1\nb: 2\n", "a: 5\nb: 7\n"), ("prototxt", "a: 1\nb: 2\n", "a: 5\nb: 7\n")],
)
def test_one_edit_that_is_impossible_does_not_stop_the_next(
    spec_format: str, text: str, changed: str
) -> None:
    edits = [Edit(("a",), 5), Edit(("a", "x"), 1), Edit(("b",), 7)]
    found, problems = set_in(text, spec_format, edits)
    assert found == changed
    assert [problem is None for problem in problems] == [True, False, True]
