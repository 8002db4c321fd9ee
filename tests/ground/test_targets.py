"""Execution targets: the table, those of other packages, settings, and no other place that knows backends by name."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taorunner.contracts import Framework
from taorunner.errors import MachineError, UsageError
from taorunner.target_names import BUILT_IN_NAMES, target_names
from taorunner.targets import (
    BUILT_IN,
    Files,
    GpuSource,
    NetworkKind,
    Resource,
    Setting,
    SettingProblem,
    Target,
    default_target,
    sees_host_paths,
    target_of,
)

SOURCE = Path(__file__).resolve().parents[2] / "src" / "taorunner"


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with three targets, two of them broken."""
    info = tmp_path / "lsf-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "[console_scripts]\nodd = lsf:main\n\n[taorunner.targets]\n# a = note\n; b = note\nlsf = lsf_target:TARGET\n"
        "broken=lsf_target:NOTHING\nother = lsf_target:TARGET [extra]\ndocker = lsf_target:TARGET\n"
    )
    (tmp_path / "lsf_target.py").write_text(
        "from taorunner.targets import Target\n"
        "TARGET = Target('lsf', 'jobs', sees_host_paths=True, needs_image=True)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("lsf_target", None)


def test_those_of_other_packages_are_found_by_their_entry_points(others: Path) -> None:
    assert target_names() == (
        "docker",
        "local",
        "embedded",
        "slurm",
        "kubernetes",
        "docker-ssh",
        "broken",
        "lsf",
        "other",
    )
    assert target_of("lsf") == Target("lsf", "jobs", sees_host_paths=True, needs_image=True)
    assert target_of("docker") is BUILT_IN["docker"]
    assert sees_host_paths("lsf", {}) and not sees_host_paths("docker", {}) and not sees_host_paths(None, {})


@pytest.mark.parametrize("name", ["broken", "other"])
def test_a_broken_one_is_named_with_its_package(others: Path, name: str) -> None:
    with pytest.raises(MachineError) as caught:
        target_of(name)
    assert caught.value.message.startswith(f'the backend "{name}" of "lsf_target:')


def test_a_name_that_is_misspelt() -> None:
    with pytest.raises(UsageError) as caught:
        target_of("dokcer")
    assert caught.value.message == 'there is no backend "dokcer"'
    assert caught.value.hint == 'did you mean "docker"?'


def test_which_networks_they_run() -> None:
    assert [name for name, target in BUILT_IN.items() if target.runs(Framework.EMBEDDED)] == ["embedded"]
    assert [name for name, target in BUILT_IN.items() if target.runs(Framework.PYT)] == ["docker", "local"]
    both = Target("x", "", sees_host_paths=True, needs_image=False, networks=NetworkKind.ANY)
    assert both.runs(Framework.EMBEDDED) and both.runs(Framework.TF1)
    assert (default_target(Framework.EMBEDDED).name, default_target(Framework.TF2).name) == (
        "embedded",
        "docker",
    )


SETTINGS = Target(
    "lsf", "", sees_host_paths=True, needs_image=False,
    settings={
        "queue": Setting(str, "the name of a queue"),
        "hours": Setting(float, "a number above 0", lambda hours: hours > 0),
        "nodes": Setting(int, "a whole number"),
    },
    check=lambda found: (
        [SettingProblem("wrong-value", "too long", ("hours",))] if found.get("hours") == 9 else []
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({"queue": "gpu", "hours": 2, "nodes": 1}, []),
        ({"hours": 9}, [("wrong-value", "too long", ("hours",), None, False)]),
        ({"hours": 9, "nodes": "2"}, [("wrong-type", '"backend_options.nodes" must be a whole number, not "2"', ("nodes",), None, False)]),
        ({"nodes": True}, [("wrong-type", '"backend_options.nodes" must be a whole number, not true', ("nodes",), None, False)]),
        ({"hours": "2"}, [("wrong-type", '"backend_options.hours" must be a number above 0, not "2"', ("hours",), None, False)]),
        ({"hours": 2.5}, []),
        ({"nodes": 1.0}, [("wrong-type", '"backend_options.nodes" must be a whole number, not the number 1.0', ("nodes",), None, False)]),
        ({"hours": 0}, [("wrong-value", '"backend_options.hours" must be a number above 0, not the number 0', ("hours",), None, False)]),
        ({"queue": None}, [("wrong-type", '"backend_options.queue" must be the name of a queue, not nothing', ("queue",), None, False)]),
        ({"queu": "x"}, [("unknown-key", 'the backend "lsf" has no setting "queu"', ("queu",), 'did you mean "queue"?', True)]),
    ],
)  # fmt: skip
def test_settings_are_checked_one_by_one(settings: dict[str, object], problems: list[object]) -> None:
    found = SETTINGS.check_settings(settings)
    assert [(one.code, one.message, one.path, one.hint, one.of_key) for one in found] == problems


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "nothing"), (False, "false"), (1.5, "the number 1.5"), ([1], "a list"), ({}, "a mapping")],
)
def test_a_wrong_setting_is_described(value: object, shown: str) -> None:
    (problem,) = SETTINGS.check_settings({"queue": value})
    assert problem.message == f'"backend_options.queue" must be the name of a queue, not {shown}'


