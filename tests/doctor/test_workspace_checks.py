"""Mounts that cannot work and files that belong to root: found, and repaired by the command of the hint."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from planted import ANOTHER, IMAGE_5, Place, StandInEngine, as_another_user, codes, look

from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Finding, Severity
from taorunner.project.workspace import Workspace

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
EXPERIMENTS = "experiments:\n  e: {head: dssd, dataset: d}\n"


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Workspace:
    return Workspace(workspace_factory(EXPERIMENTS))


def mounts_file(workspace: Workspace, *mounts: tuple[Path | str, str]) -> None:
    body = {"Mounts": [{"source": str(source), "destination": target} for source, target in mounts]}
    workspace.mounts_file.write_text(json.dumps(body))


def test_without_a_workspace_only_the_machine_is_looked_at(place: Place) -> None:
    assert codes(look("workspace", place.machine())) == [(Severity.INFO, "workspace")]
    assert look("mounts", place.machine()) == look("owners", place.machine()) == []


def test_what_the_experiments_need(place: Place, workspace: Workspace) -> None:
    needs = Needs(is_known=True, images={IMAGE_5: ("p/e",)})
    text = f'workspace "{workspace.root}" needs {IMAGE_5}'
    assert look("workspace", place.machine(workspace=workspace, needs=needs)) == [
        Finding(Severity.OK, "workspace", text)
    ]


def test_projects_that_cannot_be_read_are_validates_to_tell(place: Place, workspace: Workspace) -> None:
    (found,) = look("workspace", place.machine(workspace=workspace, needs=Needs(unreadable=("example_01",))))
    assert (found.severity, found.hint) == (Severity.WARNING, "taorunner validate example_01")


def test_the_usual_mounts(place: Place, workspace: Workspace) -> None:
    assert look("mounts", place.machine(workspace=workspace)) == [
        Finding(Severity.OK, "mounts", "3 mounts of the workspace itself")
    ]


def test_a_missing_source_is_made_by_the_repair(place: Place, workspace: Workspace, tmp_path: Path) -> None:
    mounts_file(workspace, (workspace.projects_dir, "/workspace/projects"), (tmp_path / "a b", "/data"))
    machine = place.machine(workspace=workspace)
    (found,) = look("mounts", machine)
    assert (found.severity, found.code, found.file) == (
        Severity.ERROR,
        "missing-source",
        workspace.mounts_file,
    )
    assert (found.line, found.column) == (
        1,
        workspace.mounts_file.read_text().index(f'"{tmp_path}/a b"') + 1,
    )
    place.paste(found.hint)
    assert codes(look("mounts", machine)) == [(Severity.OK, "mounts")]


def test_a_hostile_path_is_only_a_path_when_the_repair_is_pasted(
    place: Place, workspace: Workspace, tmp_path: Path
) -> None:
    hostile = tmp_path / f"$(touch {tmp_path.name}-was-run)`touch x`'; touch y #"
    mounts_file(workspace, (workspace.projects_dir, "/workspace/projects"), (hostile, "/data"))
    machine = place.machine(workspace=workspace)
    (found,) = look("mounts", machine)
    place.paste(found.hint)
    assert hostile.is_dir()
    assert codes(look("mounts", machine)) == [(Severity.OK, "mounts")]


def test_a_mount_in_a_mount_needs_a_folder(place: Place, workspace: Workspace, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mounts_file(
        workspace,
        (workspace.projects_dir, "/workspace/projects"),
        (data, "/workspace/projects/example_01/data/big"),
    )
    machine = place.machine(workspace=workspace)
    (found,) = look("mounts", machine)
    assert (found.severity, found.code) == (Severity.WARNING, "mount-nested")
    place.paste(found.hint)
    assert (workspace.projects_dir / "example_01" / "data" / "big").is_dir()
    assert codes(look("mounts", machine)) == [(Severity.OK, "mounts")]


@pytest.mark.parametrize(("options", "is_closed"), [("rw,user_id=0", True), ("rw,allow_other", False)])
def test_a_file_system_that_root_may_not_see(
    options: str, is_closed: bool, place: Place, workspace: Workspace
) -> None:
    place.file(
        "proc/self/mounts", f"/dev/sda1 / ext4 rw 0 0\nhost: {workspace.root} fuse.sshfs {options} 0 0\n"
    )
    found = codes(look("mounts", place.machine(workspace=workspace)))
    assert ((Severity.ERROR, "mount-closed") in found) is is_closed


def test_docker_from_snap_sees_only_home(
    place: Place, workspace: Workspace, stand_in_engine: StandInEngine
) -> None:
    stand_in_engine.info["DockerRootDir"] = "/var/snap/docker/common/var-lib-docker"
    found = look("mounts", place.machine(workspace=workspace))
    assert {code for _, code in codes(found)} == {"mount-snap"}


@only_root
def test_results_that_cannot_be_written_are_given_back_by_the_repair(
    place: Place, workspace: Workspace
) -> None:
    found = as_another_user(place, "mounts", workspace=workspace)
    models = workspace.project("example_01").models_dir
    (about_models,) = (finding for finding in found if str(models) in finding.message)
    assert (about_models.severity, about_models.code) == (Severity.ERROR, "mount-not-writable")
    place.program("sudo", 'exec "$@"')
    place.paste(about_models.hint)
    assert (models.stat().st_uid, models.stat().st_gid) == (ANOTHER, ANOTHER)
    again = as_another_user(place, "mounts", workspace=workspace)
    assert not any(str(models) in finding.message for finding in again)


@only_root
def test_a_source_that_i_may_not_read(place: Place, workspace: Workspace, tmp_path: Path) -> None:
    for path in (workspace.root, *workspace.root.rglob("*")):
        os.chown(path, ANOTHER, ANOTHER)
    closed = tmp_path / "closed data"
    closed.mkdir()
    mounts_file(workspace, (workspace.projects_dir, "/workspace/projects"), (closed, "/data"))
    place.program("sudo", 'exec "$@"')
    closed.chmod(0o700)
    (found,) = as_another_user(place, "mounts", workspace=workspace)
    assert (found.severity, found.code) == (Severity.ERROR, "mount-unreadable")
    place.paste(found.hint)
    assert codes(as_another_user(place, "mounts", workspace=workspace)) == [(Severity.OK, "mounts")]


@only_root
def test_a_folder_of_mine_that_i_closed(place: Place, workspace: Workspace) -> None:
    for path in (workspace.root, *workspace.root.rglob("*")):
        os.chown(path, ANOTHER, ANOTHER)
    models = workspace.project("example_01").models_dir
    models.chmod(0o555)
    (found,) = as_another_user(place, "mounts", workspace=workspace)
    assert (found.code, found.hint) == ("mount-not-writable", f"chmod -R u+rwX {models}")
    place.paste(found.hint)
    assert codes(as_another_user(place, "mounts", workspace=workspace)) == [(Severity.OK, "mounts")]


@only_root
def test_files_of_root_are_given_back_and_nothing_else(place: Place, workspace: Workspace) -> None:
    for path in (workspace.root, *workspace.root.rglob("*")):
        os.chown(path, ANOTHER, ANOTHER)
    models = workspace.project("example_01").models_dir
    (models / "weights of root").mkdir()
    (models / "weights of root" / "model.tlt").write_text("x")
    (models / "link").symlink_to("/etc/passwd")
    colleague = models / "of a colleague"
    colleague.write_text("x")
    os.chown(colleague, 4321, 4321)
    machine = place.machine(workspace=workspace)
    (found,) = look("owners", machine)
    assert (found.severity, found.code) == (Severity.WARNING, "owners-root")
    assert found.message.startswith("3 files and folders in the workspace belong to root, the first ")
    place.program("sudo", 'exec "$@"')
    place.paste(found.hint)
    assert codes(look("owners", machine)) == [(Severity.OK, "owners")]
    assert (models / "weights of root" / "model.tlt").stat().st_uid == ANOTHER
    assert (models / "link").lstat().st_uid == ANOTHER
    assert (Path("/etc/passwd").stat().st_uid, colleague.stat().st_uid) == (0, 4321)


@only_root
def test_of_one_project_only_that_project_is_looked_at(
    place: Place, workspace_factory: Callable[..., Path]
) -> None:
    """Others may share the workspace."""
    workspace = Workspace(workspace_factory(EXPERIMENTS))
    workspace_factory(EXPERIMENTS, project="of_a_colleague")
    for path in (workspace.root, *workspace.root.rglob("*")):
        os.chown(path, ANOTHER, ANOTHER)
    theirs = workspace.project("of_a_colleague").models_dir
    os.chown(theirs, 0, 0)
    theirs.chmod(0o700)
    for projects, expected in (
        (("example_01",), [(Severity.OK, "mounts"), (Severity.OK, "owners")]),
        (
            ("example_01", "of_a_colleague"),
            [(Severity.ERROR, "mount-not-writable"), (Severity.WARNING, "owners-root")],
        ),
    ):
        doors = {"workspace": workspace, "needs": Needs(is_known=True, projects=projects)}
        found = [
            finding for name in ("mounts", "owners") for finding in as_another_user(place, name, **doors)
        ]
        assert codes(found) == expected


@only_root
def test_one_file_of_root_is_one(place: Place, workspace: Workspace) -> None:
    for path in (workspace.root, *workspace.root.rglob("*")):
        os.chown(path, ANOTHER, ANOTHER)
    file = workspace.projects_dir / "example_01" / "models" / "x"
    file.write_text("")
    (found,) = look("owners", place.machine(workspace=workspace))
    assert found.message == f'one file or folder in the workspace belongs to root, the first "{file}"'


def test_a_workspace_of_root_may_hold_files_of_root(place: Place, workspace: Workspace) -> None:
    if os.geteuid() == 0:
        assert codes(look("owners", place.machine(workspace=workspace))) == [(Severity.OK, "owners")]
    else:
        assert codes(look("owners", place.machine(uid=os.getuid(), workspace=workspace))) == [
            (Severity.OK, "owners")
        ]


def test_one_mount_is_one(place: Place, workspace: Workspace) -> None:
    mounts_file(workspace, (workspace.root, "/workspace"))
    found = look("mounts", place.machine(workspace=workspace))
    assert [(one.code, one.message) for one in found] == [("mounts", f'1 mount "{workspace.mounts_file}"')]
