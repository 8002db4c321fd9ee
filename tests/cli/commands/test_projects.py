"""``taorunner projects`` lists what a workspace has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from launch_workspaces import good_workspace

from taorunner.cli.app import run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the projects ``p``, of one experiment, and ``q``, of a wrong one more."""
    root = good_workspace(tmp_path / "ws", "rtdetr")
    (root / "projects/q").mkdir()
    content = {
        "experiments": {
            "a": {"head": "dino", "dataset": "x", "description": "first try"},
            "b": {"head": "ssd", "dataset": "x", "gpus": "many"},
        }
    }
    (root / "projects/q/experiments.yml").write_text(json.dumps(content))
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "80")
    return root


def test_projects_with_the_number_of_their_experiments(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["projects"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "project  experiments  networks   datasets",
        "p                  1  rtdetr     parts",
        "q                  2  dino, ssd  x",
    ]


def test_experiments_of_a_project_and_those_with_errors(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["projects", "q"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "project  experiment  network  dataset  description",
        "q        a           dino     x        first try",
        "q        b           ssd               has errors",
    ]


def test_projects_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["projects", "p", "--json"]) == 0
    experiment = {
        "name": "e1", "network": "rtdetr", "release": None, "dataset": "parts", "description": None, "usable": True,
    }  # fmt: skip
    assert json.loads(capsys.readouterr().out) == [
        {"project": "p", "directory": str(root / "projects/p"), "experiments": [experiment]}
    ]


def test_an_unknown_project_and_none_at_all(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["projects", "pp"]) == 2
    assert 'there is no project "pp"' in capsys.readouterr().err
    (root / "projects").rename(root / "away")
    (root / "projects").mkdir()
    assert run(["projects"]) == 0
    assert capsys.readouterr() == ("", "no projects; taorunner init-project NAME makes one\n")
