"""Keys that are removed take their section along only when it has no other key."""

from __future__ import annotations

import pytest

from taorunner.specs.editing.yaml_remove import without_keys

TEXT = "a:\n  b: 1\n  c:\n    d: 2\n    e: 3\nf: 4\n"


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        (["b"], "a:\n  c:\n    d: 2\n    e: 3\nf: 4\n"),
        (["d"], "a:\n  b: 1\n  c:\n    e: 3\nf: 4\n"),
        (["d", "e"], "a:\n  b: 1\nf: 4\n"),
        (["b", "d", "e"], "f: 4\n"),
        (["c"], "a:\n  b: 1\nf: 4\n"),
        ([], TEXT),
    ],
)
def test_a_section_goes_with_its_last_key(keys: list[str], left: str) -> None:
    assert without_keys(TEXT, {TEXT.index(f"{key}:") for key in keys}) == left