def test_a_long_setting_is_shortened() -> None:
    (problem,) = SETTINGS.check_settings({"nodes": "\x1b" + "x" * 100})
    assert problem.message == f'"backend_options.nodes" must be a whole number, not "\ufffd{"x" * 59}"'


def test_the_limits_that_a_run_may_have() -> None:
    assert {one.value: one.meaning for one in Resource} == {
        "nodes": "the nodes",
        "cpus": "the CPUs",
        "memory": "the memory",
        "time": "the time",
    }
    assert BUILT_IN["docker"].resources == {Resource.CPUS, Resource.MEMORY}
    assert not BUILT_IN["local"].resources and not BUILT_IN["embedded"].resources


def test_what_planning_knows_of_the_built_in_ones() -> None:
    facts = {
        name: (one.sees_host_paths, one.needs_image, one.gpus, one.files) for name, one in BUILT_IN.items()
    }
    assert facts == {
        "docker": (False, True, GpuSource.LEASED, Files.HERE),
        "local": (True, False, GpuSource.LEASED, Files.HERE),
        "embedded": (True, False, GpuSource.LEASED, Files.HERE),
    }


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_built_in_ones_take_no_settings(name: str) -> None:
    (problem,) = BUILT_IN[name].check_settings({"niceness": 3})
    assert problem.message == f'the backend "{name}" has no setting "niceness"'
    assert problem.hint == "it takes none: remove the key"


def test_the_table_has_the_built_in_names() -> None:
    assert (*BUILT_IN, "slurm", "kubernetes", "docker-ssh") == BUILT_IN_NAMES
    assert [target_of(name).name for name in BUILT_IN_NAMES] == [*BUILT_IN_NAMES]


def test_listing_names_is_light() -> None:
    code = (
        "import sys; from taorunner.target_names import target_names; target_names();"
        "print(sorted({'importlib.metadata', 'dataclasses', 'inspect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def comparisons_with_names(tree: ast.AST) -> Iterator[int]:
    """Lines that compare something with a backend's name, or with a collection that holds one.

    What is handed to a function (``which("docker")``) is no comparison.
    """
    for node in ast.walk(tree):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.match_case) and isinstance(node.pattern, ast.MatchValue):
            sides = [node.pattern.value]
        for side in sides:
            if isinstance(side, ast.Call):
                continue
            named = {part.value for part in ast.walk(side) if isinstance(part, ast.Constant)}
            if named & set(BUILT_IN_NAMES):
                yield side.lineno


def test_no_other_module_compares_with_a_backends_name() -> None:
    found = [
        f"{name}:{line}"
        for file in sorted(SOURCE.rglob("*.py"))
        if not (name := file.relative_to(SOURCE).as_posix()).startswith(("backends/", "targets.py"))
        for line in comparisons_with_names(ast.parse(file.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "backend == 'docker'",
        "x not in (None, 'embedded')",
        "f(a) != 'local' and b",
        "y in {'local': 1}",
        "backend == 'slurm'",
    ],
)
def test_the_search_sees_such_a_comparison(line: str) -> None:
    assert list(comparisons_with_names(ast.parse(line))) == [1]
