"""The examples of the docstrings, and those of docs/library.md, are run as they are written."""

from __future__ import annotations

import doctest
import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest

import taorunner
from taorunner.runs.state.store import RunStore

ROOT = Path(__file__).parent.parent.parent
SWEEP = """
sweeps:
  rates:
    base: tiny
    sampler: grid
    epochs: 1
    space:
      train.learning_rate: {choice: [0.004, 0.008]}
"""
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented() -> list[tuple[str, Any]]:
    """Public classes and functions with their public members, by dotted name."""
    found: list[tuple[str, Any]] = []
    for name in taorunner.__all__:
        value = getattr(taorunner, name)
        if not str(getattr(value, "__module__", "")).startswith("taorunner.api"):
            continue
        found.append((name, value))
        for member in vars(value) if inspect.isclass(value) else ():
            if not member.startswith("_"):
                found.append((f"{name}.{member}", inspect.getattr_static(value, member)))
    return found


WITH_EXAMPLES = [name for name, value in documented() if ">>>" in (inspect.getdoc(value) or "")]


def test_every_function_and_class_has_an_example() -> None:
    plain = {"Batch", "PlannedRun"}  # shown by their members, and by ``start`` and ``plan``
    lacking = [
        name for name, value in documented()
        if ("." not in name or inspect.isfunction(value) or isinstance(value, classmethod))
        and name not in (*WITH_EXAMPLES, *plain)
    ]  # fmt: skip
    assert lacking == []


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_an_example_of_a_docstring(name: str, trained: taorunner.Workspace, tmp_path: Path) -> None:
    text = inspect.getdoc(dict(documented())[name])
    assert text is not None
    known: dict[str, Any] = {
        "taorunner": taorunner, "workspace": trained, "folder": trained.path, "new_folder": tmp_path / "new",
        "run": trained.run("tiny"), "batch": batch_of_training(trained),
        "two_epochs": {"train.num_epochs": 2, "train.checkpoint_interval": 1},
    }  # fmt: skip
    if name == "start":  # it adds a run
        known["workspace"] = taorunner.Workspace(shutil.copytree(trained.path, tmp_path / "copy"))
    if name.startswith(("Sweep", "Project.sweep")):
        copy = taorunner.Workspace(shutil.copytree(trained.path, tmp_path / "copy"))
        file = copy.path / "projects/shapes/experiments.yml"
        file.write_text(file.read_text(encoding="utf-8") + SWEEP, encoding="utf-8")
        known |= {"workspace": copy, "sweep": copy.project("shapes").sweep("rates")}
    check(doctest.DocTestParser().get_doctest(text, known, name, None, 0))
    if "sweep" in known:
        assert known["sweep"].wait(timeout_s=120) or name == "Sweep.stop" or not known["sweep"].trials


def test_the_examples_of_the_documentation(tmp_path: Path) -> None:
    page = ROOT / "docs" / "library.md"
    if not page.exists():
        pytest.skip("the documentation is not here: not a checkout")
    known = {"folder": tmp_path / "demo"}
    check(doctest.DocTestParser().get_doctest(page.read_text(), known, page.name, str(page), 0))


def batch_of_training(workspace: taorunner.Workspace) -> taorunner.Batch:
    """The batch of the training, as ``start`` gave it."""
    store = RunStore(workspace.path / ".taorunner")
    record = store.find("tiny")
    return taorunner.Batch(store, record.batch, [record.id])


def check(test: doctest.DocTest) -> None:
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(report)
