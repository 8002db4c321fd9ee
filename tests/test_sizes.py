"""Folders and functions stay small enough to read."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES_OF_A_FOLDER = 16
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 60
PARAMETERS = 12
NOT_COUNTED = frozenset({"__init__.py", "conftest.py"})
APART = "embedded"
"""A program of its own, in one folder."""


def crowded(paths: Iterable[Path]) -> dict[str, int]:
    """Folders with too many modules, and how many those are."""
    modules = (path for path in paths if path.name not in NOT_COUNTED and path.parent.name != APART)
    counts = Counter(str(path.parent) for path in modules)
    return {folder: count for folder, count in counts.items() if count > MODULES_OF_A_FOLDER}


def long_functions(text: str) -> Iterator[str]:
    """Functions with too many lines or parameters."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            names = node.args
            parameters = len([*names.posonlyargs, *names.args, *names.kwonlyargs])
            if lines > LINES_OF_A_FUNCTION:
                yield f"{node.name} has {lines} lines"
            if parameters > PARAMETERS:
                yield f"{node.name} has {parameters} parameters"


@pytest.mark.parametrize("top", ["src", "tests", "tools", "benchmarks"])
def test_no_folder_has_more_modules_than_a_reader_takes_in(top: str) -> None:
    paths = [path.relative_to(ROOT) for path in (ROOT / top).rglob("*.py")]
    assert paths
    assert crowded(paths) == {}


def test_no_module_is_too_long() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in (ROOT / "src").rglob("*.py")
    }
    assert len(lines) > 300
    assert {name: count for name, count in lines.items() if count > LINES_OF_A_MODULE} == {}


def test_no_function_is_too_long_or_takes_too_much() -> None:
    sources = sorted((ROOT / "src").rglob("*.py"))
    found = {str(path.relative_to(ROOT)): list(long_functions(path.read_text("utf-8"))) for path in sources}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_a_crowded_folder_is_found() -> None:
    paths = [Path("src/a", f"m{number}.py") for number in range(17)]
    assert crowded(paths) == {"src/a": 17}
    assert crowded([*paths[1:], Path("src/a/__init__.py"), Path("src/a/conftest.py")]) == {}
    assert crowded(Path("src/embedded", path.name) for path in paths) == {}


def test_a_long_function_is_found() -> None:
    names = ", ".join(f"a{number}" for number in range(13))
    text = "class A:\n    def f(self):\n" + "        pass\n" * 60 + f"\ndef g({names}): ...\n"
    assert list(long_functions(text)) == ["g has 13 parameters", "f has 61 lines"]
