"""Folders stay small enough to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES_OF_A_FOLDER = 16
NOT_COUNTED = frozenset({"__init__.py", "conftest.py"})
APART = "embedded"
"""A program of its own, in one folder."""


def crowded(paths: Iterable[Path]) -> dict[str, int]:
    """Folders with too many modules, and how many those are."""
    modules = (path for path in paths if path.name not in NOT_COUNTED and path.parent.name != APART)
    counts = Counter(str(path.parent) for path in modules)
    return {folder: count for folder, count in counts.items() if count > MODULES_OF_A_FOLDER}


@pytest.mark.parametrize("top", ["src", "tests", "tools", "benchmarks"])
def test_no_folder_has_more_modules_than_a_reader_takes_in(top: str) -> None:
    paths = [path.relative_to(ROOT) for path in (ROOT / top).rglob("*.py")]
    assert paths
    assert crowded(paths) == {}


def test_a_crowded_folder_is_found() -> None:
    paths = [Path("src/a", f"m{number}.py") for number in range(17)]
    assert crowded(paths) == {"src/a": 17}
    assert crowded([*paths[1:], Path("src/a/__init__.py"), Path("src/a/conftest.py")]) == {}
    assert crowded(Path("src/embedded", path.name) for path in paths) == {}
