"""What the parser of protobuf text takes as a number, and how long it takes."""

from __future__ import annotations

import time

import pytest

from taorunner.specs.syntax.prototxt_parser import ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.", 1.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1_0.2_5e+1_0", 10.25e10),
        ("+2f", 2.0),
        ("1e3", 1e3),
    ],
)
def test_numbers_in_all_their_forms(text: str, value: float) -> None:
    (field,) = parse_prototxt(f"a: {text}").fields
    assert isinstance(field.value, ProtoScalar)
    assert field.value.value == value


@pytest.mark.parametrize("tail", ["x", "", ".x", ".1x", "_", "e", "1" * 50_000 + "_x"])
def test_a_number_of_many_digits_is_refused_in_a_moment(tail: str) -> None:
    began = time.process_time()
    with pytest.raises(SpecProblemError):
        parse_prototxt(f"a: {'9' * 50_000}{tail}")
    assert time.process_time() - began < 1
