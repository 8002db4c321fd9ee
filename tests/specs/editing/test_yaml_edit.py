from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.specs.editing.yaml_edit import parse_override, read_value, set_value
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.yaml_reader import read_yaml, resolve_scalar

SPEC = """\
# top
results_dir: /r   # where
train:
  num_gpus: 1
  gpu_ids: [0]  # ids
  optim:
    lr: 1e-4
    steps:
    - 1
    - 2
  # tail
dataset:
  train_data_sources:
    - image_dir: a
      json_file: b
  empty:
base: &base {x: 1}
other:
  <<: *base
  y: 2
alias: *base
text: |
  foo
last: 1"""


def test_reading_values() -> None:
    paths: dict[str, Any] = {
        "results_dir": "/r",
        "train.optim.lr": 1e-4,
        "train.gpu_ids": [0],
        "dataset.train_data_sources.0.json_file": "b",
        "dataset.train_data_sources.1.json_file": None,
        "dataset.empty": None,
        "other.x": 1,
        "alias": {"x": 1},
        "nothing.at.all": None,
        "last.x": None,
        "": None,
    }
    assert {path: read_value(SPEC, path) for path in paths} == paths


def _difference(dotted: str, value: object) -> tuple[list[str], list[str]]:
    old, new = SPEC.split("\n"), set_value(SPEC, dotted, value).split("\n")
    return [line for line in old if line not in new], [line for line in new if line and line not in old]


@pytest.mark.parametrize(
    ("dotted", "value", "removed", "added"),
    [
        ("results_dir", "/x: y", ["results_dir: /r   # where"], ['results_dir: "/x: y"   # where']),
        ("train.gpu_ids", [0, 1], ["  gpu_ids: [0]  # ids"], ["  gpu_ids: [0, 1]  # ids"]),
        ("train.gpu_ids.0", 3, ["  gpu_ids: [0]  # ids"], ["  gpu_ids: [3]  # ids"]),
        ("train.optim.lr", 1e-05, ["    lr: 1e-4"], ["    lr: 1.0e-05"]),
        ("train.optim.steps", [3], ["    steps:", "    - 1", "    - 2"], ["    steps: [3]"]),
        ("train.optim.steps.1", 7, ["    - 2"], ["    - 7"]),
        ("train.optim.momentum", 0.9, [], ["    momentum: 0.9"]),
        ("train.new.deep", True, [], ["  new:", "    deep: true"]),
        ("dataset.train_data_sources.0.json_file", "c", ["      json_file: b"], ["      json_file: c"]),
        ("dataset.empty", "x", ["  empty:"], ["  empty: x"]),
        ("dataset.empty.a.b", 1, ["  empty:"], ["  empty: {a: {b: 1}}"]),
        ("other.x", 5, [], ["  x: 5"]),
        ("text", "bar", ["text: |", "  foo"], ["text: bar"]),
        ("last", None, ["last: 1"], ["last: null"]),
        ("new.section.key", "yes", [], ["new:", "  section:", '    key: "yes"']),
    ],
)
def test_setting_changes_one_place(dotted: str, value: object, removed: list[str], added: list[str]) -> None:
    assert _difference(dotted, value) == (removed, added)


@pytest.mark.parametrize(
    ("dotted", "message"),
    [
        ("base.z", '"base.z" cannot be set here without changing something else'),
        ("alias.x", '"alias.x" leads through an alias'),
        ("dataset.train_data_sources.4.x", '"dataset.train_data_sources" has no element "4"'),
        ("dataset.train_data_sources.x", '"dataset.train_data_sources" has no element "x"'),
        ("last.x", '"last" is a value, not a section'),
        ("a..b", '"a..b" is not a key'),
        ("", '"" is not a key'),
    ],
)
def test_what_cannot_be_set_is_refused(dotted: str, message: str) -> None:
    with pytest.raises(SpecProblemError) as caught:
        set_value(SPEC, dotted, 1)
    assert caught.value.message == message


def test_an_empty_spec_gets_its_first_key() -> None:
    assert set_value("", "a.b", 1) == "a:\n  b: 1\n"
    assert set_value("# nothing yet", "a", 1) == "# nothing yet\na: 1\n"


def test_keys_that_are_numbers() -> None:
    assert set_value("ids: {0: a}\n", "ids.0", "b") == "ids: {0: b}\n"
    assert read_value("'1': x\n", "1") == "x"


keys = st.sampled_from(["a", "b", "0", "yes", "a b", "1e3", "é", "x: y"])
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80)
@given(
    document=st.dictionaries(keys, values, max_size=4),
    path=st.lists(keys, min_size=1, max_size=3),
    value=values,
    flow=st.sampled_from([True, False, None]),
)
def test_a_set_value_is_read_back_and_nothing_else_changes(
    document: dict[str, Any], path: list[str], value: Any, flow: bool | None
) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True, width=60)
    before = read_yaml(text).value
    try:
        changed = set_value(text, ".".join(path), value)
    except SpecProblemError:
        return
    after = read_yaml(changed)
    assert after.problems == []
    for key in before:
        if key not in (path[0], resolve_scalar(path[0])):
            assert repr(after.value[key]) == repr(before[key])


@settings(max_examples=150)
@given(text=st.one_of(st.text(), st.text(alphabet="ab:-{}[]#&*|>'\"!? \n,1")), value=st.text(max_size=5))
def test_any_text_is_edited_or_refused(text: str, value: str) -> None:
    try:
        changed = set_value(text, "a.b", value)
    except SpecProblemError:
        return
    assert read_value(changed, "a.b") == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.optim.lr=1e-4", ("train.optim.lr", 1e-4)),
        ("train.gpu_ids=[0,1]", ("train.gpu_ids", [0, 1])),
        ("a=yes", ("a", "yes")),
        ("a=true", ("a", True)),
        ("a=", ("a", "")),
        ("a=null", ("a", None)),
        ("a='7'", ("a", "7")),
        ("a=b=c: d #e", ("a", "b=c: d #e")),
        ("a={b: 1}", ("a", {"b": 1})),
    ],
)
def test_overrides_are_typed_as_yaml(text: str, expected: tuple[str, object]) -> None:
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["", "a", "=1", ".=1", "a.=1", "a=[", "a='", "a={b"])
def test_an_override_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecProblemError) as caught:
        parse_override(text)
    assert caught.value.code == "bad-override"


@pytest.mark.parametrize("value", [True, 1.0], ids=["bool", "float"])
@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: &x 1\nb:\n  - *x\n"])
def test_an_edit_that_changes_the_type_of_an_equal_value_elsewhere_is_refused(
    text: str, value: object
) -> None:
    with pytest.raises(SpecProblemError) as caught:
        set_value(text, "a", value)
    assert caught.value.message == '"a" cannot be set here without changing something else'
