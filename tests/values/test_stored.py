"""What a stored field may be: what can be worked with."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from taorunner.values.stored import fits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00+00:00", True), ("0002-01-01T00:00:00+23:59", True), ("2026-01-01T00:00:00", False),
        ("0001-01-01T00:00:00+23:59", False), ("9999-12-31T23:59:59-23:59", False),
    ],
)  # fmt: skip
def test_a_time_is_one_in_every_zone(text: str, expected: bool) -> None:
    value = datetime.fromisoformat(text)
    assert fits(value, frozenset({"datetime"})) is expected
    if expected:
        assert value.astimezone(timezone.utc)
