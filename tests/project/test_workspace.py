from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taorunner.errors import UsageError, UserFilesError
from taorunner.project.workspace import Workspace, find_project, find_workspace


def test_every_path_has_one_name(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    paths = workspace.project("example_01")
    assert {
        name: getattr(workspace, name).relative_to(tmp_path).as_posix()
        for name in (
            "projects_dir", "repositories_dir", "mounts_file", "state_dir", "runs_dir", "batches_dir", "homes_dir",
            "dry_run_dir", "schema_file",
        )
    } == {
        "projects_dir": "projects", "repositories_dir": "repositories", "mounts_file": ".tao_mounts.json",
        "state_dir": ".taorunner", "runs_dir": ".taorunner/runs", "batches_dir": ".taorunner/batches",
        "homes_dir": ".tao_inside/homes", "dry_run_dir": ".taorunner/dry-run",
        "schema_file": ".taorunner/experiments.schema.json",
    }  # fmt: skip
    assert paths.name == "example_01"
    project = tmp_path / "projects" / "example_01"
    assert [
        paths.data_dir, paths.models_dir, paths.specs_dir, paths.experiments_file, paths.dataset_dir("kitti/train"),
        paths.tfrecords_dir("e1"), paths.results_dir("e1"), paths.spec_dir("e1"),
    ] == [
        project / "data", project / "models", project / "specs", project / "experiments.yml",
        project / "data" / "kitti" / "train", project / "data" / "tfrecords_e1", project / "models" / "e1",
        project / "specs" / "e1",
    ]  # fmt: skip


@pytest.mark.parametrize("marker", ["projects", ".taorunner"])
def test_workspace_is_found_from_a_folder_deep_inside(tmp_path: Path, marker: str) -> None:
    (tmp_path / "ws" / marker).mkdir(parents=True)
    deep = tmp_path / "ws" / "notes" / "a" / "b"
    deep.mkdir(parents=True)
    assert find_workspace(deep, None, {}) == Workspace(tmp_path / "ws")


def test_nearest_workspace_wins(tmp_path: Path) -> None:
    (tmp_path / "projects" / "ws" / "projects" / "p").mkdir(parents=True)
    inner = tmp_path / "projects" / "ws"
    assert find_workspace(inner / "projects" / "p", None, {}) == Workspace(inner)


def test_project_called_projects_is_no_workspace(tmp_path: Path) -> None:
    folder = tmp_path / "ws" / "projects" / "projects" / "data"
    folder.mkdir(parents=True)
    assert find_workspace(folder, None, {}) == Workspace(tmp_path / "ws")


def test_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserFilesError) as error:
        find_workspace(tmp_path, None, {})
    assert error.value.message == f'no workspace here or above: no folder "projects" from "{tmp_path}" up'
    assert error.value.hint == "taorunner init-project NAME makes one; --workspace DIR names another"


def test_option_goes_before_environment_goes_before_folder(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name / "projects").mkdir(parents=True)
    environ = {"TAORUNNER_WORKSPACE": str(tmp_path / "b")}
    assert find_workspace(tmp_path / "c", tmp_path / "a", environ).root.name == "a"
    assert find_workspace(tmp_path / "c", None, environ).root.name == "b"
    assert find_workspace(tmp_path / "c", None, {"TAORUNNER_WORKSPACE": ""}).root.name == "c"


def test_named_workspace_may_be_relative_to_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "projects").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    assert find_workspace(tmp_path / "b", Path("../a"), {}) == Workspace(tmp_path / "a")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, '--workspace: no folder "{}"'),
        (lambda path: path.write_text(""), '--workspace: "{}" is not a folder that can be read'),
        (lambda path: path.mkdir(), '--workspace: "{}" is not a workspace: it has no folder "projects"'),
        (lambda path: path.symlink_to(path), '--workspace: "{}" is not a folder that can be read'),
    ],
    ids=["nothing", "file", "empty folder", "circle of links"],
)
def test_named_workspace_must_be_one(tmp_path: Path, make, message: str) -> None:
    named = tmp_path / "x"
    make(named)
    with pytest.raises(UsageError) as error:
        find_workspace(tmp_path, named, {})
    assert error.value.message == message.format(named)


