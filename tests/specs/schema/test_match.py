"""How well the names of a text fit a schema."""

from __future__ import annotations

import pytest

from taorunner.specs.schema.match import Fit, fit_of, read_section
from taorunner.specs.schema.schema import find_schema


def fit(text: str, network: str = "dino", version: str = "7.0.1") -> Fit:
    schema = find_schema(network, "train", version)
    section = read_section(text, "yaml" if network == "dino" else "prototxt")
    assert schema is not None and section is not None
    return fit_of(section, schema)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train: {num_epochs: 3}\n", Fit(0, 2)),
        ("train: {num_epochs: 3, nothing: 4}\n", Fit(1, 2)),
        ("nothing: {a: 1, b: {c: 2}}\n", Fit(4, 0)),  # with all that is in it
        ("train: 5\n", Fit(1, 0)),  # a value where a section belongs
        ("train:\n", Fit(0, 1)),
        ("train: {num_epochs: {a: 1}}\n", Fit(1, 1, 1)),  # a section where a value belongs
        ("dataset: {train_data_sources: [{image_dir: /a}, {other: 1}]}\n", Fit(0, 2, 2)),
        ("dataset: {infer_data_sources: {mine: {deep: 1}}}\n", Fit(0, 2, 2)),  # names of the user's own
    ],
)
def test_names_of_yaml(text: str, expected: Fit) -> None:
    assert fit(text) == expected


def test_names_of_protobuf_text() -> None:
    text = "random_seed: 42\ntraining_config { num_epochs: 3 nothing: 1 }\ndataset_config { data_sources { tfrecords_path: '/a' } }\n"
    assert fit(text, "detectnet_v2", "6.26.3") == Fit(1, 6)


@pytest.mark.parametrize(
    ("one", "is_likely"),
    [
        (Fit(0, 1), True), (Fit(0, 0), False), (Fit(1, 3), True), (Fit(1, 2), False), (Fit(0, 2, 4), True),
        (Fit(0, 2, 5), False),
    ],
)  # fmt: skip
def test_three_of_four_names_make_it_likely(one: Fit, is_likely: bool) -> None:
    assert one.is_likely is is_likely


@pytest.mark.parametrize(
    ("text", "spec_format"),
    [("a: [", "yaml"), ("- a\n", "yaml"), ("", "yaml"), ("{}", "yaml"), ("a {", "prototxt"), ("# x\n", "prototxt")],
)  # fmt: skip
def test_a_text_without_names_is_no_spec(text: str, spec_format: str) -> None:
    assert read_section(text, spec_format) is None


def test_all_values_with_their_names() -> None:
    section = read_section("a: {b: [1, {c: 2}]}\nd: x\n", "yaml")
    assert section is not None
    assert list(section.walk()) == [(("a", "b"), 1), (("a", "b", "c"), 2), (("d",), "x")]
    assert section.names == ("a", "d")
