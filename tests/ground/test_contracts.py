"""Facts about TAO as values."""

from __future__ import annotations

import re

import pytest

from taorunner.contracts import Direction, Metric


@pytest.mark.parametrize(
    ("name", "text", "fits"),
    [
        ("mAP", "mAP", True),
        ("mAP", "mAPx", False),
        ("a.b", "axb", False),
        ("AP_<class>", "AP_big car", True),
        ("AP_<class>", "AP_", False),
        ("<set>/loss", "val/loss", True),
        ("top_<k>", "top_5", True),
        ("top_<k>", "top_five", False),
        ("loss*", "loss", True),
        ("loss*", "loss_cls", True),
        ("[x]", "[x]", True),
    ],
)
def test_the_pattern_of_a_metric_is_for_its_whole_name(name: str, text: str, fits: bool) -> None:
    pattern = Metric(name, Direction.UP).pattern
    assert (re.fullmatch(pattern, text) is not None) == fits
