"""Values are found and replaced where they are written, whatever lies around them."""

from __future__ import annotations

from typing import Any

import pytest

from taorunner.specs.editing.placed import (
    comment_at,
    placed_values,
    with_collection,
    with_comment,
    with_scalar,
)
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.yaml_reader import read_yaml

YAML = """\
# names
dataset:
  num_classes: $num_classes  # counted
  sources:
    - {json_file: $dataset_raw/a.json, n: 1}
    - json_file: "b.json"
      n: 2
  sizes: [640, 640]
  open: ${FILL_IN}
  other: ${dataset.num_classes}
"""
PROTO = """\
# names
dataset {
  num_classes: $num_classes  # counted
  source { file: "$dataset_raw/a" n: 1 }
  source: { file: 'b' n: 2 }
  sizes: [640, 640]
  open: $FILL_IN
  words: "x" words: "y"
}
"""


def values(text: str, form: str, key: str) -> list[Any]:
    return [one.value for one in placed_values(text, form, key)]


@pytest.mark.parametrize(
    ("key", "yaml", "proto"),
    [
        ("dataset.num_classes", ["$num_classes"], ["$num_classes"]),
        ("dataset.sources.json_file", ["$dataset_raw/a.json", "b.json"], []),
        ("dataset.source.file", [], ["$dataset_raw/a", "b"]),
        ("dataset.sources.n", [1, 2], []),
        ("dataset.source.n", [], [1, 2]),
        ("dataset.sizes", [[640, 640]], [[640, 640]]),
        ("dataset.words", [], ["x", "y"]),
        ("dataset.nothing", [], []),
        ("nothing.at.all", [], []),
    ],
)
def test_values_are_found_by_key(key: str, yaml: list[Any], proto: list[Any]) -> None:
    assert values(YAML, "yaml", key) == yaml
    assert values(PROTO, "prototxt", key) == proto


@pytest.mark.parametrize(
    ("text", "form", "key", "name"),
    [
        (YAML, "yaml", "dataset.num_classes", "num_classes"),
        (YAML, "yaml", "dataset.open", "FILL_IN"),
        (YAML, "yaml", "dataset.other", None),
        (YAML, "yaml", "dataset.sources.json_file", None),
        (PROTO, "prototxt", "dataset.open", "FILL_IN"),
        (PROTO, "prototxt", "dataset.sizes", None),
    ],
)
def test_a_value_that_is_one_variable(text: str, form: str, key: str, name: str | None) -> None:
    assert placed_values(text, form, key)[0].variable == name


@pytest.mark.parametrize(
    ("text", "form", "key", "value", "written"),
    [
        ("a: 4  # four\n", "yaml", "a", 5, "a: 5  # four\n"),
        ("a: 'x'\n", "yaml", "a", "z", "a: 'z'\n"),
        ('a: "x"\n', "yaml", "a", "y: z", 'a: "y: z"\n'),
        ("a:\nb: 1\n", "yaml", "a", 5, "a: 5\nb: 1\n"),
        ("a: [1,2]  # two\n", "yaml", "a", [3], "a: [3]  # two\n"),
        ("a: 4  # four\n", "prototxt", "a", 5, "a: 5  # four\n"),
        ("a: 'x'\n", "prototxt", "a", 'y"', 'a: "y\\""\n'),
        ('a: "12"\n', "prototxt", "a", 5, 'a: "5"\n'),
        ("a: $FILL_IN\n", "prototxt", "a", 5, "a: 5\n"),
        ("a: $FILL_IN\n", "prototxt", "a", "x", 'a: "x"\n'),
        ("b { a: 4 }\n", "prototxt", "b.a", 5, "b { a: 5 }\n"),
        ("a: 4\r\nb: 1\r\n", "yaml", "a", 5, "a: 5\r\nb: 1\r\n"),
        ("\ufeffa: 4", "yaml", "a", 5, "\ufeffa: 5"),
        ("\ufeffa: 4", "prototxt", "a", 5, "\ufeffa: 5"),
    ],
)
def test_a_scalar_is_replaced_in_place(text: str, form: str, key: str, value: object, written: str) -> None:
    assert with_scalar(text, form, placed_values(text, form, key)[0], value) == written


NAMES = {"bolt": "green", "lock nut": "orange"}
LONG = {f"class_{number:02}": "green" for number in range(12)}


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ("a: {x: z}  # colours\nb: 1\n", NAMES, "a: {bolt: green, lock nut: orange}  # colours\nb: 1\n"),
        ("a:  # colours\n  x: z\n  z: w\nb: 1\n", NAMES, "a: {bolt: green, lock nut: orange}  # colours\nb: 1\n"),
        ("a: $FILL_IN  # colours\n", NAMES, "a: {bolt: green, lock nut: orange}  # colours\n"),
        ("a: $FILL_IN", ["x", "z"], "a: [x, z]"),
        ("a:\n- x\n- y\nb: 1\n", ["z"], "a: [z]\nb: 1\n"),
        ("a:\n  - {k: 1}  # one\n  - {k: 2}\nb: 1\n", [{"k": 3}], "a:\n  - {k: 3}\nb: 1\n"),
        ("a:\n- k: 1\n  m: 2\nb: 1\n", [{"k": 3}, {"k": 4}], "a:\n- {k: 3}\n- {k: 4}\nb: 1\n"),
        ("a: $FILL_IN  # rows\nb: 1\n", [{"k": 3}], "a:  # rows\n  - {k: 3}\nb: 1\n"),
        ("a: [{k: 1}]\n", [{"k": 3}], "a:\n  - {k: 3}\n"),
        ("a: $FILL_IN", [{"k": 3}], "a:\n  - {k: 3}\n"),
        ("a: {x: z}\r\nb: 1\r\n", [{"k": 3}], "a:\r\n  - {k: 3}\r\nb: 1\r\n"),
        ("c: {a: $FILL_IN, b: 1}\n", [{"k": 3}], "c: {a: [{k: 3}], b: 1}\n"),
    ],
)  # fmt: skip
def test_a_collection_takes_the_place_of_what_was_there(text: str, value: Any, written: str) -> None:
    key = "c.a" if text.startswith("c") else "a"
    found = with_collection(text, key, value)
    assert found == written
    read = read_yaml(found).value
    assert (read["c"] if key == "c.a" else read)["a"] == value


def test_a_long_mapping_is_written_in_lines() -> None:
    found = with_collection("s:\n  a: {x: z}  # colours\n  b: 1\n", "s.a", LONG)
    assert found.startswith("s:\n  a:  # colours\n    class_00: green\n") and found.endswith(
        "class_11: green\n  b: 1\n"
    )
    assert read_yaml(found).value == {"s": {"a": LONG, "b": 1}}
    assert with_collection(found, "s.a", {"x": "z"}) == "s:\n  a: {x: z}  # colours\n  b: 1\n"


def test_comments() -> None:
    text = "a: 1\nb: 2  # two\nc { d: 3 }\n"
    assert not comment_at(text, 4) and comment_at(text, 9)
    assert with_comment(text, 4, "one") == "a: 1  # one\nb: 2  # two\nc { d: 3 }\n"
    assert with_comment(text, text.index("3") + 1, "three") == text  # more follows in the line


@pytest.mark.parametrize(
    ("text", "form"), [("a: [1\n", "yaml"), ("a: \t- b: c: d\n", "yaml"), ("a { b: 1\n", "prototxt")]
)
def test_what_cannot_be_parsed_is_refused(text: str, form: str) -> None:
    with pytest.raises(SpecProblemError) as raised:
        placed_values(text, form, "a")
    assert raised.value.offset is not None and raised.value.message
