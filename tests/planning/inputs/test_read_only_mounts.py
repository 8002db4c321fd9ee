"""``data/`` is read-only where an action only reads it, and writable in a project that is not where it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.container_options import Mount
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.project.workspace import Workspace


def data_mounts(workspace: Workspace, action: str) -> list[Mount]:
    caller = Caller(1, 1, (), "ada", {"HOME": "/nowhere"})
    planned = plan_action(workspace, "example_01", ActionRequest(action, ("e1",)), caller)
    (item,) = planned.items
    return [
        mount
        for mount in item.plan.mounts
        if mount.source.name
        not in ("projects", "repositories", "nvcr.io+nvidia+tao+tao-toolkit", "input", "e1")
    ]


@pytest.fixture
def make(workspace_factory: Callable[..., Path]) -> Callable[..., Workspace]:
    def made(head: str, spec: str) -> Workspace:
        entry = {"head": head, "dataset": "kitti"}
        return Workspace(
            workspace_factory(
                {"experiments": {"e1": entry}},
                data={"kitti/a.txt": ""},
                specs={f"e1/{spec}": "results_dir: /r\n"},
            )
        )

    return made


def test_training_sees_its_data_read_only_under_both_names(make: Callable[..., Workspace]) -> None:
    workspace = make("dino", "train.yaml")
    data = workspace.projects_dir / "example_01/data"
    assert data_mounts(workspace, "train") == [
        Mount(data, "/workspace/projects/example_01/data", read_only=True),
        Mount(data, "/workspace/experiments/example_01/data", read_only=True),
    ]


@pytest.mark.parametrize(
    ("head", "action", "spec"),
    [("deformable_detr", "convert", "convert.yaml"), ("classification_pyt", "train", "train.yaml")],
)
def test_what_writes_into_data_may(make: Callable[..., Workspace], head: str, action: str, spec: str) -> None:
    workspace = make(head, spec)
    data = workspace.projects_dir / "example_01/data"
    assert data_mounts(workspace, action) == [
        Mount(data, "/workspace/projects/example_01/data"),
        Mount(data, "/workspace/experiments/example_01/data"),
    ]


def test_a_mounts_file_is_kept_to_the_letter(make: Callable[..., Workspace]) -> None:
    workspace = make("dino", "train.yaml")
    workspace.mounts_file.write_text(
        '{"Mounts": [{"source": "projects", "destination": "/workspace/projects"}]}'
    )
    assert data_mounts(workspace, "train") == []


def test_a_link_is_not_followed_out_of_the_mounts(make: Callable[..., Workspace]) -> None:
    workspace = make("dino", "train.yaml")
    data = workspace.projects_dir / "example_01/data"
    data.rename(workspace.projects_dir / "example_02")
    data.symlink_to("../example_02")
    assert data_mounts(workspace, "train") == []
