"""A run on this machine is not started where links in its results would lead it elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.planning.checks.paths.linked_results import CODE, linked_results
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import plan_action
from taorunner.project.workspace import Workspace


@pytest.fixture
def results(workspace_factory: Callable[..., Path], tmp_path: Path) -> Path:
    """The results folder, which the user made a link to another disk."""
    entry = {"head": "dino", "dataset": "d", "release": "7.0.1"}
    root = workspace_factory(
        {"experiments": {"e1": {**entry, "backend": "local"}, "e2": entry}},
        data={"d/a.txt": ""},
        specs={f"{name}/train.yaml": "results_dir: $results_dir\n" for name in ("e1", "e2")},
    )
    (tmp_path / "disk/train").mkdir(parents=True)
    folder = root / "projects/example_01/models/e1"
    folder.symlink_to(tmp_path / "disk")
    folder.with_name("e2").symlink_to(tmp_path / "disk")
    return folder


def refused(results: Path, experiment: str = "e1") -> list[str]:
    workspace = Workspace(results.parents[3])
    caller = Caller(1, 1, (), "ada", {"HOME": "/nowhere"})
    planned = plan_action(
        workspace, "example_01", ActionRequest("train", (experiment,)), caller,
        lambda name, _: Site(name, workspace.runs_dir / name),
    )  # fmt: skip
    return [finding.message for finding in planned.findings if finding.code == CODE]


def test_a_link_out_of_the_results_is_named_with_where_it_leads(results: Path, tmp_path: Path) -> None:
    (results / "train/status.json").symlink_to(tmp_path / "precious")
    (results / "eval").symlink_to(tmp_path)
    (message,) = refused(results)
    assert message == (
        f'"eval" in the results leads to "{tmp_path}", and 1 other link: a run on this machine would write there'
    )
    assert refused(results, "e2") == [], "a container sees its own files there"


def test_links_within_the_results_and_to_paths_of_a_container_are_no_hindrance(results: Path) -> None:
    (results / "train/model.pth").touch()
    (results / "train/latest.pth").symlink_to("model.pth")
    (results / "train/last.pth").symlink_to("/workspace/projects/example_01/models/e1/train/model.pth")
    (results / "train/loop").symlink_to("loop")
    assert refused(results) == []


def test_what_is_set_aside_before_the_start_leads_nowhere(results: Path, tmp_path: Path) -> None:
    (results / "train/status.json").symlink_to(tmp_path / "precious")
    assert len(list(linked_results(results, ()))) == 1
    for moved in ("train", "train/status.json"):
        assert list(linked_results(results, (results / moved,))) == []
