"""A wrong value of a variable is reported at the variable, however many specs use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from launch_workspaces import good_workspace

from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace

CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})


def wanting(root: Path, value: object, written: str) -> Path:
    """A workspace in which three specs take their number of classes from the variable ``n``; its experiments.yml."""
    good_workspace(root, "rtdetr")
    file = root / "projects/p/experiments.yml"
    content = json.loads(file.read_text())
    content["experiments"]["e1"]["vars"] = {"n": value}
    file.write_text(json.dumps(content, indent=1))
    spec = root / "projects/p/specs/e1/train.yaml"
    text = spec.read_text().replace("num_classes: 3", f"num_classes: {written}")
    for action in ("train", "evaluate", "export"):
        spec.with_name(f"{action}.yaml").write_text(text)
    return file


@pytest.mark.parametrize("written", ["$n", "${n}", '"$n"', "$n  # of the data"])
def test_one_finding_at_the_definition_for_all_specs(written: str, tmp_path: Path) -> None:
    file = wanting(tmp_path / "ws", "abc", written)
    line = next(number for number, one in enumerate(file.read_text().splitlines(), 1) if '"n"' in one)

    found = [one for one in validate_projects(Workspace(tmp_path / "ws"), ["p"], {}) if one.is_error]
    planned = plan_action(Workspace(tmp_path / "ws"), "p", ActionRequest("train", ("e1",)), CALLER).findings

    wanted = [("wrong-type", file, line, '$n: dataset.num_classes takes a whole number, this is "abc"')]
    for findings in (found, [one for one in planned if one.is_error]):
        assert [(one.code, one.file, one.line, one.message) for one in findings] == wanted


def test_a_value_that_is_more_than_a_variable_is_reported_in_the_spec(tmp_path: Path) -> None:
    wanting(tmp_path / "ws", "abc", "${n}3")
    found = [one for one in validate_projects(Workspace(tmp_path / "ws"), ["p"], {}) if one.is_error]
    assert sorted(one.file.name for one in found if one.file) == [
        "evaluate.yaml",
        "export.yaml",
        "train.yaml",
    ]
