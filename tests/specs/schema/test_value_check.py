"""Single values against OmegaConf's rules."""

from __future__ import annotations

import pytest

from taorunner.specs.schema.schema import Key
from taorunner.specs.schema.value_check import yaml_misfit


@pytest.mark.parametrize(
    "value", [True, 1, 0, "true", "True", "FALSE", "Yes", "no", "ON", "off", "Y", "n", "1"]
)
def test_words_that_omegaconf_reads_as_true_or_false(value: object) -> None:
    assert yaml_misfit(Key("bool"), value, "train.amp") is None


@pytest.mark.parametrize("value", ["maybe", "", "2", 0.5, []])
def test_other_words_are_no_bool(value: object) -> None:
    misfit = yaml_misfit(Key("bool"), value, "train.amp")
    assert misfit is not None
    assert misfit.code == "wrong-type"