def test_only_folders_with_good_names_are_projects(workspace: Workspace) -> None:
    for name in ("q", "with blank", ".hidden", "-dash"):
        workspace.project(name).root.mkdir()
    (workspace.projects_dir / "file").touch()
    (workspace.projects_dir / "loop").symlink_to("loop")
    (workspace.projects_dir / "linked").symlink_to("q")
    assert workspace.project_names() == ("linked", "p", "q")


def test_missing_projects_folder_has_no_projects(tmp_path: Path) -> None:
    assert Workspace(tmp_path).project_names() == ()


def test_project_is_found_by_option_folder_environment_and_being_the_only_one(workspace: Workspace) -> None:
    start = workspace.root
    assert find_project(workspace, start, None, {}) == "p"
    for name in ("q", "r"):
        (workspace.project(name).root / "data" / "x").mkdir(parents=True)
    environ = {"TAORUNNER_PROJECT": "r"}
    inside = workspace.project("q").root / "data" / "x"
    assert find_project(workspace, inside, "p", environ) == "p"
    assert find_project(workspace, inside, None, environ) == "q"
    assert find_project(workspace, start, None, environ) == "r"
    with pytest.raises(UsageError) as error:
        find_project(workspace, start, None, {})
    assert (error.value.message, error.value.hint) == (
        "no project named, and there are 3: p, q, r",
        "name one with -p PROJECT",
    )


def test_project_is_found_through_a_link_to_the_workspace(workspace: Workspace, tmp_path: Path) -> None:
    workspace.project("q").root.mkdir()
    (tmp_path / "link").symlink_to(workspace.root)
    assert find_project(workspace, tmp_path / "link" / "projects" / "q", None, {}) == "q"


@pytest.mark.parametrize(
    "name", ["", "../p", "p/..", "/p", "a b", "-p", ".", "..", "p\n", "p\0", "é", "x" * 101, "~", "p;ls"]
)
def test_names_that_a_shell_or_a_path_would_change_are_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(UsageError) as error:
        find_project(workspace, workspace.root, name, {})
    assert "cannot be the name of a project" in error.value.message
    assert "\n" not in error.value.message


def test_path_of_a_project_is_answered_with_its_name(workspace: Workspace) -> None:
    with pytest.raises(UsageError) as error:
        find_project(workspace, workspace.root, "projects/p/", {})
    assert error.value.hint == 'did you mean "p"?'


def test_unknown_project_names_the_nearest(workspace: Workspace) -> None:
    workspace.project("example_01").root.mkdir()
    with pytest.raises(UsageError) as error:
        find_project(workspace, workspace.root, "exmaple_01", {})
    assert error.value.message == f'--project: no project "exmaple_01" in "{workspace.projects_dir}"'
    assert error.value.hint == 'did you mean "example_01"?'


def test_environment_with_an_unknown_project_says_where_it_came_from(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="TAORUNNER_PROJECT: no project"):
        find_project(workspace, workspace.root, None, {"TAORUNNER_PROJECT": "nope"})


def test_empty_workspace_has_no_project(tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    with pytest.raises(UserFilesError, match="no project in"):
        find_project(Workspace(tmp_path), tmp_path, None, {})


def test_completion_may_import_it_without_pydantic_or_yaml() -> None:
    code = (
        "import sys, taorunner.project.workspace\n"
        "print([name for name in ('pydantic', 'ruamel', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_current_folder_that_was_removed_is_reported(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom taorunner.project.workspace import find_workspace\n"
        "os.rmdir(os.getcwd())\n"
        "try:\n    find_workspace(Path('.'), None, {})\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env={**os.environ}
    )
    assert done.stdout.strip() == "UsageError the current folder no longer exists", done.stderr
