"""Which values a spec text has, by dotted key, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest

from taorunner.specs.schema.schema import find_schema
from taorunner.specs.syntax.leaves import leaves

YAML = """\
a: &x {b: 1, c: "two"}
list: [1, 2.5]
sections:
  - {path: p, n: null}
  - path: q
again: *x
empty: {}
none: []
"""
PROTO = """\
random_seed: 42
training_config { num_epochs: 80 }
training_config { num_epochs: 81 regularizer { type: L1 } }
dataset_config {
  data_sources { tfrecords_path: "a" }
  data_sources { tfrecords_path: "b" }
  include_difficult_in_training: true
}
"""


def values(text: str, spec_format: str, **more: Any) -> dict[str, Any]:
    return {leaf.key: leaf.value for leaf in leaves(text, spec_format, **more)}


def test_yaml() -> None:
    assert values(YAML, "yaml") == {
        "a.b": 1, "a.c": "two", "list": [1, 2.5], "sections.0.path": "p", "sections.0.n": None, "sections.1.path": "q",
        "again.b": 1, "again.c": "two", "empty": {}, "none": [],
    }  # fmt: skip


def test_protobuf_text_with_blocks_merged_and_the_last_value_winning() -> None:
    assert values(PROTO, "prototxt") == {
        "random_seed": 42, "training_config.num_epochs": [80, 81], "training_config.regularizer.type": "L1",
        "dataset_config.data_sources.0.tfrecords_path": "a", "dataset_config.data_sources.1.tfrecords_path": "b",
        "dataset_config.include_difficult_in_training": True,
    }  # fmt: skip


def test_the_schema_says_what_there_may_be_several_of() -> None:
    schema = find_schema("ssd", "train", "5.0.0")
    assert schema is not None

    def repeats(path: tuple[str, ...]) -> bool | None:
        key = schema.find(path)
        return None if key is None else key.is_repeated

    found = values(PROTO, "prototxt", repeats=repeats)
    assert found["training_config.num_epochs"] == 81
    one = values('dataset_config { data_sources { tfrecords_path: "a" } }', "prototxt", repeats=repeats)
    assert one == {"dataset_config.data_sources.0.tfrecords_path": "a"}


@pytest.mark.parametrize(("text", "spec_format"), [(YAML, "yaml"), (PROTO, "prototxt")])
def test_spans_are_the_values_as_written(text: str, spec_format: str) -> None:
    for leaf in leaves(text, spec_format):
        written = [text[start:end].strip('"') for start, end in leaf.spans]
        expected = leaf.value if isinstance(leaf.value, list) else [leaf.value]
        if leaf.value is None or leaf.value == {}:
            assert written == []
        elif spec_format == "prototxt" and leaf.value is True:
            assert written == ["true"]
        else:
            assert written == [str(value) for value in expected], leaf
