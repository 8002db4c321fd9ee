"""The examples are what the program accepts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from taorunner.planning.validate import validate_projects
from taorunner.project.mounts_file import read_mounts_file
from taorunner.project.workspace import Workspace

ROOT = Path(__file__).parent.parent


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy: what ``validate`` keeps does not belong in the checkout."""
    folder = ROOT / "examples" / "workspace"
    if not folder.is_dir():
        pytest.skip("the examples are not here: not a checkout")
    return shutil.copytree(folder, tmp_path / "workspace")


def test_the_example_workspace_lacks_nothing_but_weights_and_data(examples: Path) -> None:
    workspace = Workspace(examples)
    findings = validate_projects(workspace, workspace.project_names(), {})
    assert {(finding.severity.value, finding.code) for finding in findings} == {
        ("error", "pretrained-missing"),
        ("error", "missing-input"),
        ("warning", "missing-input"),
        ("info", "not-made-yet"),
    }


def test_the_example_mounts_file_is_accepted(tmp_path: Path) -> None:
    file = ROOT / ".tao_mounts.example.json"
    if not file.exists():
        pytest.skip("the example is not here: not a checkout")
    for name in ("projects", "repositories"):
        (tmp_path / "tao" / name).mkdir(parents=True)
    read = read_mounts_file(file, {"HOME": str(tmp_path)}, tmp_path)
    assert read.findings == ()
    assert [one.destination for one in read.mounts] == [
        "/workspace/projects",
        "/workspace/experiments",
        "/workspace/repositories",
    ]
