"""What a container may write, and what it does not see at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.container_options import Mount
from taorunner.errors import Severity
from taorunner.planning.inputs.run_mounts import hidden_state, home_of, state_findings
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, plan_action
from taorunner.project.workspace import Workspace

SPECS = {"e1/train.yaml": "results_dir: /r\n", "e1/convert.yaml": "results_dir: /r\n"}


@pytest.fixture
def make(workspace_factory: Callable[..., Path]) -> Callable[..., Workspace]:
    def made(head: str = "dino", mounts: list[dict[str, str]] | None = None) -> Workspace:
        files = {} if mounts is None else {".tao_mounts.json": json.dumps({"Mounts": mounts})}
        entry = {"head": head, "dataset": "kitti"}
        root = workspace_factory(
            {"experiments": {"e1": entry, "e2": entry}}, data={"kitti/a.txt": ""}, specs=SPECS, files=files
        )
        return Workspace(root)

    return made


def planned(workspace: Workspace, action: str = "train") -> Planned:
    caller = Caller(1, 1, (), "ada", {"HOME": "/nowhere"})

    def site(name: str, _action: str) -> Site:
        return Site(name, workspace.runs_dir / name)

    return plan_action(workspace, "example_01", ActionRequest(action, ("e1",)), caller, site)


def mounts_of(workspace: Workspace, action: str = "train") -> tuple[Mount, ...]:
    found = planned(workspace, action)
    assert [finding for finding in found.findings if finding.is_error] == []
    (item,) = found.items
    return item.plan.mounts


def findings(workspace: Workspace, action: str = "train") -> list[tuple[str, Severity]]:
    codes = ("results-outside", "data-outside", "state-mounted")
    return [(each.code, each.severity) for each in planned(workspace, action).findings if each.code in codes]


def own(workspace: Workspace) -> tuple[Mount, ...]:
    return (
        Mount(workspace.homes_dir / "nvcr.io+nvidia+tao+tao-toolkit", "/taorunner/home"),
        Mount(workspace.runs_dir / "e1" / "input", "/taorunner/run", read_only=True),
    )


@pytest.mark.parametrize(
    ("image", "folder"),
    [
        ("tao", "docker.io+library+tao"),
        ("docker.io/library/tao:5.5.0", "docker.io+library+tao"),
        ("[::1]:5000/a/b_c:1", "[@@1]@5000+a+b_c"),
        ("nvcr.io/nvidia/tao/tao-toolkit:7.0.1", "nvcr.io+nvidia+tao+tao-toolkit"),
        ("nvcr.io/nvidia/tao/tao-toolkit@sha256:" + "a" * 64, "nvcr.io+nvidia+tao+tao-toolkit"),
        ("sha256:" + "a" * 64, "sha256@" + "a" * 64),
        ("/shared/../tao.sqsh", "docker.io++shared+..+tao.sqsh"),
        ("..", "docker.io+library+.."),
        ("r/" + "a" * 250, "844c2c"),
        (None, "docker.io+library+none"),
    ],
)
def test_images_of_one_repository_share_a_home_and_no_others(
    tmp_path: Path, image: str | None, folder: str
) -> None:
    workspace = Workspace(tmp_path)
    home = home_of(workspace, image)
    assert (home.parent, home.name[: len(folder)]) == (workspace.homes_dir, folder)


@pytest.mark.parametrize(
    ("head", "action", "writes"), [("dino", "train", False), ("deformable_detr", "convert", True)]
)
def test_a_run_writes_its_own_results_and_the_data_it_makes(
    make: Callable[..., Workspace], head: str, action: str, writes: bool
) -> None:
    workspace = make(head)
    project = workspace.projects_dir / "example_01"
    assert mounts_of(workspace, action) == (
        Mount(workspace.projects_dir, "/workspace/projects", read_only=True),
        Mount(workspace.projects_dir, "/workspace/experiments", read_only=True),
        Mount(workspace.repositories_dir, "/workspace/repositories", read_only=True),
        Mount(project / "data", "/workspace/projects/example_01/data", not writes),
        Mount(project / "data", "/workspace/experiments/example_01/data", not writes),
        Mount(project / "models/e1", "/workspace/projects/example_01/models/e1"),
        Mount(project / "models/e1", "/workspace/experiments/example_01/models/e1"),
        *own(workspace),
    )


def test_a_mounts_file_is_kept_to_the_letter_but_for_our_own_folder(make: Callable[..., Workspace]) -> None:
    workspace = make(mounts=[{"source": ".", "destination": "/w"}, {"source": "..", "destination": "/up"}])
    name = workspace.root.name
    assert mounts_of(workspace) == (
        Mount(workspace.root, "/w"),
        Mount(workspace.root.parent, "/up"),
        Mount(workspace.hidden_dir, "/w/.taorunner", read_only=True),
        Mount(workspace.hidden_dir, "/w/.tao_inside", read_only=True),
        Mount(workspace.hidden_dir, f"/up/{name}/.taorunner", read_only=True),
        Mount(workspace.hidden_dir, f"/up/{name}/.tao_inside", read_only=True),
        *own(workspace),
    )


def test_a_mounts_file_that_shows_the_project_read_only_lets_a_run_write_its_own_results(
    make: Callable[..., Workspace],
) -> None:
    mounts = [
        {"source": "projects", "destination": "/p", "read_only": True},
        {"source": "repositories", "destination": "/r"},
    ]
    workspace = make("deformable_detr", mounts=mounts)
    project = workspace.projects_dir / "example_01"
    assert mounts_of(workspace, "convert") == (
        Mount(workspace.projects_dir, "/p", read_only=True),
        Mount(workspace.repositories_dir, "/r"),
        Mount(project / "data", "/p/example_01/data"),
        Mount(project / "models/e1", "/p/example_01/models/e1"),
        *own(workspace),
    )


def test_a_part_of_the_project_that_a_mounts_file_shows_read_only_stays_so(
    make: Callable[..., Workspace],
) -> None:
    shown = [
        {"source": "projects", "destination": "/p"},
        {"source": "projects/example_01/data", "destination": "/d", "read_only": True},
    ]
    workspace = make("deformable_detr", mounts=shown)
    assert mounts_of(workspace, "convert") == (
        Mount(workspace.projects_dir, "/p"),
        Mount(workspace.projects_dir / "example_01/data", "/d", read_only=True),
        *own(workspace),
    )


@pytest.mark.parametrize("source", [".taorunner", ".taorunner/runs"])
def test_our_own_folder_is_mounted_by_no_file(make: Callable[..., Workspace], source: str) -> None:
    workspace = make(
        mounts=[{"source": ".", "destination": "/w"}, {"source": source, "destination": "/state"}]
    )
    (workspace.root / source).mkdir(parents=True)
    assert findings(workspace) == [("state-mounted", Severity.ERROR)]


def test_our_own_folder_is_found_behind_links(make: Callable[..., Workspace], tmp_path: Path) -> None:
    workspace = make()
    workspace.state_dir.mkdir()
    (tmp_path / "link").symlink_to(workspace.root)
    shown = [Mount(tmp_path / "link", "/w"), Mount(tmp_path / "link/.taorunner/runs", "/runs")]
    assert hidden_state(workspace, shown) == (
        Mount(workspace.hidden_dir, "/w/.taorunner", read_only=True),
        Mount(workspace.hidden_dir, "/w/.tao_inside", read_only=True),
    )
    (finding,) = state_findings(workspace, shown)
    assert "link/.taorunner/runs" in finding.message


def test_a_link_in_the_place_of_our_own_folder_is_not_shown(
    make: Callable[..., Workspace], tmp_path: Path
) -> None:
    """It could be replaced from inside: nothing can be mounted over the link itself."""
    workspace = make(mounts=[{"source": ".", "destination": "/w"}])
    (tmp_path / "elsewhere").mkdir()
    workspace.state_dir.symlink_to(tmp_path / "elsewhere")
    assert findings(workspace) == [("state-mounted", Severity.ERROR)]


def test_results_may_be_a_link_within_models_only(make: Callable[..., Workspace]) -> None:
    workspace = make()
    models = workspace.projects_dir / "example_01/models"
    (models / "e1.first").mkdir()
    (models / "e1").symlink_to("e1.first")
    assert Mount(models / "e1.first", "/workspace/projects/example_01/models/e1.first") in mounts_of(
        workspace
    )
    for elsewhere in ("../specs/e1", "../../example_02", "."):
        (models / "e1").unlink()
        (models / "e1").symlink_to(elsewhere)
        assert findings(workspace) == [("results-outside", Severity.ERROR)], elsewhere


def test_data_behind_a_link_is_not_written(make: Callable[..., Workspace]) -> None:
    workspace = make("deformable_detr")
    data = workspace.projects_dir / "example_01/data"
    data.rename(workspace.projects_dir / "example_02")
    data.symlink_to("../example_02")
    assert findings(workspace, "convert") == [("data-outside", Severity.WARNING)]
    assert [mount for mount in mounts_of(workspace, "convert") if mount.source == data] == []
