"""The values of a template by key: in the order of the text, with variables and numbers of each text in place."""

from __future__ import annotations

import pytest

from taorunner.specs.memory import SpecMemory
from taorunner.specs.outline import UNKNOWN, Outline, outline_of, place_of

YAML = """\
results_dir: $results_dir  # $comment 5
train: &t
  num_epochs: 12
  ids: [0, 1, $last]
  text: "7"
  on: true
  ref: ${train.num_epochs}
  from: /data/$experiment/$none/x
sources:
  - {image_dir: $dataset_raw/a, size: 3}
  - {image_dir: /data/b, size: 4}
again: *t
empty:
price: 5$$
"""
PROTO = """\
seed: 42  # 43
# size: 9
data { dir: "$dataset_raw/a" size: 3 }
data { dir: "/data/b" size: 4 }
sizes: [1, 2]
kind: L1
"""
VARIABLES = {"results_dir": "/r", "last": 2, "experiment": "e1", "dataset_raw": "/raw", "list": [1]}


def outline(text: str, spec_format: str = "yaml", memory: SpecMemory | None = None) -> Outline:
    found = outline_of(text, spec_format, memory)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("results_dir", ("/r",)), ("train", (None,)), ("train.num_epochs", (12,)), ("train.ids", (0, 1, 2)),
        ("train.text", ("7",)), ("train.on", (True,)), ("train.ref", (UNKNOWN,)), ("train.from", (UNKNOWN,)),
        ("sources", (None, None)), ("sources.image_dir", ("/raw/a", "/data/b")), ("sources.size", (3, 4)),
        ("again", (UNKNOWN,)), ("empty", (None,)), ("price", ("5$",)), ("absent", ()), ("train.absent", ()),
    ],
)  # fmt: skip
def test_values_of_yaml(key: str, values: tuple[object, ...]) -> None:
    found = outline(YAML)
    assert found.values(key, VARIABLES) == values
    assert found.last(key, VARIABLES) == (values[-1] if values else UNKNOWN)
    assert (key in found) is bool(values)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("seed", (42,)), ("data", (None, None)), ("data.dir", ("/raw/a", "/data/b")), ("data.size", (3, 4)),
        ("sizes", (1, 2)), ("kind", ("L1",)), ("size", ()),
    ],
)  # fmt: skip
def test_values_of_protobuf_text(key: str, values: tuple[object, ...]) -> None:
    found = outline(PROTO, "prototxt")
    assert found.values(key, VARIABLES) == values
    assert found.last(key, VARIABLES) == (values[-1] if values else UNKNOWN)


def test_a_variable_alone_keeps_its_type_and_a_list_is_unknown() -> None:
    found = outline("a: $last\nb: x$last\nc: $list\nd: x$list\n")
    assert [found.values(key, VARIABLES) for key in "abcd"] == [(2,), ("x2",), (UNKNOWN,), ("x[1]",)]
    assert found.shape.variables == {"last", "list"}


def test_what_a_path_starts_with_and_what_is_written_out() -> None:
    found = outline(YAML)
    assert found.starts("sources.image_dir") == ("dataset_raw", None)
    assert found.starts("train.from") == (None,)
    assert found.starts("train.num_epochs") == (None,)
    assert found.starts("absent") == ()
    assert found.shape.written_out == (
        ("train.from", 0, "/data/"), ("sources.image_dir", 1, "/data/b"),
    )  # fmt: skip


@pytest.mark.parametrize(("spec_format", "text"), [("yaml", YAML), ("prototxt", PROTO)])
def test_texts_that_differ_in_numbers_have_one_shape(spec_format: str, text: str) -> None:
    memory = SpecMemory()
    one = outline(text, spec_format, memory)
    other = outline(text.replace("12", "1.5e-3").replace("42", "7"), spec_format, memory)
    assert other.shape is one.shape
    key, values = ("train.num_epochs", (12, 1.5e-3)) if spec_format == "yaml" else ("seed", (42, 7))
    assert (*one.values(key, {}), *other.values(key, {})) == values
    size = "sources.size" if spec_format == "yaml" else "data.size"
    assert other.values(size, {}) == (3, 4)
    assert outline(text.replace("size", "width"), spec_format, memory).shape is not one.shape


@pytest.mark.parametrize(
    ("spec_format", "text", "key", "index", "place"),
    [
        ("yaml", YAML, "results_dir", 0, (1, 14)), ("yaml", YAML, "train.num_epochs", 0, (3, 15)),
        ("yaml", YAML, "sources.size", 1, (11, 32)), ("yaml", YAML, "sources.image_dir", 1, (11, 17)),
        ("yaml", YAML, "sources.size", 2, None), ("yaml", YAML, "absent", 0, None),
        ("prototxt", PROTO, "seed", 0, (1, 7)), ("prototxt", PROTO, "data.size", 0, (3, 36)),
        ("prototxt", PROTO, "sizes", 1, (5, 12)), ("prototxt", PROTO, "data.dir", 1, (4, 13)),
        ("yaml", "a: [", "a", 0, None),
    ],
)  # fmt: skip
def test_the_place_of_a_value(
    spec_format: str, text: str, key: str, index: int, place: tuple[int, int] | None
) -> None:
    assert place_of(text, spec_format, key, index) == place


@pytest.mark.parametrize(
    ("text", "spec_format"), [("a: [", "yaml"), ("a {", "prototxt"), ("a: $1x {", "prototxt")]
)
def test_a_text_that_cannot_be_read_has_none(text: str, spec_format: str) -> None:
    assert outline_of(text, spec_format) is None


def test_protobuf_text_of_comments_alone_has_no_values() -> None:
    assert outline("# nothing\n", "prototxt").values("a", {}) == ()


def test_a_large_text_is_read_without_slots() -> None:
    text = "a: 1\n" + "# x\n" * 70_000
    found = outline(text)
    assert (found.numbers, found.values("a", {})) == ((), (1,))
