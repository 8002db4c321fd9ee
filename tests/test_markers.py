"""Tests are marked ``engine`` and ``slurm`` by the names of their fixtures, so no other fixture and no parameter of a test may have
such a name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import clusters
import podman_engines
import selection
import slurm_rig

TESTS = Path(__file__).parent
ENGINE_FIXTURES = {
    "engine", "own_engine", "noop_image", "tao_image", "registry", "small_engine", "podman", "own_podman",
}  # fmt: skip
MARKING = ENGINE_FIXTURES | slurm_rig.FIXTURES
REAL = {
    TESTS / "conftest.py", TESTS / "images" / "test_pull.py", TESTS / "backends" / "slurm" / "conftest.py",
    Path(clusters.__file__), Path(podman_engines.__file__), TESTS / "cli" / "clusters" / "test_podman.py",
}  # fmt: skip
"""Where the fixtures of those names are, which do need an engine or a cluster."""


def fixtures(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and any(
            "fixture" in ast.unparse(one) for one in node.decorator_list
        ):
            yield node.name


def parameters(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("parametrize"):
            names = ast.literal_eval(node.args[0])
            yield from names.replace(",", " ").split() if isinstance(names, str) else names


def test_no_parameter_marks_its_test() -> None:
    named = {path: MARKING & set(parameters(path.read_text("utf-8"))) for path in TESTS.rglob("*.py")}
    assert {str(path): names for path, names in named.items() if names} == {}


def test_no_other_fixture_marks_its_tests() -> None:
    named = {path: MARKING & set(fixtures(path.read_text("utf-8"))) for path in TESTS.rglob("*.py")}
    assert {str(path) for path, names in named.items() if names and path not in REAL} == set()
    assert set().union(*(named[path] for path in REAL)) == MARKING


def test_each_worker_begins_to_read_elsewhere_and_reads_all() -> None:
    rooms = ["api", "cli", "engine", "runs", "specs"]
    assert [selection.turned(rooms, number, 3) for number in range(3)] == [
        ["api", "cli", "engine", "runs", "specs"],
        ["cli", "engine", "runs", "specs", "api"],
        ["runs", "specs", "api", "cli", "engine"],
    ]


def test_each_worker_begins_with_the_long_tests_of_its_part() -> None:
    long = {2, 3, 7}
    assert selection.long_first([place in long for place in range(8)], 2) == [2, 3, 0, 1, 7, 4, 5, 6]
    assert selection.long_first([place % 2 == 1 for place in range(10)], 4) == [1, 0, 3, 2, 5, 4, 6, 7, 9, 8]
