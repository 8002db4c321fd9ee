"""The examples are what the program accepts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.clusters.cluster_file import load_clusters
from taorunner.project.load import load_project
from taorunner.project.mounts_file import read_mounts_file
from taorunner.project.workspace import Workspace

ROOT = Path(__file__).parent.parent


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy: what ``validate`` keeps does not belong in the checkout."""
    return copied("workspace", tmp_path)


def copied(name: str, folder: Path) -> Path:
    source = ROOT / "examples" / name
    if not source.is_dir():
        pytest.skip("the examples are not here: not a checkout")
    return shutil.copytree(source, folder / name)


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


def test_the_example_of_clusters_lacks_nothing_but_data(tmp_path: Path) -> None:
    workspace = Workspace(copied("clusters", tmp_path))
    read = load_clusters(workspace, {})
    assert (read.findings, {name: one.backend for name, one in read.usable.items()}) == (
        (), {"box": "docker-ssh", "desk": "docker", "dgx": "slurm", "here": "local"},
    )  # fmt: skip
    project = workspace.project_names()[0]
    experiment = next(iter(load_project(workspace, project, {}).experiments))
    for name in read.usable:
        request = ActionRequest("train", (experiment,), cluster=name, gpu_ids=())
        found = plan_action(workspace, project, request, Caller(1000, 1000, (), "ada", {})).findings
        assert {one.code for one in found if one.is_error} == {"missing-dataset"}, name
