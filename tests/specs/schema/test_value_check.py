"""Single values against OmegaConf's rules."""

from __future__ import annotations

import pytest

from taorunner.specs.schema.schema import Key
from taorunner.specs.schema.value_check import proto_misfit, yaml_misfit
from taorunner.specs.syntax.prototxt_parser import ProtoScalar


@pytest.mark.parametrize(
    "value",
    [
        True,
        1,
        0,
        "true",
        "True",
        "FALSE",
        "Yes",
        "no",
        "ON",
        "off",
        "Y",
        "n",
        "1",
        "12",
        "-3",
        "1_000",
        " 1 ",
        12,
    ],
)
def test_words_that_omegaconf_reads_as_true_or_false(value: object) -> None:
    assert yaml_misfit(Key("bool"), value, "train.amp") is None


@pytest.mark.parametrize("value", ["maybe", "", "t", "1.0", " yes", 0.5, []])
def test_other_words_are_no_bool(value: object) -> None:
    misfit = yaml_misfit(Key("bool"), value, "train.amp")
    assert misfit is not None
    assert misfit.code == "wrong-type"


@pytest.mark.parametrize(
    ("value", "kind", "is_bool"),
    [(True, "word", True), ("t", "word", True), ("f", "word", True), (0, "number", True), (1, "number", True),
     (2, "number", False), (-1, "number", False), ("yes", "word", False), ("true", "string", False)],
)  # fmt: skip
def test_what_protobuf_reads_as_true_or_false(value: str | int, kind: str, is_bool: bool) -> None:
    misfit = proto_misfit(Key("bool"), ProtoScalar(value, kind, 0, 1), "train.amp")
    assert (misfit is None) is is_bool
