"""The public names, their documentation and their types."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import taorunner

NAMES = {
    "Batch", "Best", "Comparison", "Event", "Finding", "PlannedRun", "Project", "Run", "RunState", "Sweep",
    "TaorunnerError", "Workspace",
    "__version__", "plan", "start", "validate",
}  # fmt: skip
MEMBERS = {
    "Workspace": {"find", "open", "create_example", "path", "projects", "project", "runs", "run", "compare"},
    "Project": {"path", "experiments", "findings", "sweep", "sweeps"},
    "Sweep": {"best", "is_running", "start", "stop", "trials", "wait"},
    "Run": {
        "path", "project", "experiment", "action", "state", "reason", "epoch", "metrics", "best", "history", "results",
        "checkpoints", "made_from", "log", "stop", "wait",
    },
    "Batch": {"runs", "events", "wait", "stop"},
}  # fmt: skip


def public_functions() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name in sorted(NAMES - {"__version__"}):
        value = getattr(taorunner, name)
        if inspect.isfunction(value):
            found.append((name, value))
        elif value.__module__.startswith("taorunner.api"):
            for member, static in vars(value).items():
                function = getattr(static, "fget", None) or getattr(static, "__func__", static)
                if inspect.isfunction(function) and not member.startswith("_"):
                    found.append((f"{name}.{member}", function))
    return found


def test_the_names_are_these() -> None:
    assert set(taorunner.__all__) == NAMES
    assert set(dir(taorunner)) >= NAMES
    for name, members in MEMBERS.items():
        assert {member for member in vars(getattr(taorunner, name)) if not member.startswith("_")} == members
    with pytest.raises(AttributeError, match="no attribute 'Wrokspace'"):
        _ = taorunner.Wrokspace


def test_a_type_checker_sees_the_same_names() -> None:
    """What is imported for type checkers is what ``__getattr__`` gives."""
    tree = ast.parse(Path(taorunner.__file__).read_text())
    seen = {
        (alias.asname or alias.name, node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("taorunner.")
        for alias in node.names
    }
    homes = {(name, module) for name, module in taorunner._HOMES.items()}
    assert seen == homes | {("__version__", "taorunner.version")}
    assert (Path(taorunner.__file__).parent / "py.typed").is_file()


def test_every_class_has_a_docstring() -> None:
    classes = [name for name in NAMES if inspect.isclass(getattr(taorunner, name))]
    assert [name for name in classes if not vars(getattr(taorunner, name)).get("__doc__")] == []


@pytest.mark.parametrize("name", [name for name, _ in public_functions()])
def test_every_function_is_documented_and_typed(name: str) -> None:
    function = dict(public_functions())[name]
    assert inspect.getdoc(function), name
    wanted = {one for one in inspect.signature(function).parameters if one not in ("self", "cls")}
    assert set(get_type_hints(function)) == {*wanted, "return"}


def test_importing_costs_next_to_nothing() -> None:
    """Two modules of ours and nothing else."""
    code = (
        "import sys; before = set(sys.modules); import taorunner; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["taorunner", "taorunner.version"]
