"""The list of mutations names texts that are there: a row that fits nothing would be a test that cannot fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_each_mutation_names_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import mutations

    try:
        texts = {one: (mutations.PACKAGE / one.file).read_text("utf-8") for one in mutations.MUTATIONS}
        assert {
            one.file: text.count(one.old) for one, text in texts.items() if text.count(one.old) != 1
        } == {}
        assert {
            one for each in texts for one in each.tests.split() if not (ROOT / "tests" / one).exists()
        } == set()
    finally:
        for name in ("mutations", "random_mutations"):
            sys.modules.pop(name, None)
