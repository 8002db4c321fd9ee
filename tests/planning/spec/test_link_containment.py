"""A spec that is a link to somewhere private never gets into a container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.planning.model.folder_listing import FolderListing
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.planning.spec.link_containment import outside_link
from taorunner.planning.validate import validate_projects
from taorunner.project.mounts import MountEntry, Mounts, default_mounts
from taorunner.project.workspace import Workspace

PRIVATE = "results_dir: canary-4711\n"


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Workspace:
    entry = {"head": "dino", "dataset": "kitti"}
    return Workspace(
        workspace_factory({"experiments": {"e1": entry}}, data={"kitti/": ""}, specs={"e1/": ""})
    )


@pytest.mark.parametrize("through", ["file", "folder", "two links"])
def test_a_spec_that_leads_out_is_refused_and_never_read(
    workspace: Workspace, tmp_path: Path, through: str
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "train.yaml").write_text(PRIVATE)
    specs = workspace.project("example_01").spec_dir("e1")
    if through == "folder":
        specs.rmdir()
        specs.symlink_to(private)
    elif through == "file":
        (specs / "train.yaml").symlink_to(private / "train.yaml")
    else:
        (workspace.root / "way").symlink_to(private)
        (specs / "train.yaml").symlink_to("../../../../way/train.yaml")
    environ = {"HOME": str(tmp_path)}
    found = validate_projects(workspace, ["example_01"], environ)
    planned = plan_action(
        workspace, "example_01", ActionRequest("train", ("e1",)), Caller(1, 1, (), "ada", environ)
    )
    for findings in (found, planned.findings):
        (error,) = (one for one in findings if one.is_error)
        assert (error.code, error.file, error.message) == (
            "link-outside",
            specs / "train.yaml",
            f'"train.yaml" leads to "{private}/train.yaml", outside the workspace and its mounts',
        )
        assert "canary" not in repr(findings)
    assert planned.items == ()


def test_links_within_the_workspace_and_into_mounts_are_fine(workspace: Workspace, tmp_path: Path) -> None:
    shared = workspace.root / "shared.yaml"
    shared.write_text("results_dir: $results_dir\n")
    spec = workspace.project("example_01").spec_dir("e1") / "train.yaml"
    spec.symlink_to(shared)
    assert outside_link(spec, workspace, default_mounts(workspace)) is None
    spec.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "train.yaml").write_text("a: 1\n")
    spec.symlink_to(elsewhere / "train.yaml")
    assert outside_link(spec, workspace, default_mounts(workspace)) is not None
    assert outside_link(spec, workspace, Mounts((MountEntry(elsewhere, "/specs"),))) is None


def test_how_one_comes_to_the_workspace_is_ones_own_affair(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(workspace.root)
    there = Workspace(tmp_path / "way")
    spec = there.project("example_01").spec_dir("e1") / "train.yaml"
    spec.write_text("a: 1\n")
    assert outside_link(spec, there, default_mounts(there)) is None


def test_a_listing_of_folders_gives_the_same_for_many_files(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = workspace.project("example_01").spec_dir("e2")
    folder.symlink_to(elsewhere)
    fine = workspace.project("example_01").spec_dir("e1")
    (fine / "train.yaml").write_text("a: 1\n")
    (fine / "evaluate.yaml").symlink_to(elsewhere / "evaluate.yaml")
    mounts, listing = default_mounts(workspace), FolderListing()
    for name in ("train.yaml", "evaluate.yaml"):
        (elsewhere / name).write_text("a: 1\n")
        assert outside_link(folder / name, workspace, mounts, listing) is not None
    assert outside_link(fine / "train.yaml", workspace, mounts, listing) is None
    assert outside_link(fine / "evaluate.yaml", workspace, mounts, listing) is not None


def test_a_link_into_a_default_folder_that_does_not_exist_yet_is_fine(
    workspace: Workspace, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    spec = workspace.project("example_01").spec_dir("e1") / "train.yaml"
    spec.symlink_to(later / "train.yaml")
    assert outside_link(spec, workspace, Mounts(())) is not None
    assert outside_link(spec, workspace, Mounts((), absent=(MountEntry(later, "/later"),))) is None
