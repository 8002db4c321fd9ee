"""A mounts file that lets containers change what this host acts on is a warning, with what follows from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.planning.checks.mount_checks import mount_findings
from taorunner.planning.validate import validate_projects
from taorunner.project.mounts import load_mounts
from taorunner.project.workspace import Workspace


@pytest.fixture
def make(workspace_factory: Callable[..., Path]) -> Callable[..., Workspace]:
    def made(*mounts: dict[str, object]) -> Workspace:
        entry = {"head": "dino", "dataset": "d"}
        return Workspace(
            workspace_factory(
                {"experiments": {"e1": entry}}, data={"d/a.txt": ""}, specs={"e1/train.yaml": "results_dir: $results_dir\n"},
                files={".tao_mounts.json": json.dumps({"Mounts": mounts}), "networks/": ""},
            )
        )  # fmt: skip

    return made


def said(workspace: Workspace, home: str = "/nowhere") -> list[str]:
    environ = {"HOME": home}
    found = [*mount_findings(workspace, load_mounts(workspace, environ), environ)]
    assert all(one.file == workspace.mounts_file and one.line == 1 and one.column for one in found)
    return [one.message for one in found if one.code == "mount-opens-host"]


def test_a_workspace_that_is_writable_names_what_a_container_can_change(
    make: Callable[..., Workspace],
) -> None:
    workspace = make({"source": ".", "destination": "/w"})
    assert said(workspace) == [
        "a container can change experiments.yml of example_01, specs of example_01, networks and .tao_mounts.json through "
        '"/w": what it writes there runs as you'
    ]
    (found,) = (
        one
        for one in validate_projects(workspace, (), {"HOME": "/nowhere"})
        if one.code == "mount-opens-host"
    )
    assert (found.severity.value, found.line, found.column) == ("warning", 1, 24)


def test_what_is_read_only_or_holds_results_alone_is_fine(make: Callable[..., Workspace]) -> None:
    workspace = make(
        {"source": ".", "destination": "/w", "read_only": True},
        {"source": "projects/example_01/models", "destination": "/models"},
        {"source": "projects/example_01/data", "destination": "/data"},
        {"source": "repositories", "destination": "/repositories"},
    )
    assert said(workspace) == []


def test_specs_the_program_and_the_home_folder_count(make: Callable[..., Workspace], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".bashrc").touch()
    workspace = make(
        {"source": "projects/example_01/specs/e1", "destination": "/specs"},
        {"source": str(tmp_path / "home"), "destination": "/home/me"},
        {"source": sys.prefix, "destination": "/python"},
    )
    specs, home, python = said(workspace, str(tmp_path / "home"))
    assert specs.startswith('a container can change specs of example_01 through "/specs": ')
    assert home.startswith('a container can change ~/.bashrc through "/home/me": ')
    assert "its Python" in python
